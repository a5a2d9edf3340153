"""The admin UI beside the data plane, with full tables: is it fast, and does nobody notice it?"""

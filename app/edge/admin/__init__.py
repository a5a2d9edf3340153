"""`/api/admin`: the admin API, one file a noun.

It is an application of its own inside the gateway's: `application` puts it together, `gate` lets
nobody in who may not, and everything behind it is thin: services in `app.admin` do the work.
"""

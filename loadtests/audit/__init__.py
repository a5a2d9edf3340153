"""Holds a run against the invariants: what callers heard, what is booked, what upstream saw.

Who makes a run gathers `evidence`, and `invariants.examine` says of each invariant whether it
held, what broke it, or that this run has nothing to tell it by and which tests hold it instead.
"""

"""Which account takes a call. Pure: no I/O, no clock, no chance of its own."""

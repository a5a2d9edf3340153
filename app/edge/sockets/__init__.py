"""Responses over WebSocket: connections of callers, on which one turn follows another.

`machine` decides, and does nothing; `connection` does, and decides nothing; `way` is how one turn
is answered; `registry` knows all connections of a worker, and ends them when it goes away.
"""

"""What `loadtests/locustfile.py` is made of: users by what they do, shapes of load, thresholds.

Locust's own time of a streamed request ends at its head, and its helpers for reading streams hide
a broken connection. So lines are read here, one by one, and a stream reports events of its own:
time to the first delta (`TTFT`), time between deltas (`gap`), time to its end (`total`). A stream
that is cut, or ends without its terminal event, is a failure.
"""

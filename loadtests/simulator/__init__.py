"""A simulated Codex upstream: backend, OAuth issuer and API-key service over real sockets.

It imports nothing of the gateway, so that it can judge it. Start it with
`python -m loadtests.simulator` or embed `server.Simulator` in a test.
"""

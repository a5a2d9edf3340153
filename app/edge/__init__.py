"""Shell: Litestar and raw ASGI handlers, one file an endpoint family."""

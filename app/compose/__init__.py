"""The composition root: the one package that knows every concrete class.

`parts` makes the services, `gateway` holds them together and takes over what the store says,
`lifetime` opens and closes them, `routes` puts the application in front. Nothing else in `app`
opens a connection or reads a global.
"""

from app.compose.gateway import Gateway
from app.compose.lifetime import gateway
from app.compose.routes import build, build_admin

__all__ = ["Gateway", "build", "build_admin", "gateway"]

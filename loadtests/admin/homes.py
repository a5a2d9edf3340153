"""Two gateways with the same ten thousand accounts and million log rows, in front of one upstream.

Filling them takes minutes, so a folder that is named is kept and taken again.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import asyncpg
from msgspec import Struct

from app.settings import Driver, Settings
from app.store.store import upgrade_schema
from loadtests.db_fill import Filling, fill_postgres, fill_sqlite
from tests.browser.conftest import PASSWORD
from tests.e2e.programs import Gateway, Simulator, enrol
from tests.servers import PostgresServer

TWIN: Final = "twin"
SUBJECT: Final = "subject"
_SECRET: Final = "0" * 64


class Size(Struct, frozen=True):
    """How full the tables are."""

    accounts: int = 10_000
    rows: int = 1_000_000


@contextmanager
def filled(folder: Path, *, store: Driver, size: Size) -> Iterator[dict[str, Gateway]]:
    """Start both gateways, `subject` and `twin`; they and what they need end with the block."""
    with ExitStack() as stack:
        simulator = Simulator(folder, accounts=size.accounts)
        stack.callback(simulator.stop)
        homes = {name: folder / name for name in (SUBJECT, TWIN)}
        if store is Driver.POSTGRES:
            environments = _postgres(stack, folder, homes, simulator, size)
        else:
            environments = _sqlite(homes, simulator, size)
        gateways = {}
        for name, home in homes.items():
            gateway = _gateway(home, simulator, environments[name])
            stack.callback(gateway.stop)
            gateway.start()
            gateways[name] = gateway
        yield gateways


def _gateway(home: Path, simulator: Simulator, environment: Mapping[str, str]) -> Gateway:
    home.mkdir(exist_ok=True)
    return Gateway(home, simulator, limits=None, ADMIN_SECRET=PASSWORD, **environment)


def _sqlite(
    homes: Mapping[str, Path], simulator: Simulator, size: Size
) -> Mapping[str, Mapping[str, str]]:
    if not homes[TWIN].exists():
        settings = Settings(data_dir=homes[SUBJECT] / "data")
        enrol(_gateway(homes[SUBJECT], simulator, {}), simulator)
        asyncio.run(fill_sqlite(settings.sqlite_path, _filling(size)))
        homes[TWIN].mkdir()
        shutil.copytree(homes[SUBJECT] / "data", homes[TWIN] / "data")
    return {name: {} for name in homes}


def _postgres(
    stack: ExitStack, folder: Path, homes: Mapping[str, Path], simulator: Simulator, size: Size
) -> Mapping[str, Mapping[str, str]]:
    place = folder / "postgres"
    place.mkdir()
    server = PostgresServer(place)
    stack.callback(server.stop)
    server.start()
    url = server.database()
    settings = Settings(database_driver=Driver.POSTGRES, database_url=url, data_dir=place)
    asyncio.run(upgrade_schema(settings))
    common = {"DATABASE_DRIVER": "postgres", "CODEX_SECRET_KEY": _SECRET}
    environments = {
        SUBJECT: {**common, "DATABASE_URL": url},
        TWIN: {**common, "DATABASE_URL": server.url(TWIN)},
    }
    enrol(_gateway(homes[SUBJECT], simulator, environments[SUBJECT]), simulator)
    asyncio.run(fill_postgres(url, _filling(size)))
    asyncio.run(_copy(server.url(), url.rpartition("/")[2]))
    return environments


async def _copy(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f'CREATE DATABASE "{TWIN}" TEMPLATE "{name}"')
    await connection.close()


def _filling(size: Size) -> Filling:
    return Filling(size.rows, end=int(time.time()), own_accounts=True)

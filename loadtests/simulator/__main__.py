"""`python -m loadtests.simulator`: run one simulator and print its addresses as a line of JSON."""

import argparse
import asyncio
import contextlib
import gc
import resource
import signal
import sys

import orjson
import uvloop

from loadtests.simulator.config import Config, demo, fast
from loadtests.simulator.server import Simulator


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    config = _config(sys.argv[1:])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.freeze()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_run(config))


async def _run(config: Config) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Simulator(config) as simulator:
        print(orjson.dumps(simulator.addresses).decode(), flush=True)
        await stopped.wait()


def _config(arguments: list[str]) -> Config:
    parser = argparse.ArgumentParser(prog="python -m loadtests.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=3)
    parser.add_argument("--profile", choices=["realistic", "fast", "demo"], default="realistic")
    parser.add_argument("--knobs", default="{}", help="JSON object of knobs for all requests")
    parser.add_argument("--api-key", action="append", help="an API key of /v1; may be repeated")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--ledger", help="JSONL file to append records to")
    parser.add_argument("--control", action="store_true", help="serve /__sim/")
    parser.add_argument("--reuse-port", action="store_true", help="share a port among processes")
    parser.add_argument("--instance", type=int, default=0, help="keeps ids apart among processes")
    given = parser.parse_args(arguments)
    common = {
        "host": given.host,
        "port": given.port,
        "seed": given.seed,
        "tls_cert": given.tls_cert,
        "tls_key": given.tls_key,
        "ledger": given.ledger,
        "control": given.control,
        "reuse_port": given.reuse_port,
        "instance": given.instance,
        "knobs": orjson.loads(given.knobs),
    }
    if given.api_key:
        common["api_keys"] = given.api_key
    if given.profile == "demo":
        return demo(**common)
    if given.profile == "fast":
        return fast(accounts=given.accounts, **common)
    return Config(accounts=given.accounts, **common)


if __name__ == "__main__":
    main()

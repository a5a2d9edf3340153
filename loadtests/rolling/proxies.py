"""The proxies in front of the replicas, configured as the documentation says: nginx and HAProxy.

The files are those of `docs/operate/proxies`; only addresses and folders are put in. Each proxy is
also made to say which replica has answered.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers import free_port

CONFIGURATIONS: Final = Path(__file__).resolve().parents[2] / "docs" / "operate" / "proxies"
NAMES: Final = ("nginx", "haproxy")
FILES: Final = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
REPLICA_HEADER: Final = "x-replica"
LISTENER: Final = 8080
REPLICAS: Final = (8081, 8082)
START_S: Final = 10.0


def program(name: str) -> str | None:
    """Return where a proxy is, or None."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def configuration(name: str, folder: Path, *, port: int, replicas: Sequence[int]) -> str:
    """Return the documented configuration with these ports."""
    text = (CONFIGURATIONS / FILES[name]).read_text("utf-8")
    for documented, real in zip((LISTENER, *REPLICAS), (port, *replicas), strict=True):
        text = text.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{real}")
    if name == "haproxy":
        says = f"http-response set-header {REPLICA_HEADER} %sp"
        return text.replace("    balance leastconn", f"    {says}\n    balance leastconn")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    text = text.replace("http {\n", f"http {{\n{folders}", 1)
    says = f"add_header {REPLICA_HEADER} $upstream_addr always;"
    text = text.replace("            proxy_pass", f"            {says}\n            proxy_pass")
    return f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n{text}"


@contextmanager
def running(name: str, folder: Path, *, replicas: Sequence[int]) -> Iterator[int]:
    """Run a proxy in front of the replicas; yield its port."""
    found = program(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    port = free_port()
    file = folder / FILES[name]
    file.write_text(configuration(name, folder, port=port, replicas=replicas), "utf-8")
    arguments = {
        "nginx": ["-p", str(folder), "-e", "stderr", "-c", str(file)],
        "haproxy": ["-db", "-f", str(file)],
    }[name]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([found, *arguments], stdout=log, stderr=log)
    try:
        _wait(process, port, folder / f"{name}.log")
        yield port
    finally:
        process.terminate()
        process.wait(START_S)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends_at = time.monotonic() + START_S
    while True:
        if process.poll() is not None or time.monotonic() > ends_at:
            raise RuntimeError(f"the proxy does not listen:\n{log.read_text('utf-8', 'replace')}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)

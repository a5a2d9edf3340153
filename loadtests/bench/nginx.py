"""nginx as the reference: the least that passing a stream on can cost.

One worker, no buffering, no access log, kept connections on both sides: what an operator would
put in front of streams. It checks no key, chooses no account and counts nothing.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loadtests.bench.processes import Program, free_port
from loadtests.bench.upstream import Upstream

CONNECTIONS_MAX: Final = 16_384
SOCKETS: Final = "/websocket"
"""Below it, WebSockets are passed on."""
_CONFIGURATION: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {connections};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections {connections};
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 1m;
    tcp_nodelay on;
    keepalive_requests 10000000;
    upstream simulator {{
        server 127.0.0.1:{upstream_port};
        keepalive 512;
        keepalive_requests 10000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass {scheme}://simulator;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
{tls}        }}
        location {sockets}/ {{
            proxy_pass {scheme}://simulator/;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_buffering off;
            proxy_read_timeout 600s;
{tls}        }}
    }}
}}
"""
_TLS: Final = """\
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_trusted_certificate {authority};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_session_reuse on;
"""


def command() -> str | None:
    """Where nginx is, or None."""
    return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def version() -> str:
    """The version that is installed, or a word that there is none."""
    found = command()
    if found is None:
        return "not installed"
    said = subprocess.run([found, "-v"], capture_output=True, check=True).stderr.decode()
    number = re.search(r"nginx/([\w.]+)", said)
    return number[1] if number else said.strip()


def configuration(upstream: Upstream, folder: Path, port: int) -> str:
    """The whole nginx.conf."""
    tls = _TLS.format(authority=upstream.authority) if upstream.authority else ""
    return _CONFIGURATION.format(
        connections=CONNECTIONS_MAX,
        folder=folder,
        port=port,
        sockets=SOCKETS,
        scheme="https" if upstream.authority else "http",
        tls=tls,
        upstream_port=upstream.port,
    )


@contextmanager
def running(upstream: Upstream, folder: Path, *, core: int) -> Iterator[tuple[Program, int]]:
    """Start nginx in front of the upstream; yield it and its port. It must be installed."""
    found = command()
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(configuration(upstream, folder, port), "utf-8")
    arguments = [found, "-p", str(folder), "-e", "stderr", "-c", str(file)]
    log = folder / "nginx.log"
    with Program("nginx", arguments, core=core, log=log, env=os.environ) as program:
        program.wait_until_listening(port)
        yield program, port

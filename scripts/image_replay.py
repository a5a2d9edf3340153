"""Replays the Dockerfile where there is no container engine: in folders made by debootstrap.

Each stage is a folder with a Debian in it, each RUN happens behind `chroot`, and the last stage is
started as the image would be: with its user, its root read-only, /data and /tmp in memory. It must
become healthy by its own HEALTHCHECK, show the admin UI, and end with 0 on its STOPSIGNAL. What it
can't show is what only the engine does: layers, labels, the base image (Debian's Python
stands in for it).

Needs root, debootstrap and the network of the package managers. `make image-replay`.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from msgspec import Struct, field

ROOT: Final = Path(__file__).parent.parent
SUITE: Final = "bookworm"
PACKAGES: Final = "python3,python3-venv,ca-certificates"
HEALTHY_WITHIN_S: Final = 60.0
ENDED_WITHIN_S: Final = 30.0
PORT: Final = 18_990
PASSED_ON: Final = (
    "PIP_",
    "SSL_",
    "NODE_EXTRA_CA",
    "npm_config_",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""What the machine's package managers need to find their registries."""


class Step(Struct, frozen=True):
    """One instruction: its word in capitals, and what follows on its line."""

    word: str
    rest: str


class Stage(Struct):
    """One FROM, and what follows until the next."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)


class Ran(Struct):
    """What a stage has come to."""

    folder: Path
    environment: dict[str, str]
    workdir: str = "/"
    user: str = "0:0"
    said: dict[str, str] = field(default_factory=dict)
    """What the image says of itself, by instruction."""


def stages(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile.

    Raises:
        ValueError: There is an instruction before the first FROM.
    """
    found: list[Stage] = []
    for line in _lines(text):
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base.strip(), name.strip() or str(len(found))))
        elif not found:
            raise ValueError(f"{word} before the first FROM")
        else:
            found[-1].steps.append(Step(word, rest))
    return found


def _lines(text: str) -> Iterator[str]:
    """Yield the instructions, each on one line, without comments."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", kept).splitlines():
        if line.strip():
            yield " ".join(line.split())


def variables(rest: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return what an ENV sets; `$NAME` stands for what was set before."""
    pairs = (pair.partition("=") for pair in shlex.split(rest))
    return {
        name: re.sub(r"\$(\w+)", lambda named: known.get(named[1], ""), value)
        for name, _, value in pairs
    }


class Replay:
    """Replays one Dockerfile in a folder that is deleted afterwards."""

    def __init__(self, home: Path, context: Path, debian: Path) -> None:
        self._home = home
        self._context = context
        self._debian = debian
        self._done: dict[str, Ran] = {}

    def run(self, found: list[Stage]) -> Ran:
        """Run all stages and return the last one."""
        if not self._debian.exists():
            say(f"debootstrap {SUITE}")
            made = f"--include={PACKAGES}", SUITE, str(self._debian)
            call("debootstrap", "--variant=minbase", *made, quiet=True)
            (self._debian / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            shutil.copy("/etc/resolv.conf", self._debian / "etc/resolv.conf")
        for stage in found:
            say(f"FROM {stage.base} AS {stage.name}")
            self._done[stage.name] = self._stage(stage)
        return self._done[found[-1].name]

    def _stage(self, stage: Stage) -> Ran:
        folder = self._home / f"stage-{stage.name}"
        # What is built with Node leaves only files behind, so the machine's own Node may build it.
        native = stage.base.startswith("node:")
        if native:
            folder.mkdir()
        else:
            call("cp", "-a", "--reflink=auto", str(self._debian), str(folder))
        ran = Ran(
            folder,
            {"PATH": os.environ["PATH"] if native else "/usr/local/bin:/usr/bin:/bin:/usr/sbin"},
        )
        for step in stage.steps:
            self._step(step, ran, native=native)
        return ran

    def _step(self, step: Step, ran: Ran, *, native: bool) -> None:
        say(f"  {step.word} {step.rest}"[:110])
        match step.word:
            case "RUN":
                self._shell(step.rest, ran, native=native)
            case "COPY":
                self._copy(step.rest, ran)
            case "ENV":
                ran.environment |= variables(step.rest, ran.environment)
            case "WORKDIR":
                ran.workdir = step.rest
                (ran.folder / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                ran.user = step.rest
            case _:
                ran.said[step.word] = step.rest

    def _shell(self, command: str, ran: Ran, *, native: bool) -> None:
        given = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        environment = {**given, **ran.environment, "HOME": "/root"}
        if native:
            where = ran.folder / ran.workdir.lstrip("/")
            environment |= {"HOME": os.environ.get("HOME", "/root")}
            subprocess.run(["/bin/sh", "-ec", command], check=True, cwd=where, env=environment)
            return
        lent = "".join(f"{each}; " for each in _lend(given.values(), ran.folder))
        script = (
            f"{lent}mount --bind /dev {ran.folder}/dev; mount -t proc proc {ran.folder}/proc; "
            f"exec chroot {ran.folder} /bin/sh -ec {shlex.quote(f'cd {ran.workdir}; {command}')}"
        )
        subprocess.run(
            ["unshare", "--mount", "/bin/sh", "-ec", script], check=True, env=environment
        )

    def _copy(self, rest: str, ran: Ran) -> None:
        words = rest.split()
        source_root, chowned = self._context, None
        while words[0].startswith("--"):
            option, _, value = words.pop(0).partition("=")
            if option == "--from":
                source_root = self._done[value].folder
            elif option == "--chown":
                chowned = value
        *sources, target = words
        goal = ran.folder / os.path.normpath(Path(ran.workdir, target)).lstrip("/")
        for source in sources:
            origin = source_root / source.lstrip("/")
            into = goal / origin.name if len(sources) > 1 or target.endswith(("/", ".")) else goal
            into.parent.mkdir(parents=True, exist_ok=True)
            contents = "/." if origin.is_dir() else ""
            if origin.is_dir() and len(sources) == 1:
                into = goal
            if origin.is_dir():
                into.mkdir(parents=True, exist_ok=True)
            call("cp", "-a", f"{origin}{contents}", str(into))
            if chowned:
                call("chown", "-R", chowned, str(into))


def _lend(values: Iterable[str], folder: Path) -> Iterator[str]:
    """Copy the certificates that the machine names; yield what lends its folders of packages."""
    for value in sorted(set(values)):
        path, inside = Path(value), folder / value.lstrip("/")
        if not value.startswith("/") or (path.is_relative_to("/etc/ssl/certs") and path.is_dir()):
            continue
        if path.is_file():
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, inside)
        elif path.is_dir():
            inside.mkdir(parents=True, exist_ok=True)
            yield f"mount --bind -o ro {shlex.quote(value)} {shlex.quote(str(inside))}"


def start(ran: Ran) -> None:
    """Start the image, see it healthy with its pages, stop it, and see it end well.

    Raises:
        SystemExit: It does not behave as the image must.
    """
    uid, _, gid = ran.user.partition(":")
    words = json.loads(ran.said["ENTRYPOINT"]) + json.loads(ran.said["CMD"])
    probe = json.loads(ran.said["HEALTHCHECK"].partition("CMD ")[2])
    environment = {**ran.environment, "CODEX_PORT": str(PORT), "ADMIN_SECRET": "replayed-secret"}
    root = ran.folder
    inside = f"setpriv --reuid {uid} --regid {gid or uid} --clear-groups --no-new-privs"
    mounts = (
        f"--bind {root} {root}",
        f"--bind /dev {root}/dev",
        f"-t proc proc {root}/proc",
        f"-t tmpfs -o uid={uid},mode=0700 tmpfs {root}/data",
        f"-t tmpfs tmpfs {root}/tmp",  # noqa: S108 - the image's own, in a namespace of its own
        f"-o remount,ro,bind {root}",
    )
    prepare = "".join(f"mount {each}; " for each in mounts) + f"cd {root}; "
    enter = f"exec chroot {root} {inside} env -C /data "
    main = subprocess.Popen(
        ["unshare", "--mount", "/bin/sh", "-ec", prepare + enter + shlex.join(words)],
        env=environment,
    )
    look = ["chroot", str(root), *inside.split(), *probe]
    try:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        began = time.monotonic()
        while subprocess.run(
            look, env=environment, stderr=subprocess.DEVNULL, check=False
        ).returncode:
            if main.poll() is not None or time.monotonic() > deadline:
                sys.exit("the image did not become healthy")
            time.sleep(0.2)
        say(f"healthy after {time.monotonic() - began:.1f} s, as user {uid}, on a read-only root")
        pages = HTTPConnection("127.0.0.1", PORT, timeout=HEALTHY_WITHIN_S)
        pages.request("GET", "/admin/")
        if pages.getresponse().status != HTTPStatus.OK:
            sys.exit("the image has no admin UI")
        pages.close()
        main.send_signal(getattr(signal, ran.said["STOPSIGNAL"]))
        status = main.wait(ENDED_WITHIN_S)
    finally:
        main.kill()
        main.wait()
    if status:
        sys.exit(f"the image ended with {status}")
    say("ended with 0 on " + ran.said["STOPSIGNAL"])


def call(*words: str, quiet: bool = False) -> None:
    """Run a program; one that fails ends the replay."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL if quiet else None)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, flush=True)


def main() -> None:
    """Replay the Dockerfile of this repository."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit(
            "The replay needs root and debootstrap (in Debian and Ubuntu a package of that name)."
        )
    with (
        tempfile.TemporaryDirectory(prefix="codex2api-image-") as home,
        tempfile.TemporaryDirectory() as context,
    ):
        # The context is what git knows, as in a fresh clone.
        call("git", "-C", str(ROOT), "checkout-index", "--all", f"--prefix={context}/")
        # A folder that is named is made once and used again.
        debian = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(home) / "debian"
        replay = Replay(Path(home), Path(context), debian)
        ran = replay.run(stages((ROOT / "Dockerfile").read_text("utf-8")))
        size = sum(
            path.lstat().st_size for path in (ran.folder / "opt").rglob("*") if path.is_file()
        )
        say(f"installed files: {size / 1e6:.0f} MB")
        start(ran)


if __name__ == "__main__":
    main()

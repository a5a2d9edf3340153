"""`make fuzz T=sse MINUTES=30`: a parser under bytes that atheris chooses to reach new code.

The corpus is tests/fuzz/TARGET in the repository, kept small, and build/fuzz/TARGET, where what is
found grows. A crash is written to build/fuzz: mend the parser, and put the bytes into tests/fuzz so
that the tests meet them from then on. Atheris is not built for every Python, so it is none of the
locked packages of development; `make fuzz` installs it beside them, from a lock of its own.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Final

import atheris

ROOT: Final = Path(__file__).resolve().parents[2]
SEEDS: Final = ROOT / "tests" / "fuzz"
FOUND: Final = ROOT / "build" / "fuzz"
INPUT_BYTES_MAX: Final = 8_192

with atheris.instrument_imports(include=["app"]):
    from loadtests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz one target; ends with the status of libFuzzer, which is not 0 after a crash."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--minutes", type=float, default=30.0, help="30 if not given")
    asked = parser.parse_args()
    logging.disable()
    corpus = FOUND / asked.target
    corpus.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], str(corpus), str(SEEDS / asked.target),
        f"-max_total_time={max(1, round(60 * asked.minutes))}", f"-max_len={INPUT_BYTES_MAX}",
        f"-artifact_prefix={FOUND}/{asked.target}-", "-timeout=10", "-rss_limit_mb=2048",
        "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    atheris.Setup(arguments, TARGETS[asked.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

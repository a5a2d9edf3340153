"""Tests of scripts.quick_start, and that README says the same commands as the page that is run."""

import os
import re
import signal

import pytest

from scripts.quick_start import PAGE, ROOT, STAYS, Block, Failed, Terminal, blocks

EXAMPLE = """\
```sh title="Terminal 2"
one
```

=== "A tab"

    ```sh
    two \\
      three
    ```

    ```console
    $ not run
    ```
"""


def commands(page: str) -> list[str]:
    """Return the lines that are typed, without those of files that are written."""
    text = "\n".join(block.text for block in blocks(page))
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.fixture
def terminal(tmp_path):
    """A shell."""
    with Terminal("Terminal 1", tmp_path, {"PATH": os.environ["PATH"]}) as opened:
        yield opened


def test_the_blocks_of_a_page_are_those_of_the_shell() -> None:
    """Each with its terminal, the first one if none is named, and without its indentation."""
    assert blocks(EXAMPLE) == [
        Block("Terminal 2", "one\n"),
        Block("Terminal 1", "two \\\n  three\n"),
    ]


@pytest.mark.parametrize("last", STAYS)
def test_a_server_stays(last: str) -> None:
    """What comes before it is run to its end."""
    assert Block("Terminal 1", f"make setup\n{last}\n").stays == last
    assert Block("Terminal 1", f"{last}\nmake setup\n").stays is None


def test_what_is_typed_is_remembered(terminal) -> None:
    """A variable, a folder and a file that is written where it is."""
    terminal.run("export NAME=you\nmkdir here\ncd here")
    printed = terminal.run("cat > file <<'END'\n$NAME\nEND\ncat file\necho hello $NAME; pwd")
    assert "$NAME\nhello you\n" in printed
    assert "/here\n" in printed


def test_a_command_that_fails_is_told(terminal) -> None:
    """By its words, also if others follow that don't fail."""
    with pytest.raises(Failed, match="`cat nowhere` failed"):
        terminal.run("cat nowhere\necho well")
    assert "well" in terminal.run("echo well")


def test_ctrl_c_ends_what_stays(terminal) -> None:
    """And the shell goes on."""
    # One program says it and stays: a key that is pressed between two of them may reach neither.
    terminal.start("sh -c 'echo begun; exec sleep 600'")
    terminal.wait_for("begun")
    terminal.interrupt()
    assert "alive" in terminal.run("echo alive")


def test_ctrl_c_is_heard_whoever_opened_the_terminal(tmp_path) -> None:
    """Who was started in the background ignores it himself."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        opened = Terminal("Terminal 1", tmp_path, {"PATH": os.environ["PATH"]})
    finally:
        signal.signal(signal.SIGINT, before)
    with opened:
        test_ctrl_c_ends_what_stays(opened)


def test_the_page_begins_without_an_account_and_ends_with_the_codex_cli() -> None:
    """All that it promises is in its blocks."""
    found = commands(PAGE.read_text("utf-8"))
    assert found[0] == "make demo"
    assert found[-1].startswith("codex exec ")
    assert "make run" in found


def test_readme_says_nothing_else_than_the_page() -> None:
    """Its section on running the gateway has commands that `make quick-start` has run."""
    section = (ROOT / "README.md").read_text("utf-8").partition("## Run it for real")[2]
    section = section.partition("\n## ")[0]
    said = commands(section)
    assert said
    assert not set(said) - set(commands(PAGE.read_text("utf-8")))
    toml = re.compile(r"model = .*?supports_websockets = true", re.DOTALL)
    readme = toml.findall((ROOT / "README.md").read_text("utf-8"))
    assert readme == toml.findall(PAGE.read_text("utf-8"))

"""Tests of app.environment."""

from pathlib import Path

import pytest

from app.environment import (
    FILE_BYTES_MAX,
    Fault,
    SettingsError,
    Variable,
    address,
    boolean,
    existing_file,
    host_port,
    listed,
    mebibytes,
    network,
    one_of,
    printable,
    read,
    read_dotenv,
    redis_address,
    url,
    whole,
)

NUMBER = Variable("NUMBER", "number", whole(1, 9), "1 to 9")
WORD = Variable("WORD", "word", printable(3, 5), "3 to 5 characters", secret=True)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (whole(-1, 9), "-1", -1),
        (mebibytes(1, 9), "2", 2 << 20),
        (one_of("a", "b"), "A", "a"),
        (boolean, "Yes", True),
        (boolean, "0", False),
        (printable(1, 3), "a b", "a b"),
        (listed(str), " a, ,b", ("a", "b")),
        (address, "localhost", "localhost"),
        (address, "::1", "::1"),
        (host_port, "[::1]:80", ("::1", 80)),
        (url("http"), "http://host/path/", "http://host/path"),
        (url("http", query=True), "http://host/p?a=b", "http://host/p?a=b"),
        (redis_address, "host:6379", "host:6379"),
        (redis_address, "rediss://user:pw@host/1", "rediss://user:pw@host/1"),
    ],
)
def test_good_text_is_read(parse, text, value) -> None:
    """Each reader gives the value that its text stands for."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (whole(1, 9), "10"),
        (whole(1, 9), "x"),
        (whole(1, 9), "\uff11"),
        (one_of("a"), "b"),
        (boolean, "maybe"),
        (printable(1, 3), "abcd"),
        (printable(1, 3), "ä"),
        (printable(1, 3), "a\n"),
        (address, "example.org"),
        (network, "10.0.0.0/40"),
        (host_port, "host"),
        (host_port, "host:x"),
        (url("http"), "ftp://host"),
        (url("http"), "http://"),
        (url("http"), "http://host?a=b"),
        (url("http"), "http://host#part"),
        (url("http"), "http://host:port"),
        (redis_address, "host"),
        (existing_file, "/there/is/none"),
    ],
)
def test_bad_text_is_refused(parse, text) -> None:
    """Each reader refuses what it does not understand."""
    with pytest.raises(ValueError):
        parse(text)


def test_the_first_layer_wins() -> None:
    """A name in an earlier layer hides a later one, whichever of its two forms each uses."""
    values, faults = read([NUMBER], [{"NUMBER": "1"}, {"NUMBER_FILE": "/there/is/none"}])
    assert (values, faults) == ({"number": 1}, [])


def test_empty_text_is_not_set() -> None:
    """Compose files pass empty variables on; they mean the default."""
    assert read([NUMBER], [{"NUMBER": " ", "NUMBER_FILE": ""}]) == ({}, [])


def test_a_value_is_read_from_a_file(tmp_path: Path) -> None:
    """`NAME_FILE` names a file; the line break that editors add is no part of the value."""
    (tmp_path / "n").write_text("7\n")
    assert read([NUMBER], [{"NUMBER_FILE": str(tmp_path / "n")}]) == ({"number": 7}, [])


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"x" * (FILE_BYTES_MAX + 1)])
def test_a_file_without_text_is_a_fault(tmp_path: Path, content: bytes) -> None:
    """An empty, binary or huge file is named in the fault."""
    path = tmp_path / "n"
    path.write_bytes(content)
    _, faults = read([NUMBER], [{"NUMBER_FILE": str(path)}])
    assert [fault.name for fault in faults] == ["NUMBER_FILE"]


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A file that is not there is not the same as a name that is not set."""
    _, faults = read([NUMBER], [{"NUMBER_FILE": str(tmp_path / "none")}])
    assert faults[0].expected == "a readable file (No such file or directory)"


def test_a_name_is_not_set_twice_in_one_layer() -> None:
    """Both forms at once would leave open which one counts."""
    _, faults = read([NUMBER], [{"NUMBER": "1", "NUMBER_FILE": "x"}])
    assert faults == [Fault("NUMBER_FILE", "'x'", "not to be set with NUMBER")]


def test_all_faults_are_reported_and_secrets_are_not_shown() -> None:
    """An operator sees every bad value in one go; a secret one as stars."""
    values, faults = read([NUMBER, WORD], [{"NUMBER": "x", "WORD": "far too long"}])
    assert values == {}
    error = SettingsError(faults)
    assert str(error).splitlines() == [
        "NUMBER: expected 1 to 9, found 'x'",
        "WORD: expected 3 to 5 characters, found ***",
    ]
    assert error.faults == tuple(faults)


def test_a_dotenv_is_read(tmp_path: Path) -> None:
    """Comments, blank lines, `export`, quotes and a byte order mark are understood."""
    path = tmp_path / ".env"
    path.write_text(
        "\ufeff# comment\n\nA=1 # why\nexport B = two words\nC=\"a # b\" # c\nD='x$Y'\nE=\n"
    )
    assert read_dotenv(path) == (
        {"A": "1", "B": "two words", "C": "a # b", "D": "x$Y", "E": ""},
        [],
    )


def test_a_bad_line_of_a_dotenv_is_not_shown(tmp_path: Path) -> None:
    """The line's number is enough; the line itself may be a secret that lost its name."""
    path = tmp_path / ".env"
    path.write_text("A=1\nsecret-without-name\n")
    values, faults = read_dotenv(path)
    assert values == {"A": "1"}
    assert [str(fault) for fault in faults] == [
        f"{path}, line 2: expected NAME=value, found another form"
    ]


def test_a_dotenv_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """A missing file and one that is no text are told apart."""
    _, missing = read_dotenv(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    _, binary = read_dotenv(tmp_path / "binary")
    assert "a readable file" in missing[0].expected
    assert "UTF-8" in binary[0].expected

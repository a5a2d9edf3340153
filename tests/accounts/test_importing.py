"""Tests of app.accounts.importing."""

import codecs
from dataclasses import dataclass

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts import importing
from app.accounts.importing import Fault, parse
from tests.accounts.test_archives import archive
from tests.accounts.tokens import EXP, jwt, payload


@dataclass
class Read:
    """What a file gave: refresh tokens or else access tokens, and places with reasons."""

    tokens: list[str]
    faults: list[tuple[int, str]]


def read(data, name="file.json"):
    """Parse text or a JSON value and return what matters in most tests."""
    if not isinstance(data, bytes):
        data = data.encode() if isinstance(data, str) else orjson.dumps(data)
    parsed = parse(data, name=name)
    tokens = [
        (account.refresh_token or account.access_token or account.api_key).reveal()
        for account in parsed.accounts
    ]
    return Read(tokens, [(fault.line, fault.reason) for fault in parsed.faults])


ENTRY = {"refresh_token": "rt_1"}
NESTED = {"tokens": {"refresh_token": "rt_1"}}


@pytest.mark.parametrize(
    "data",
    [
        ENTRY,
        NESTED,
        [ENTRY],
        [[NESTED]],
        {"accounts": [ENTRY], "proxies": []},
        {"accounts": [{"name": "x", "credentials": ENTRY}]},
        ["rt_1"],
        "rt_1",
        "rt_1\n",
        "\r\n  rt_1  \r\n\r\n",
        "# a comment\nrt_1",
        '"rt_1",',
        '{"refresh_token": "rt_1"}\n',
        codecs.BOM_UTF8 + b"rt_1",
        codecs.BOM_UTF8 + orjson.dumps(ENTRY),
        "rt_1".encode("utf-16"),
        archive({"a.json": orjson.dumps(ENTRY)}),
        archive({"folder/a.txt": b"rt_1"}),
    ],
)
def test_every_kind_of_file_gives_its_account(data):
    """One object, lists at any usual depth, lines, byte order marks, archives."""
    assert read(data) == Read(["rt_1"], [])


def test_lines_may_be_of_different_kinds():
    """Tokens, objects and small lists, with a comma at the end or without."""
    text = 'rt_1\n{"refresh_token": "rt_2"},\n[{"refresh_token": "rt_3"}, "rt_4"]\rat-5\r\nsk-6'
    assert read(text) == Read(["rt_1", "rt_2", "rt_3", "rt_4", "at-5", "sk-6"], [])


def test_bad_lines_are_reported_by_number_and_the_rest_goes_in():
    """Blank lines and comments count as lines."""
    text = "rt_1\n\n# note\nhello\n{broken\n7\nrt_2"
    found = read(text)
    assert found.tokens == ["rt_1", "rt_2"]
    assert [line for line, _ in found.faults] == [4, 5, 6]
    assert found.faults[1] == (5, "not valid JSON")


def test_bad_json_lines_are_reported_by_number_even_if_the_first_is_one():
    """That the whole is no JSON says nothing yet."""
    found = read('{broken\n{"refresh_token": "rt_1"}\n{"id_token": "x"}')
    assert found.tokens == ["rt_1"]
    assert [line for line, _ in found.faults] == [1, 3]


def test_bad_entries_of_a_list_are_reported_by_their_place():
    """They are counted from one."""
    found = read([ENTRY, 7, {}, None, {"refresh_token": "rt_2"}])
    assert found.tokens == ["rt_1", "rt_2"]
    assert [line for line, _ in found.faults] == [2, 3, 4]


HTML = "<html>\n<body>\n<p>Not found</p>\n</body>\n</html>\n"


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", 0, "empty"),
        (b" \n\n", 0, "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", 0, "not a text file"),
        (b"rt_\x001", 0, "not a text file"),
        (b"\xff\xfe\x00\xd8", 0, "not a text file"),
        ("# nothing\n,\n", 0, "no account in it"),
        (HTML, 0, "not a known kind of file"),
        ("a,b\n1,2\n3,4\n{not json\n", 0, "not a known kind of file"),
        ("hello", 1, "neither a refresh token"),
        ('{\n  "refresh_token": "rt_1",\n}', 2, "not valid JSON from here on"),
        ("[" * 5000, 1, "not valid JSON"),
        ([], 0, "no account in it"),
        ({"accounts": []}, 0, "no account in it"),
        ({"accounts": "x"}, 1, "no refresh_token"),
        ([[[[[["rt_1"]]]]]], 1, "expected an object or a token"),
        (archive({}), 0, "archive is empty"),
        # An archive holds the time at which it was made, which no test's name may.
        pytest.param(archive({"a": b"x"})[:-9], 0, "archive is damaged", id="damaged archive"),
    ],
)
def test_a_wrong_file_is_refused_with_one_clear_sentence(data, line, reason):
    """And nothing of it goes in."""
    found = read(data)
    assert found.tokens == []
    assert len(found.faults) == 1
    assert found.faults[0][0] == line
    assert reason in found.faults[0][1]


def test_a_file_that_is_too_large_is_refused(monkeypatch):
    """Before anything is made of it."""
    monkeypatch.setattr(importing, "DATA_BYTES_MAX", 10)
    assert read("rt_1" * 10).faults == [(0, "the file is larger than 0 MiB")]


def test_faults_in_an_archive_name_their_file():
    """Its good files go in."""
    parsed = parse(
        archive({"bad\n.json": b"{", "good.json": b"rt_1", "inner.zip": archive({})}), name="x.zip"
    )
    assert len(parsed.accounts) == 1
    assert [(fault.file, fault.line) for fault in parsed.faults] == [
        ("bad .json", 1),
        ("inner.zip", 0),
    ]


def owned(user="u", account="acc", **fields):
    """Return an entry whose ID token says whose it is."""
    return {"id_token": jwt(payload(user, account)), **fields}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([ENTRY, NESTED], ["rt_1"]),
        ([{"access_token": "at-1"}, {"access_token": "at-1"}], ["at-1"]),
        ([{"api_key": "k"}, {"api_key": "k"}], ["k"]),
        ([{"api_key": "k"}, {"api_key": "k", "base_url": "http://x"}], ["k", "k"]),
        ([owned(refresh_token="rt_1"), owned(refresh_token="rt_2")], ["rt_1"]),
        ([owned(access_token="at-1"), owned(refresh_token="rt_2")], ["rt_2"]),
        (
            [
                owned(refresh_token="rt_1", access_token=jwt({"exp": EXP})),
                owned(refresh_token="rt_2", access_token=jwt({"exp": EXP + 1})),
            ],
            ["rt_2"],
        ),
        (
            [owned("u", "a", refresh_token="rt_1"), owned("u", "b", refresh_token="rt_2")],
            ["rt_1", "rt_2"],
        ),
        (
            [owned("u", "a", refresh_token="rt_1"), owned("v", "a", refresh_token="rt_2")],
            ["rt_1", "rt_2"],
        ),
        (
            [
                {"refresh_token": "rt_1", "account_id": "a", "email": "x@example.com"},
                {"refresh_token": "rt_2", "account_id": "a", "email": "x@example.com"},
            ],
            ["rt_1"],
        ),
        (
            [
                {"refresh_token": "rt_1", "account_id": "a"},
                {"refresh_token": "rt_2", "account_id": "a"},
            ],
            ["rt_1", "rt_2"],
        ),
        (
            [owned(refresh_token="rt_1"), owned(refresh_token="rt_2"), {"refresh_token": "rt_2"}],
            ["rt_1"],
        ),
    ],
)
def test_entries_that_are_the_same_account_become_one(entries, expected):
    """User and workspace together are the identity; the one that lasts longer stays."""
    found = read(entries)
    assert found.tokens == expected
    assert len(found.faults) == len(entries) - len(expected)
    assert all(reason == "the same account as entry 1" for _, reason in found.faults)


def test_a_duplicate_in_another_file_of_an_archive_is_named():
    """So that its owner finds it."""
    parsed = parse(archive({"a.txt": b"rt_1", "b.txt": b"rt_2\nrt_1"}), name="x.zip")
    assert parsed.faults == [Fault(2, "the same account as entry 1 of a.txt", "b.txt")]


def test_accounts_without_a_name_are_called_after_the_file():
    """And their place in it."""
    parsed = parse(b"rt_1\nrt_2", name="folder/mine.txt")
    assert [account.name for account in parsed.accounts] == ["mine 1", "mine 2"]
    assert parse(b"rt_1", name="tokens").accounts[0].name == "tokens 1"


def test_ten_thousand_accounts_go_in_at_once():
    """With three tokens each, of which two carry claims."""
    lines = [
        orjson.dumps(
            {
                "refresh_token": f"rt_{n}",
                "id_token": jwt(payload(f"user-{n}", f"acc-{n:06}")),
                "access_token": jwt(payload(f"user-{n}", f"acc-{n:06}")),
            }
        )
        for n in range(10_000)
    ]
    found = read(b"[" + b",".join(lines) + b"]")
    assert len(found.tokens) == 10_000
    assert found.faults == []


@pytest.mark.parametrize("form", ["lines", "list", "archive", "nested"])
def test_there_is_a_limit_to_the_accounts_of_one_import(monkeypatch, form):
    """It is told where it was reached."""
    monkeypatch.setattr(importing, "ACCOUNTS_MAX", 3)
    tokens = [f"rt_{n}" for n in range(5)]
    data = {
        "lines": "\n".join(tokens).encode(),
        "list": orjson.dumps(tokens),
        "nested": orjson.dumps([{"accounts": tokens}]),
        "archive": archive({token: token.encode() for token in tokens}),
    }[form]
    found = read(data)
    assert found.tokens == ["rt_0", "rt_1", "rt_2"]
    assert [reason for _, reason in found.faults] == ["stopped here: there are 3 accounts"]


def test_there_is_a_limit_to_the_faults_that_are_told(monkeypatch):
    """The rest is counted."""
    monkeypatch.setattr(importing, "FAULTS_MAX", 2)
    parsed = parse(orjson.dumps([ENTRY, 1, 2, 3, 4]), name="x")
    assert [fault.reason for fault in parsed.faults][2:] == ["and 2 more"]


SECRET = "s3cr3t"
LEAKS = [
    [{"refresh_token": [SECRET]}, {"access_token": f"{SECRET} x"}, SECRET, f"eyJ{SECRET}"],
    [{"api_key": f"sk-{SECRET}", "base_url": f"x:{SECRET}"}, {"type": "claude", "email": SECRET}],
    {"session_token": SECRET},
    f"{SECRET}\nrt_{SECRET} x\n",
    f'{{"refresh_token": "{SECRET}"',
    f'{{"refresh_token": "rt_{SECRET}"}}\n{{"refresh_token": "rt_{SECRET}"}}',
]


@pytest.mark.parametrize("data", LEAKS)
def test_no_fault_holds_anything_that_was_read(data):
    """Faults are logged and shown."""
    found = read(data)
    assert found.faults
    assert SECRET not in str(found.faults)


@given(st.one_of(st.text(max_size=300).map(str.encode), st.binary(max_size=300)))
def test_no_bytes_at_all_make_it_raise(data):
    """Whatever is brought, the answer is accounts and faults."""
    parsed = parse(data, name="x")
    assert parsed.accounts or parsed.faults


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["accounts", "tokens", "refreshToken", "access_token", "base_url", "name"]
                )
                | st.text(max_size=4),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_json_at_all_makes_it_raise(value):
    """Any field may hold anything."""
    parsed = parse(orjson.dumps(value), name="x")
    assert parsed.accounts or parsed.faults

"""Reads accounts out of whatever file people have them in.

A file is JSON (one object, a list, or an object with a list of accounts), lines (a JSON object
or a bare token each), or a zip archive of such files. One bad entry never stops the others: it
is reported by its place and a reason, and no reason holds anything that was read. Entries that
are the same account become one. Nothing is stored, sent or checked against the upstream.

Ten thousand accounts take about half a second, so call `parse` in a thread.
"""

from collections.abc import Iterator

import orjson
from msgspec import Struct

from app.accounts.archives import BadArchive, is_archive, unpack
from app.accounts.new_account import NewAccount, Unusable, from_line, from_object, printable

__all__ = ["Fault", "NewAccount", "Parsed", "parse"]

DATA_BYTES_MAX = 32 << 20
ACCOUNTS_MAX = 50_000
FAULTS_MAX = 1_000

_DEPTH_MAX = 4
_LINES_TOLD_MAX = 3
"""A file of so few lines is judged line by line, even if no line is an entry."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BINARY = "\0"
_NO_ACCOUNT = "there is no account in it"
_BROKEN = object()


class Fault(Struct, frozen=True):
    """What could not be taken: the place in `file`, and why.

    `line` counts from 1: lines of a file of lines, entries of a JSON list; 0 is the whole file.
    """

    line: int
    reason: str
    file: str


class Parsed(Struct, frozen=True):
    """What a file holds."""

    accounts: list[NewAccount]
    faults: list[Fault]


def parse(data: bytes, *, name: str) -> Parsed:
    """Return the accounts in `data`, in their order, and what was wrong with the rest.

    `name` is the file's name, for the faults and as the name of accounts that have none. A file
    that is none of the known kinds gives no account and one fault; nothing is raised.
    """
    found = _Found()
    if len(data) > DATA_BYTES_MAX:
        found.refuse(0, f"the file is larger than {DATA_BYTES_MAX >> 20} MiB", file=name)
    elif is_archive(data):
        _parse_archive(data, name, found)
    else:
        _parse_file(data, name, found)
    return found.parsed()


class _Found:
    """Collects accounts and faults; joins entries that are the same account."""

    def __init__(self) -> None:
        self._accounts: list[NewAccount] = []
        self._places: list[tuple[str, int]] = []
        self._by_key: dict[object, int] = {}
        self._faults: list[Fault] = []
        self._untold = 0

    @property
    def full(self) -> bool:
        return len(self._accounts) >= ACCOUNTS_MAX

    def add(self, account: NewAccount, *, line: int, file: str) -> None:
        """Take an account; of two that are the same one, the one that lasts longer counts."""
        keys = _keys(account)
        index = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if index is None:
            index = len(self._accounts)
            self._accounts.append(account)
            self._places.append((file, line))
        else:
            first_file, first_line = self._places[index]
            where = f"entry {first_line}" + ("" if first_file == file else f" of {first_file}")
            self.refuse(line, f"the same account as {where}", file=file)
            if _rank(account) > _rank(self._accounts[index]):
                self._accounts[index] = account
        for key in keys:
            self._by_key.setdefault(key, index)

    def refuse(self, line: int, reason: str, *, file: str) -> None:
        """Note what could not be taken; past a limit only how often that was."""
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(Fault(line, reason, printable(file)))
        else:
            self._untold += 1

    def parsed(self) -> Parsed:
        """Return what was found."""
        if self._untold:
            self._faults.append(Fault(0, f"and {self._untold} more", ""))
        return Parsed(self._accounts, self._faults)


def _keys(account: NewAccount) -> list[object]:
    """Return what makes two entries the same account: any one of these in common."""
    keys: list[object] = [
        secret for secret in (account.refresh_token, account.access_token) if secret is not None
    ]
    if account.chatgpt_account_id and (account.chatgpt_user_id or account.email):
        keys.append((account.chatgpt_user_id or account.email, account.chatgpt_account_id))
    if account.api_key is not None:
        keys.append((account.api_key, account.base_url))
    return keys


def _rank(account: NewAccount) -> tuple[bool, float]:
    return account.refresh_token is not None, account.expires_at or 0.0


def _parse_archive(data: bytes, name: str, found: _Found) -> None:
    try:
        members = unpack(data)
    except BadArchive as error:
        found.refuse(0, str(error), file=name)
        return
    if not members:
        found.refuse(0, "the archive is empty", file=name)
    for member in members:
        if found.full:
            return
        if member.fault is not None:
            found.refuse(0, member.fault, file=member.name)
        else:
            _parse_file(member.data, member.name, found)


def _parse_file(data: bytes, name: str, found: _Found) -> None:
    text = _decoded(data)
    if text is None or _BINARY in text:
        found.refuse(0, "not a text file: expected JSON, lines of tokens or a zip", file=name)
        return
    if not text.strip():
        found.refuse(0, "the file is empty", file=name)
        return
    if text.lstrip()[0] not in "[{":
        if _is_list(text):
            _parse_lines(text, name, found)
        else:
            reason = "not a known kind of file: no line is a token or a JSON object"
            found.refuse(0, reason, file=name)
        return
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if _has_json_line(text):
            _parse_lines(text, name, found)
        else:
            found.refuse(error.lineno, "not valid JSON from here on", file=name)
        return
    _take_entries(_entries(document, depth=0), name, found)


def _decoded(data: bytes) -> str | None:
    """Return the text in UTF-8, or in UTF-16 where its mark says so; no mark stays in it."""
    try:
        return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        return None


def _is_list(text: str) -> bool:
    """Tell whether lines can be judged one by one; of a foreign file that would say too much."""
    lines = [line.strip() for line in _lines(text)]
    return sum(map(bool, lines)) <= _LINES_TOLD_MAX or any(map(_is_entry, lines))


def _is_entry(line: str) -> bool:
    if line.startswith("{"):
        return isinstance(_json(line.rstrip(",")), dict)
    try:
        from_line(line, fallback="")
    except Unusable:
        return False
    return True


def _has_json_line(text: str) -> bool:
    """Tell whether any line is a JSON object by itself, so that the lines are the entries."""
    return any(_is_entry(line.strip()) for line in _lines(text) if line.lstrip().startswith("{"))


def _json(line: str) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _lines(text: str) -> list[str]:
    # Only real line ends: str.splitlines also cuts at separators that JSON strings may hold.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _parse_lines(text: str, name: str, found: _Found) -> None:
    told = False
    for number, line in enumerate(_lines(text), 1):
        bare = line.strip().rstrip(",")
        if not bare or bare.startswith("#"):
            continue
        for entry in _line_entries(bare):
            told = True
            _take(entry, number, name, found)
        if _stop(number, name, found):
            return
    if not told:
        found.refuse(0, _NO_ACCOUNT, file=name)


def _line_entries(line: str) -> Iterator[object]:
    """Yield the entries of one line; one that is no JSON but should be is `_BROKEN`."""
    if line[0] not in "[{":
        yield line
        return
    document = _json(line)
    if document is None:
        yield _BROKEN
    else:
        yield from _entries(document, depth=0)


def _take_entries(entries: Iterator[object], name: str, found: _Found) -> None:
    number = 0
    for number, entry in enumerate(entries, 1):
        _take(entry, number, name, found)
        if _stop(number, name, found):
            return
    if not number:
        found.refuse(0, _NO_ACCOUNT, file=name)


def _stop(line: int, name: str, found: _Found) -> bool:
    if found.full:
        found.refuse(line, f"stopped here: there are {ACCOUNTS_MAX} accounts", file=name)
    return found.full


def _take(entry: object, line: int, name: str, found: _Found) -> None:
    fallback = printable(f"{name.rpartition('/')[2].rpartition('.')[0] or name} {line}")
    try:
        match entry:
            case str():
                found.add(from_line(entry, fallback=fallback), line=line, file=name)
            case dict():
                found.add(from_object(entry, fallback=fallback), line=line, file=name)
            case _ if entry is _BROKEN:
                found.refuse(line, "not valid JSON", file=name)
            case _:
                raise Unusable("not an account: expected an object or a token")  # noqa: TRY301 - one place reports all
    except Unusable as error:
        found.refuse(line, str(error), file=name)


def _entries(document: object, *, depth: int) -> Iterator[object]:
    """Yield what a JSON document lists: its own items, or those below `accounts`."""
    match document:
        case {"accounts": list(listed)} | list(listed) if depth < _DEPTH_MAX:
            for item in listed:
                yield from _entries(item, depth=depth + 1)
        case _:
            yield document

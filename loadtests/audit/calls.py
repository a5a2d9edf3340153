"""Holds three accounts of the same calls against each other: callers', gateway's, simulator's.

Pure. What a caller has heard to its end must be booked once, with the figures of the upstream. Of
what broke off after content had come there must be one row that says so. Nothing may be booked
twice, and the sums must be those of the rows. A call has one end, its own words in the order in
which they were sent, and no second attempt after the first of them.

Calls are joined by the mark that the caller has the simulator write into each piece of the answer:
it is the request's id, so that foreign words give themselves away.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loadtests.audit.books import Books, Row
from loadtests.audit.evidence import Evidence
from loadtests.callers import Seen

FIGURES: Final = ("input", "cached", "output", "reasoning", "cost_nusd")
SHARE_OF_RETRIES: Final = 0.2
RETRIES_FREE: Final = 10
WINDOW_S: Final = 10
Tries = Mapping[str, Sequence[Row]]
"""The simulator's records of each call, in the order in which they were begun."""


def tries(ledger: Sequence[Row]) -> Tries:
    """Sort the simulator's records by call."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for record in ledger:
        if record.get("nonce"):
            found[record["nonce"]].append(record)
    for records in found.values():
        records.sort(key=lambda record: record["began_ns"])
    return found


def one_end(evidence: Evidence) -> Iterator[str]:
    """I1: what was accepted is whole, failed with a word, or was left by its caller."""
    for each in evidence.seen:
        ends = each.ended + bool(each.code) + each.left
        if each.code and each.cut:
            if not evidence.killed:
                yield f"{name(each)} was cut off: {each.code}"
        elif not ends:
            yield f"{name(each)} had status {each.status} and no end"
        elif ends > 1 and not each.left:
            yield f"{name(each)} has ended well and with {each.code}"


def in_order(evidence: Evidence) -> Iterator[str]:
    """I2: pieces come in order, none is missing or comes twice, and none after the end."""
    for each in evidence.seen:
        yield from (f"{name(each)} {said}" for said in each.disorder)


def own_words(evidence: Evidence) -> Iterator[str]:
    """I3: a caller hears its own words only."""
    for each in evidence.seen:
        yield from (f"{name(each)} heard the words of {other}" for other in each.foreign)


def booked(evidence: Evidence) -> Iterator[str]:
    """I4: what is booked is what happened, once."""
    books = evidence.books
    if books is None:
        return
    tried = tries(evidence.ledger)
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in books.requests:
        rows[row["request_id"]].append(row)
    last: dict[str, Row] = {}
    for row in sorted(books.attempts, key=lambda row: row["number"]):
        last[row["uid"]] = row
    for each in evidence.seen:
        yield from _call(each, rows[each.request_id], last, tried.get(each.request_id, ()))
    yield from _twice(books)
    yield from _sums(books)


def no_second_try(evidence: Evidence) -> Iterator[str]:
    """I8: after the first content there is no further attempt, and never more than allowed."""
    tried = tries(evidence.ledger)
    for each in evidence.seen:
        records = tried.get(each.request_id, ())
        if len(records) > evidence.attempts_max:
            yield f"{name(each)} was tried {len(records)} times, of {evidence.attempts_max}"
        if each.content and each.response_id:
            yield from _after_content(each, records)
    yield from _storms(tried)


def name(seen: Seen) -> str:
    """Name a call in a sentence."""
    how = "stream" if seen.stream else "whole"
    return f"{seen.request_id} ({seen.dialect}, {how}, {seen.response_id or '-'})"


def _after_content(seen: Seen, records: Sequence[Row]) -> Iterator[str]:
    said = [record["response_id"] for record in records]
    if seen.response_id in said and said[-1] != seen.response_id:
        yield f"{name(seen)} was tried again after its content had begun"


def _storms(tried: Tries) -> Iterator[str]:
    """Retries may be a fifth of the calls of any ten seconds, and some are free."""
    first: Counter[int] = Counter()
    again: Counter[int] = Counter()
    for records in tried.values():
        for number, record in enumerate(records):
            second = record["began_ns"] // (WINDOW_S * 1_000_000_000)
            (again if number else first)[second] += 1
    for window, count in again.items():
        # The gateway's ten seconds begin where they like: they meet two of these.
        calls = first[window] + first[window - 1]
        allowed = 2 * RETRIES_FREE + SHARE_OF_RETRIES * calls
        if count > allowed:
            yield f"{count} attempts were made again in {WINDOW_S} s, of {calls} calls"


def _call(
    seen: Seen, rows: Sequence[Row], attempts: Mapping[str, Row], records: Sequence[Row]
) -> Iterator[str]:
    if len(rows) > 1:
        yield f"{name(seen)} is booked {len(rows)} times"
    elif seen.ended:
        last = next((each for each in reversed(records) if each["tokens"]), None)
        if not rows:
            yield f"{name(seen)} was heard to its end and is not booked"
        elif last is None and not seen.unpriced:
            yield f"{name(seen)} is unknown to the simulator"
        else:
            # An attempt that broke off is estimated and paid for as well: the sums tell.
            yield from _figures(seen, rows[0], attempts[rows[0]["uid"]], last)
    elif seen.content and not rows:
        yield f"{name(seen)} was partly delivered and is not booked"
    elif seen.content and not rows[0]["interrupted"] and rows[0]["code"] == "ok" and not seen.left:
        yield f"{name(seen)} was partly delivered and is booked as if it were whole"


def _figures(seen: Seen, row: Row, attempt: Row, record: Row | None) -> Iterator[str]:
    if row["code"] != "ok":
        yield f"{name(seen)} is booked as {row['code']}"
    source = "estimated" if seen.unpriced else "upstream"
    if attempt["source"] != source:
        yield f"{name(seen)} is booked by {attempt['source']}, and not by {source}"
    if seen.unpriced or record is None:
        return
    tokens = record["tokens"]
    details = tokens.get("input_tokens_details") or {}
    said = (tokens["input_tokens"], details.get("cached_tokens", 0), tokens["output_tokens"])
    kept = (attempt["input"], attempt["cached"], attempt["output"])
    if kept != said:
        yield f"{name(seen)} is booked with {kept}, and the upstream said {said}"


def _twice(books: Books) -> Iterator[str]:
    for what, keys in (
        ("request", Counter(row["uid"] for row in books.requests)),
        ("attempt", Counter((row["uid"], row["number"]) for row in books.attempts)),
    ):
        yield from (f"{what} {key} stands there {n} times" for key, n in keys.items() if n > 1)
    whole = Counter(row["uid"] for row in books.attempts if row["outcome"] == "succeeded")
    yield from (f"{uid} has {n} attempts that succeeded" for uid, n in whole.items() if n > 1)


def _sums(books: Books) -> Iterator[str]:
    tried: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in books.attempts:
        tried[row["uid"]].update({name: row[name] for name in FIGURES})
    for row in books.requests:
        wrong = [name for name in FIGURES if row[name] != tried[row["uid"]][name]]
        if wrong:
            yield f"{row['request_id']}: {', '.join(wrong)} is not the sum over its attempts"
    whole = Counter[str]({"requests": len(books.requests), "attempts": len(books.attempts)})
    kept = Counter[str]()
    for row in books.attempts:
        whole.update({name: row[name] for name in FIGURES})
    for row in books.totals:
        kept.update({name: row[name] for name in whole})
    yield from (
        f"the hours have {kept[name]} {name}, the rows {count}"
        for name, count in whole.items()
        if kept[name] != count
    )

"""Holds three accounts of the same calls against each other: callers', gateway's, simulator's.

Pure. What a caller has heard to its end must be booked once, with the figures of the upstream. Of
what broke off after content had come there must be one row that says so. Nothing may be booked
twice, and the sums must be those of the rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from loadtests.callers import Seen

Row = Mapping[str, Any]
FIGURES: Final = ("input", "cached", "output", "reasoning", "cost_nusd")


class Books(Struct, frozen=True):
    """What the gateway's database holds, in rows."""

    requests: Sequence[Row]
    attempts: Sequence[Row]
    totals: Sequence[Row]
    """The sums of all calls, by hours."""


class Audit(Struct, frozen=True):
    """What was compared, and everything that does not agree."""

    whole: int
    broken: int
    faults: Sequence[str]


def audit(seen: Sequence[Seen], books: Books, upstream: Iterable[Row]) -> Audit:
    """Compare them all; `upstream` are the records of the simulator."""
    by_response = {record["response_id"]: record for record in upstream}
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in books.requests:
        rows[row["request_id"]].append(row)
    faults = [fault for each in seen for fault in _call(each, rows[each.request_id], by_response)]
    faults += _twice(books)
    faults += _sums(books)
    return Audit(
        whole=sum(each.ended for each in seen),
        broken=sum(each.content and not each.ended for each in seen),
        faults=faults,
    )


def _call(seen: Seen, rows: Sequence[Row], upstream: Mapping[str, Row]) -> Iterator[str]:
    name = f"{seen.request_id} ({'stream' if seen.stream else 'whole'}, {seen.response_id or '-'})"
    if len(rows) > 1:
        yield f"{name} is booked {len(rows)} times"
    elif seen.ended:
        record = upstream.get(seen.response_id)
        if not rows:
            yield f"{name} was heard to its end and is not booked"
        elif record is None:
            yield f"{name} is unknown to the simulator"
        else:
            yield from _figures(name, rows[0], record["tokens"])
    elif seen.content and not rows:
        yield f"{name} was partly delivered and is not booked"
    elif seen.content and not rows[0]["interrupted"] and rows[0]["code"] == "ok":
        yield f"{name} was partly delivered and is booked as if it were whole"


def _figures(name: str, row: Row, tokens: Mapping[str, Any]) -> Iterator[str]:
    details = tokens.get("input_tokens_details") or {}
    said = (tokens["input_tokens"], details.get("cached_tokens", 0), tokens["output_tokens"])
    kept = (row["input"], row["cached"], row["output"])
    if kept != said:
        yield f"{name} is booked with {kept}, and the upstream said {said}"
    if (row["code"], row["source"]) != ("ok", "upstream"):
        yield f"{name} is booked as {row['code']}, by {row['source']}"


def _twice(books: Books) -> Iterator[str]:
    for what, keys in (
        ("request", Counter(row["uid"] for row in books.requests)),
        ("attempt", Counter((row["uid"], row["number"]) for row in books.attempts)),
    ):
        yield from (f"{what} {key} stands there {n} times" for key, n in keys.items() if n > 1)


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

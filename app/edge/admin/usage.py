"""`/api/admin/usage`: what was used and paid, from the sums; and the log of single requests."""

import csv
import io
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency as Given
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from app.admin.rows import ReportRows, RequestRows
from app.domain.ledger import AttemptRow, RequestRow
from app.domain.report import (
    Code,
    Dimension,
    Latency,
    Line,
    Only,
    Overview,
    Place,
    Point,
    Step,
    Wanted,
    Window,
)
from app.errors import CallerError, InvalidRequest
from app.ports import Clock

PAGE_MAX: Final = 200
CSV_ROWS_MAX: Final = 100_000
CSV_TYPE: Final = "text/csv"
COLUMNS: Final = (
    "at", "request_id", "uid", "caller_id", "account_id", "dialect", "model", "asked_model",
    "stream", "status", "code", "attempts", "input_tokens", "cached_tokens", "output_tokens",
    "reasoning_tokens", "cost_usd", "queue_s", "first_event_s", "seconds", "added_s",
)  # fmt: skip

Count = Annotated[int, QueryParameter(ge=1, le=92, description="Hours (at most 48) or days.")]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAX)]
Filter = Annotated[str | None, QueryParameter(max_length=256)]


class StepName(StrEnum):
    """How fine a series is."""

    HOUR = "hour"
    DAY = "day"


class By(StrEnum):
    """What sums can be told apart by."""

    MODEL = "model"
    ACCOUNT = "account"
    CALLER = "caller"


class Series(Struct, frozen=True):
    """A point for each hour or day, the latest last."""

    items: list[Point]


class Lines(Struct, frozen=True):
    """The sums of models, accounts or callers, most requests first; 200 at most."""

    items: list[Line]


class Codes(Struct, frozen=True):
    """Errors, the most frequent first."""

    items: list[Code]


class Requests(Struct, frozen=True):
    """Some requests, the latest first."""

    items: list[RequestRow]
    next_cursor: str | None
    """Send it as `cursor` for what comes after; null at the end. A page may be short, or empty."""


class RequestDetail(Struct, frozen=True):
    """A request and its attempts, in their order."""

    request: RequestRow
    attempts: list[AttemptRow]


_STEPS: Final = {StepName.HOUR: Step.HOUR, StepName.DAY: Step.DAY}
_BY: Final = {
    By.MODEL: Dimension.MODEL,
    By.ACCOUNT: Dimension.ACCOUNT,
    By.CALLER: Dimension.CALLER,
}


async def only(caller_id: Filter = None, account_id: Filter = None, model: Filter = None) -> Only:
    """Return what sums are asked of."""
    return Only(caller_id, account_id, model)


class Span(Struct, frozen=True):
    """So many hours or days."""

    step: StepName
    count: int

    @property
    def window(self) -> Window:
        """The same as a store has it."""
        return Window(_STEPS[self.step], self.count)


async def span(step: FromQuery[StepName] = StepName.HOUR, count: Count = 24) -> Span:
    """Return the hours or days that sums are asked of."""
    return Span(step, count)


async def wanted(  # noqa: PLR0913 - one argument a query parameter
    *,
    caller_id: Filter = None,
    account_id: Filter = None,
    model: Filter = None,
    status_class: Annotated[int | None, QueryParameter(ge=0, le=5)] = None,
    code: Filter = None,
    request_id: Filter = None,
    since: FromQuery[float | None] = None,
    until: FromQuery[float | None] = None,
) -> Wanted:
    """Return which requests are asked for."""
    return Wanted(caller_id, account_id, model, status_class, code, request_id, since, until)


class UsageController(Controller):
    """Usage. Hours and days are those of UTC, and the present one is part of each window."""

    path = "/usage"
    tags = ("usage",)
    dependencies = {  # noqa: RUF012 - so Litestar has it
        "only": Provide(only),
        "span": Provide(span),
        "wanted": Provide(wanted),
    }

    @get("/overview")
    async def overview(
        self, reports: Given[ReportRows], clock: Given[Clock], only: Given[Only]
    ) -> Overview:
        """Return the sums of this hour, today, and the last 24 hours, 7 days and 30 days."""
        return await reports.overview(clock.now(), only)

    @get("/series")
    async def series(
        self,
        reports: Given[ReportRows],
        clock: Given[Clock],
        span: Given[Span],
        only: Given[Only],
    ) -> Series:
        """Return a point for each hour or day."""
        return Series(await reports.series(span.window, clock.now(), only))

    @get("/lines")
    async def lines(
        self,
        *,
        reports: Given[ReportRows],
        clock: Given[Clock],
        span: Given[Span],
        only: Given[Only],
        by: FromQuery[By] = By.MODEL,
    ) -> Lines:
        """Return the sums of each model, account or caller."""
        return Lines(await reports.lines(_BY[by], span.window, clock.now(), only))

    @get("/errors")
    async def errors(
        self,
        reports: Given[ReportRows],
        clock: Given[Clock],
        span: Given[Span],
        only: Given[Only],
    ) -> Codes:
        """Return how many requests ended with which code."""
        return Codes(await reports.codes(span.window, clock.now(), only))

    @get("/latency")
    async def latency(
        self,
        reports: Given[ReportRows],
        clock: Given[Clock],
        span: Given[Span],
        only: Given[Only],
    ) -> Latency:
        """Return how long the first events took."""
        return await reports.latency(span.window, clock.now(), only)

    @get("/requests")
    async def requests(
        self,
        *,
        requests: Given[RequestRows],
        wanted: Given[Wanted],
        cursor: Filter = None,
        limit: Limit = 50,
    ) -> Requests:
        """Return single requests, page by page."""
        page = await requests.page(wanted, after=place(cursor), limit=limit)
        return Requests(page.requests, None if page.next is None else cursor_of(page.next))

    @get("/requests.csv", media_type=CSV_TYPE)
    async def requests_csv(
        self,
        *,
        requests: Given[RequestRows],
        wanted: Given[Wanted],
        rows: Annotated[int, QueryParameter(ge=1, le=CSV_ROWS_MAX)] = CSV_ROWS_MAX,
    ) -> Stream:
        """Return single requests as CSV, at most a hundred thousand."""
        named = {"content-disposition": 'attachment; filename="requests.csv"'}
        return Stream(_csv(requests, wanted, rows), media_type=CSV_TYPE, headers=named)

    @get("/requests/{uid:str}")
    async def request(self, uid: FromPath[str], requests: Given[RequestRows]) -> RequestDetail:
        """Return one request with its attempts and the parts of its latency."""
        found = await requests.request(uid)
        if found is None:
            raise CallerError("There is no such request.", status=404, code="not_found")
        return RequestDetail(found.request, found.attempts)


def cursor_of(place: Place) -> str:
    """Return what names a place in the log."""
    return urlsafe_b64encode(msgspec.json.encode((place.at, place.uid))).decode().rstrip("=")


def place(cursor: str | None) -> Place | None:
    """Return the place that a cursor names.

    Raises:
        InvalidRequest: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, uid = msgspec.json.decode(data, type=tuple[float, str])
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest("This is no cursor of ours.", param="cursor") from None
    return Place(at, uid)


async def _csv(requests: RequestRows, wanted: Wanted, rows: int) -> AsyncIterator[bytes]:
    """Yield a page of the log at a time; nothing more is ever held."""
    yield _text([COLUMNS])
    after, left = None, rows
    while left > 0:
        page = await requests.page(wanted, after=after, limit=min(left, PAGE_MAX))
        if page.requests:
            yield _text([_cells(each) for each in page.requests])
        left -= len(page.requests)
        after = page.next
        if after is None:
            return


def _text(rows: list[tuple[object, ...]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[_cell(each) for each in row] for row in rows])
    return buffer.getvalue().encode()


def _cell(value: object) -> object:
    """Return what a spreadsheet can't take for a formula: callers choose some of these texts."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _cells(row: RequestRow) -> tuple[object, ...]:
    used = row.usage
    return (
        row.at, row.request_id, row.uid, row.caller_id, row.account_id, row.dialect, row.model,
        row.asked_model, row.stream, row.status, row.code, row.attempts, used.input, used.cached,
        used.output, used.reasoning, row.cost_nusd / 1e9, row.queue_s, row.first_event_s,
        row.seconds, row.added_s,
    )  # fmt: skip

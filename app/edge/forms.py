"""Multipart forms: fields and files, bounded, and what is wrong with one said by name.

The body is here already and within its limit; it is read through in pieces, so that a form of many
parts ends at its bounds and not at its end.
"""

from typing import Final

from msgspec import Struct
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from app.errors import InvalidRequest

PARTS_MAX: Final = 64
FIELD_BYTES_MAX: Final = 1 << 20
"""One text field; prompts are at most 32,000 characters."""
_PIECE_BYTES: Final = 262_144
_HEADERS_MAX: Final = 8
_BOUNDARY_CHARS_MAX: Final = 70
"""As RFC 2046 has it."""


class File(Struct, frozen=True):
    """A file in a form, under the name of its field."""

    field: str
    data: bytes


class Form(Struct, frozen=True):
    """What a form says: its text fields, and its files in their order."""

    fields: dict[str, str]
    files: list[File]


def is_form(content_type: str | None) -> bool:
    """Tell whether a request says that its body is a multipart form."""
    return _kind(content_type) == "multipart/form-data"


def read_form(body: bytes, content_type: str) -> Form:
    """Return the form in `body`.

    Raises:
        InvalidRequest: It is broken, has too many or too long parts, or says something twice.
    """
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary or len(boundary) > _BOUNDARY_CHARS_MAX or not boundary.isascii():
        raise InvalidRequest(
            "The content type 'multipart/form-data' needs a 'boundary' of 1 to 70 characters.",
            param="content-type",
        )
    reading = _Reading()
    view = memoryview(body)
    try:
        with PushMultipartParser(
            boundary,
            content_length=len(body),
            max_header_count=_HEADERS_MAX,
            max_segment_count=PARTS_MAX,
        ) as parser:
            for start in range(0, len(body), _PIECE_BYTES):
                for event in parser.parse(bytes(view[start : start + _PIECE_BYTES])):
                    reading.take(event)
    except ParserLimitReached:
        raise InvalidRequest(
            f"The form has more than {PARTS_MAX} parts, or a part has too many headers.",
            param=reading.at,
        ) from None
    except MultipartError as error:
        raise InvalidRequest(
            f"The request body is no whole multipart form: {error}.", param=reading.at
        ) from None
    return Form(reading.fields, reading.files)


class _Reading:
    """The parts so far."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[File] = []
        self.at: str | None = None
        """The part that is being read."""
        self._is_file = False
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """Take the next event of the parser: a part's head, a piece of it, or its end."""
        if isinstance(event, MultipartSegment):
            if not event.name:
                raise InvalidRequest("A part of the form has no name.")
            self.at = event.name
            self._is_file = event.filename is not None
            self._pieces, self._size = [], 0
        elif event is None:
            self._end()
        else:
            self._size += len(event)
            if not self._is_file and self._size > FIELD_BYTES_MAX:
                raise InvalidRequest(
                    f"Invalid value for '{self.at}': over {FIELD_BYTES_MAX} bytes.", param=self.at
                )
            self._pieces.append(bytes(event))

    def _end(self) -> None:
        name, data = self.at or "", b"".join(self._pieces)
        self._pieces = []
        if self._is_file:
            self.files.append(File(name, data))
            return
        if name in self.fields:
            raise InvalidRequest(f"The field '{name}' stands twice in the form.", param=name)
        try:
            self.fields[name] = data.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"The field '{name}' is not valid UTF-8.", param=name) from None


def _kind(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()

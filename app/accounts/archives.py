"""Zip archives of credential files, unpacked in memory and within bounds.

Nothing that an archive says of itself is believed: how much it unpacks to is counted while it
is unpacked. Names are only shown, never used as paths, and an archive in an archive stays
packed.
"""

from collections.abc import Iterator
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812 - the library's name is taken by every variable

from msgspec import Struct

MEMBERS_MAX = 20_000
MEMBER_BYTES_MAX = 32 << 20
UNPACKED_BYTES_MAX = 64 << 20

_ENCRYPTED = 1
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_DIRECTORY_RECORD = b"PK\x01\x02"


class BadArchive(ValueError):
    """The archive is refused as a whole; says why."""


class Member(Struct, frozen=True):
    """One file of an archive: its bytes, or why there are none."""

    name: str
    data: bytes
    fault: str | None = None


def is_archive(data: bytes) -> bool:
    """Tell whether `data` begins as a zip archive does."""
    return data.startswith(_MAGIC)


def unpack(data: bytes) -> list[Member]:
    """Return the files of an archive.

    Raises:
        BadArchive: It is damaged, or larger than anybody's accounts.
    """
    # The library builds an object for each record before anybody can count them.
    if data.count(_DIRECTORY_RECORD) > MEMBERS_MAX:
        raise BadArchive(f"the archive has more than {MEMBERS_MAX} files")
    try:
        with ZipFile(BytesIO(data)) as archive:
            return list(_members(archive))
    except (BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
        if isinstance(error, BadArchive):
            raise
        raise BadArchive("the archive is damaged") from None


def _members(archive: ZipFile) -> Iterator[Member]:
    left = UNPACKED_BYTES_MAX
    for info in archive.infolist():
        # Not `is_dir`: it looks at the last character of a name that may have none.
        if info.filename.endswith("/") or _is_clutter(info.filename):
            continue
        member = _member(archive, info, bytes_max=min(left, MEMBER_BYTES_MAX))
        left -= len(member.data)
        yield member


def _member(archive: ZipFile, info: ZipInfo, *, bytes_max: int) -> Member:
    if info.flag_bits & _ENCRYPTED:
        return Member(info.filename, b"", "it is encrypted")
    # The other methods need far more memory to unpack, and no program exports with them.
    if info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        return Member(info.filename, b"", "its compression is not supported")
    try:
        with archive.open(info) as file:
            data = file.read(bytes_max + 1)
    except (BadZipFile, ZlibError, EOFError):
        return Member(info.filename, b"", "it is damaged")
    if len(data) > bytes_max:
        raise BadArchive(
            f"the archive unpacks to more than {UNPACKED_BYTES_MAX >> 20} MiB, "
            f"or one file of it to more than {MEMBER_BYTES_MAX >> 20} MiB"
        )
    if is_archive(data):
        return Member(info.filename, b"", "it is an archive itself")
    return Member(info.filename, data)


def _is_clutter(name: str) -> bool:
    """Tell whether a file is what systems leave beside people's files."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")

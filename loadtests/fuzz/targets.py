"""What is fuzzed. A target takes any bytes and raises only where its parser is wrong.

Besides "no other exception" each states what must hold of an answer, because a parser that never
raises and answers nonsense is no better.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from app.accounts.importing import parse
from app.dialects import embeddings
from app.dialects.chat import requests as chat
from app.dialects.chat.tuning import tuning_of as tuning_of_chat
from app.dialects.chat_upstream.requests import to_chat
from app.dialects.completions import requests as completions
from app.dialects.counting import measured
from app.dialects.images.requests import inputs_of, to_native, to_tool
from app.dialects.images.schema import decode as image_request
from app.dialects.messages import requests as messages
from app.dialects.messages.options import tuning as tuning_of_messages
from app.dialects.responses import requests as responses
from app.dialects.responses.continuing import references, refers
from app.dialects.responses.encrypted import of_input
from app.dialects.responses.frames import message_of, turn_request
from app.dialects.responses.needs import needs_of, tuning_of
from app.dialects.responses.platform import to_platform, with_model
from app.domain.account import Secret
from app.errors import GatewayError, UpstreamProtocolError
from app.store.keyring import Keyring, Place, SealBroken, kid_of
from app.wire.headers import HEADER_BYTES_MAX, request_headers, response_headers
from app.wire.peek import peek
from app.wire.sse import SseDecoder

EVENT_BYTES_MAX: Final = 4_096
MODEL: Final = "gpt-5.5"
RING: Final = Keyring(["of-the-fuzzer-and-of-nobody-else-0123456789"])
PLACE: Final = Place("credentials", "row", "refresh_token", 3)
WANTED: Final = responses.Wanted(
    upstream_model=MODEL, efforts=("low", "high"), codex_client=False, lite=None
)
LITE: Final = replace(WANTED, lite=True)
Target = Callable[[bytes], None]
Translation = Callable[[bytes], tuple[bytes, bytes]]
"""Of any bytes into a request in the common tongue, and what else its caller asked for."""


class Wrong(Exception):
    """An answer that must not be."""


def sse(data: bytes) -> None:
    """However a stream is cut, its events are the same; only too large a one is refused."""
    step, stream = (data[0] % 16 + 1, data[1:]) if data else (1, b"")
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    cut, whole = _events(pieces), _events([stream])
    if cut is not None and whole is not None and cut != whole:
        raise Wrong(f"{cut} in pieces of {step}, {whole} at once")


def _events(pieces: list[bytes]) -> list[bytes] | None:
    decoder = SseDecoder(event_bytes_max=EVENT_BYTES_MAX)
    found = []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
    except UpstreamProtocolError:
        return None
    last = decoder.finish()
    return [each.data for each in (*found, *([last] if last else ()))]


def headers(data: bytes) -> None:
    """What travels is clean, bounded, and stands once, in either direction."""
    pairs = [line.partition(b":")[::2] for line in data.split(b"\n")]
    try:
        sent = request_headers(pairs)
    except GatewayError:
        sent = ()
    words = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
    back = [*response_headers(words, codex_route=True), *response_headers(words, codex_route=False)]
    spelled = [*((name.encode(), value.encode()) for name, value in sent), *back]
    for name, value in spelled:
        if any(byte < 32 and byte != 9 for byte in name + value):
            raise Wrong(f"{name!r}: {value!r} travels")
    if sum(len(name) + len(value) for name, value in spelled) > 3 * HEADER_BYTES_MAX:
        raise Wrong("more travels than is allowed")
    if len({name for name, _ in sent}) != len(sent):
        raise Wrong("a name travels twice")


def sealed(data: bytes) -> None:
    """No bytes but those that were sealed open, and those only where they belong."""
    try:
        kid_of(data)
        RING.open(data, PLACE)
    except SealBroken:
        pass
    else:
        raise Wrong("it opens")
    record = RING.seal(Secret("canary"), PLACE)
    at = data[0] % len(record) if data else 0
    changed = record[:at] + data[1:2] + record[at + 1 :]
    if changed == record:
        return
    try:
        RING.open(changed, PLACE)
    except SealBroken:
        return
    raise Wrong("a changed record opens")


def imports(data: bytes) -> None:
    """A file of accounts gives accounts or faults, and never an exception."""
    found = parse(data, name="accounts.txt")
    if data.strip() and not found.accounts and not found.faults:
        raise Wrong("neither an account nor a fault")


def bodies(data: bytes) -> None:
    """A request is refused with a reason, or becomes one that is JSON, for every upstream."""
    for translate in (_responses, _chat, _messages, _completion):
        found: list[tuple[bytes, bytes]] = []
        _sound(partial(_kept, translate, data, found))
        for body, tuning in found:
            _sound(partial(_counted, body))
            _sound(partial(to_platform, body, tuning, model=MODEL))
            _sound(partial(_by_chat, body, tuning, platform=True))
            _sound(partial(_by_chat, body, tuning, platform=False))
    for make in (_image, _embeddings, _turn):
        _sound(partial(make, data))


def _sound(make: Callable[[], bytes]) -> None:
    try:
        body = make()
    except GatewayError as error:
        if not str(error):
            raise Wrong("refused without a reason") from error
        return
    if not isinstance(json.loads(body), dict):
        raise Wrong("what goes upstream is no object")


def _kept(translate: Translation, data: bytes, found: list[tuple[bytes, bytes]]) -> bytes:
    found.append(translate(data))
    return found[-1][0]


def _counted(body: bytes) -> bytes:
    return b'{"tokens":%d}' % measured(body).fixed


def _by_chat(body: bytes, tuning: bytes, *, platform: bool) -> bytes:
    return to_chat(body, tuning, model=MODEL, platform=platform).body


def _responses(data: bytes) -> tuple[bytes, bytes]:
    seen = peek(data)
    fields = seen.fields
    responses.to_upstream(data, seen, LITE)
    body = responses.to_upstream(data, seen, WANTED)
    items = of_input(fields["input"]) if seen.encrypted else ()
    needs_of(fields, bound=bool(items))
    if refers(data):
        references(fields["input"])
    return body, tuning_of(fields)


def _chat(data: bytes) -> tuple[bytes, bytes]:
    seen = peek(data)
    made = chat.to_responses(chat.decode(data), upstream_model=MODEL, efforts=None)
    return made.body, tuning_of_chat(seen.fields)


def _messages(data: bytes) -> tuple[bytes, bytes]:
    peek(data)
    request = messages.decode(data)
    made = messages.to_responses(request, upstream_model=MODEL, efforts=None)
    return made.body, tuning_of_messages(request)


def _completion(data: bytes) -> tuple[bytes, bytes]:
    fields = peek(data).fields
    asked = completions.to_responses(completions.decode(data), fields, upstream_model=MODEL)
    return asked.body, asked.tuning


def _image(data: bytes) -> bytes:
    request = image_request(data)
    inputs = inputs_of(request)
    to_native(request, inputs, model="gpt-image-1")
    return to_tool(request, inputs, host=MODEL)


def _embeddings(data: bytes) -> bytes:
    peek(data)
    embeddings.decode(data)
    return with_model(data, MODEL)


def _turn(data: bytes) -> bytes:
    # What is no UTF-8 never becomes a message.
    text = data.decode("utf-8", "replace").encode()
    message_of(text)
    body = turn_request(text).body
    peek(body)
    return body


TARGETS: Final[dict[str, Target]] = {
    "sse": sse,
    "headers": headers,
    "sealed": sealed,
    "imports": imports,
    "bodies": bodies,
}

"""An embeddings request on its way to an upstream, and what its answer says of usage. Pure.

Nothing is translated: the form is checked, the model gets its upstream name, and the answer is
passed on as it came.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from app.domain.usage import Usage
from app.errors import InvalidRequest
from app.wire.violations import decoded, missing_field, wrong_type

INPUTS_MAX: Final = 2_048


class EmbeddingsRequest(Struct):
    """One request, its known fields checked."""

    model: Annotated[str, Meta(min_length=1)]
    input: object = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None


class _Counted(Struct):
    prompt_tokens: int | None = None


class _Answer(Struct):
    usage: _Counted | None = None


_REQUEST: Final = msgspec.json.Decoder(EmbeddingsRequest)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


def decode(body: bytes) -> EmbeddingsRequest:
    """Return the request in `body`, which is known to be a JSON object.

    Raises:
        InvalidRequest: A field has a wrong type or range, or there is nothing to embed.
    """
    request = decoded(body, _REQUEST)
    match request.input:
        case None:
            raise missing_field("input")
        case "" | []:
            raise InvalidRequest("Invalid value for 'input': it is empty.", param="input")
        case list(inputs) if len(inputs) > INPUTS_MAX and not isinstance(inputs[0], int):
            raise InvalidRequest(
                f"Invalid value for 'input': expected at most {INPUTS_MAX} inputs,"
                f" got {len(inputs)}.",
                param="input",
            )
        case str() | [str() | int() | list(), *_]:
            return request
    raise wrong_type("input", "a string or an array", "something else")


def usage_of(body: bytes) -> Usage | None:
    """Return the tokens that an answer counts; None if it does not."""
    try:
        usage = _ANSWER.decode(body).usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if usage is None or usage.prompt_tokens is None:
        return None
    return Usage(input=max(0, usage.prompt_tokens))

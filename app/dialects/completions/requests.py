"""A legacy completions request, said in Responses. Pure.

A prompt becomes what one user says, so the answer is that of a chat model and no continuation of
the text; what only a continuation could give (several prompts, tokens, log probabilities, a suffix)
is refused with the reason, and never left out in silence.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from app.dialects.chat.tuning import tuning_of
from app.dialects.responses.options import ENCRYPTED_REASONING
from app.errors import InvalidRequest
from app.wire.violations import decoded, missing_field, wrong_type

Penalty = Annotated[float, Meta(ge=-2, le=2)]


class StreamOptions(Struct):
    """How the stream is delivered."""

    include_usage: bool | None = None


class CompletionRequest(Struct):
    """One request, its known fields checked."""

    model: Annotated[str, Meta(min_length=1)]
    prompt: object = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    seed: int | None = None
    user: str | None = None

    # Checked, and refused where they ask for what can't be had.
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    suffix: str | None = None


class CompletionCall(Struct, frozen=True):
    """What goes upstream, and what the reply needs to know."""

    model: str
    """As the caller wrote it; replies repeat it."""
    prompt: str
    stream: bool
    include_usage: bool
    echo: bool
    max_tokens: int | None
    body: bytes
    tuning: bytes


_REQUEST: Final = msgspec.json.Decoder(CompletionRequest)


def decode(body: bytes) -> CompletionRequest:
    """Return the request in `body`, which is known to be a JSON object.

    Raises:
        InvalidRequest: A field has a wrong type or range.
    """
    return decoded(body, _REQUEST)


def to_responses(
    request: CompletionRequest,
    fields: Mapping[str, Raw],
    *,
    upstream_model: str,
    effort: str | None = None,
) -> CompletionCall:
    """Return the call that asks the upstream what `request` asks.

    Args:
        request: What the caller asks.
        fields: The same as raw JSON.
        upstream_model: The model's name upstream.
        effort: The effort that the model's name asks for.

    Raises:
        InvalidRequest: It asks for what can't be given; `param` names the field.
    """
    _refuse_unsupported(request)
    prompt = _prompt(request.prompt, present="prompt" in fields)
    body: dict[str, object] = {
        "model": upstream_model,
        "instructions": "",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": prompt}],
            }
        ],
        "include": [ENCRYPTED_REASONING],
        "store": False,
        "stream": True,
    }
    if effort is not None:
        body["reasoning"] = {"effort": effort}
    options = request.stream_options
    return CompletionCall(
        model=request.model,
        prompt=prompt,
        stream=bool(request.stream),
        include_usage=bool(options and options.include_usage),
        echo=bool(request.echo),
        max_tokens=request.max_tokens,
        body=msgspec.json.encode(body),
        tuning=tuning_of(fields),
    )


def _refuse_unsupported(request: CompletionRequest) -> None:
    several = "one answer is given to a request: leave it out or send 1"
    wanted: Sequence[tuple[bool, str, str]] = (
        ((request.n or 1) > 1, "n", several),
        ((request.best_of or 1) > 1, "best_of", several),
        (request.logprobs is not None, "logprobs", "log probabilities are not available"),
        (bool(request.suffix), "suffix", "text can't be inserted before it: send it in 'prompt'"),
        (request.max_tokens == 0, "max_tokens", "an answer has one token at least"),
        (
            request.stream_options is not None and not request.stream,
            "stream_options",
            "it is only allowed when 'stream' is enabled",
        ),
    )
    for asked, param, reason in wanted:
        if asked:
            raise InvalidRequest(f"Unsupported value for '{param}': {reason}.", param=param)


def _prompt(prompt: object, *, present: bool) -> str:
    """Return the only prompt."""
    match prompt:
        case str():
            return prompt
        case [str(text)]:
            return text
        case None if not present:
            raise missing_field("prompt")
        case [str(), *_]:
            raise InvalidRequest(
                "Unsupported value for 'prompt': several prompts in one request are not available:"
                " send a request for each.",
                param="prompt",
            )
        case [int() | list(), *_]:
            raise InvalidRequest(
                "Unsupported value for 'prompt': tokens are not available: send the text.",
                param="prompt",
            )
        case []:
            raise InvalidRequest("Invalid value for 'prompt': it is empty.", param="prompt")
    kinds = {dict: "an object", bool: "a boolean", int: "a number", float: "a number"}
    raise wrong_type("prompt", "a string", kinds.get(type(prompt), "null or an odd array"))

"""What callers may send, as an OpenAPI document, from which requests are made up, good and bad.

It is wide where the public APIs are: a field that many clients send is named, and anything else may
stand beside it.
"""

from typing import Any, Final

from tests.e2e.programs import MODEL

Json = dict[str, Any]

STRING: Final[Json] = {"type": "string", "maxLength": 40}
NUMBER: Final[Json] = {"type": "number", "minimum": 0, "maximum": 2}
COUNT: Final[Json] = {"type": "integer", "minimum": 1, "maximum": 64}
FLAG: Final[Json] = {"type": "boolean"}
OBJECT: Final[Json] = {"type": "object"}
NAMED: Final[Json] = {"type": "string", "enum": [MODEL]}


def _object(required: tuple[str, ...] = (), /, **fields: Json) -> Json:
    return {"type": "object", "properties": fields, "required": list(required)}


def _list(item: Json, most: int = 3) -> Json:
    return {"type": "array", "items": item, "maxItems": most}


def _any(*forms: Json) -> Json:
    return {"anyOf": list(forms)}


def _one_of(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


FUNCTION: Final = _object(("name",), name=STRING, description=STRING, parameters=OBJECT)
RESPONSES: Final = _object(
    ("model", "input"),
    model=NAMED,
    input=_any(
        STRING,
        _list(
            _object(
                type=_one_of("message", "function_call", "function_call_output", "reasoning"),
                role=_one_of("user", "assistant", "system", "developer"),
                content=_any(
                    STRING,
                    _list(
                        _object(("type",), type=_one_of("input_text", "output_text"), text=STRING)
                    ),
                ),
                call_id=STRING,
                name=STRING,
                arguments=STRING,
                output=STRING,
            )
        ),
    ),
    instructions=STRING,
    stream=FLAG,
    store=FLAG,
    max_output_tokens=COUNT,
    temperature=NUMBER,
    reasoning=_object(effort=_one_of("low", "medium", "high")),
    tools=_list(_object(("type",), type=_one_of("function", "web_search"), name=STRING)),
    tool_choice=_any(_one_of("auto", "none", "required"), _object(type=STRING, name=STRING)),
    text=_object(format=_object(type=_one_of("text", "json_object"))),
    metadata={"type": "object", "additionalProperties": STRING, "maxProperties": 4},
    previous_response_id=STRING,
    include=_list(STRING),
)
CHAT: Final = _object(
    ("model", "messages"),
    model=NAMED,
    messages=_list(
        _object(
            ("role",),
            role=_one_of("user", "assistant", "system", "developer", "tool"),
            content=_any(STRING, _list(_object(("type",), type=_one_of("text"), text=STRING))),
            tool_call_id=STRING,
            name=STRING,
        )
    ),
    stream=FLAG,
    stream_options=_object(include_usage=FLAG),
    max_tokens=COUNT,
    temperature=NUMBER,
    n=COUNT,
    stop=_any(STRING, _list(STRING)),
    tools=_list(_object(("type", "function"), type=_one_of("function"), function=FUNCTION)),
    tool_choice=_any(_one_of("auto", "none", "required"), OBJECT),
    response_format=_object(type=_one_of("text", "json_object")),
)
MESSAGES: Final = _object(
    ("model", "messages", "max_tokens"),
    model=NAMED,
    max_tokens=COUNT,
    messages=_list(
        _object(
            ("role", "content"),
            role=_one_of("user", "assistant"),
            content=_any(STRING, _list(_object(("type",), type=_one_of("text"), text=STRING))),
        )
    ),
    system=_any(STRING, _list(_object(("type", "text"), type=_one_of("text"), text=STRING))),
    stream=FLAG,
    tools=_list(_object(("name",), name=STRING, input_schema=OBJECT)),
    tool_choice=_object(type=_one_of("auto", "any", "tool", "none"), name=STRING),
    thinking=_object(type=_one_of("enabled", "disabled"), budget_tokens=COUNT),
    stop_sequences=_list(STRING),
)
COMPLETIONS: Final = _object(
    ("model", "prompt"),
    model=NAMED, prompt=_any(STRING, _list(STRING)), stream=FLAG, max_tokens=COUNT, echo=FLAG,
    n=COUNT, stop=_any(STRING, _list(STRING)), suffix=STRING, logprobs=COUNT,
)  # fmt: skip
EMBEDDINGS: Final = _object(
    ("model", "input"),
    model=STRING, input=_any(STRING, _list(STRING), _list(COUNT)), dimensions=COUNT,
    encoding_format=_one_of("float", "base64"),
)  # fmt: skip
IMAGES: Final = _object(
    ("prompt",),
    prompt=STRING, n=COUNT, size=_one_of("auto", "1024x1024"), stream=FLAG, partial_images=COUNT,
    response_format=_one_of("b64_json", "url"), background=STRING,
)  # fmt: skip
BODIES: Final[dict[str, Json]] = {
    "/v1/responses": RESPONSES,
    "/v1/responses/input_tokens": RESPONSES,
    "/v1/responses/compact": RESPONSES,
    "/backend-api/codex/responses": RESPONSES,
    "/v1/chat/completions": CHAT,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": MESSAGES,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/images/generations": IMAGES,
}


def document() -> Json:
    """Return the document; answers are not described, because whatever they say is looked at."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "What callers may send", "version": "1"},
        "paths": {path: {"post": _posted(body)} for path, body in BODIES.items()}
        | {"/v1/models": {"get": {"responses": {"default": {"description": "any"}}}}},
    }


def _posted(body: Json) -> Json:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"default": {"description": "any"}},
    }

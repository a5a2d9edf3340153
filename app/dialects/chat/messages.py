"""The messages of a chat request, said as Responses input items.

The order is kept, because the prompt cache lives on it. A tool's answer must follow the message
that called the tool, and every call must be answered, or the upstream refuses the whole request:
that is judged here, in the public API's words, before an account is touched.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from app.dialects.chat.names import short_id, short_name
from app.dialects.chat.schema import (
    AssistantMessage,
    AudioPart,
    FilePart,
    FunctionMessage,
    ImagePart,
    Json,
    Message,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
    UserPart,
)
from app.dialects.chat.violations import missing_field, unsupported_field
from app.errors import InvalidRequest

_OUTPUT_TYPES: Final[Mapping[str, str]] = {
    "function": "function_call_output",
    "custom": "custom_tool_call_output",
}
_IDS_LISTED_MAX: Final = 10


def to_input(messages: Sequence[Message]) -> list[Json]:
    """Return the input items that say what `messages` say.

    Raises:
        InvalidRequest: A call has no answer or an answer no call, or a part can't be said.
    """
    conversation = _Conversation()
    for index, message in enumerate(messages):
        conversation.add(message, f"messages[{index}]")
    conversation.close()
    if not conversation.items:
        raise InvalidRequest("The messages are all empty.", param="messages")
    return conversation.items


class _Conversation:
    """The items so far, and the calls of the latest assistant message.

    `_kinds` says what each of these calls is, `_unanswered` which still wait, in their order.
    """

    def __init__(self) -> None:
        self.items: list[Json] = []
        self._at = ""
        self._kinds: dict[str, str] = {}
        self._unanswered: dict[str, None] = {}
        self._legacy: tuple[str, str] | None = None

    def add(self, message: Message, at: str) -> None:
        """Append what `message` at the path `at` says."""
        match message:
            case ToolMessage():
                self._tool(message, at)
            case FunctionMessage():
                self._function(message, at)
            case AssistantMessage():
                self.close()
                self._assistant(message, at)
            case UserMessage():
                self.close()
                self._say("user", _parts(message.content, at))
            case _:
                self.close()
                if message.content:
                    self._say("developer", _parts(message.content, at))

    def close(self) -> None:
        """End the turn of the latest assistant message: all of its calls must be answered."""
        if self._unanswered:
            ids = ", ".join(
                short_id(call_id) for call_id in list(self._unanswered)[:_IDS_LISTED_MAX]
            )
            raise InvalidRequest(
                "An assistant message with 'tool_calls' must be followed by tool messages"
                " responding to each 'tool_call_id'. The following tool_call_ids did not have"
                f" response messages: {ids}",
                param=f"{self._at}.tool_calls",
            )
        if self._legacy:
            raise InvalidRequest(
                "An assistant message with 'function_call' must be followed by a message with"
                f" role 'function' and name '{short_name(self._legacy[0])}'.",
                param=f"{self._at}.function_call",
            )
        self._kinds = {}

    def _say(self, role: str, content: list[Json]) -> None:
        self.items.append({"type": "message", "role": role, "content": content})

    def _assistant(self, message: AssistantMessage, at: str) -> None:
        """Append an earlier answer: its text, if any, then its calls.

        Reasoning text is not said again: only encrypted reasoning can be replayed.
        """
        if message.audio is not None:
            raise unsupported_field(f"{at}.audio", "Codex accounts can't replay audio; send text.")
        if said := _answer(message):
            self._say("assistant", said)
        self._at = at
        for index, call in enumerate(message.tool_calls or ()):
            self._call(call, f"{at}.tool_calls[{index}]")
        if legacy := message.function_call:
            call_id = short_id(f"call_{len(self.items)}_{legacy.name}")
            self._legacy = (legacy.name, call_id)
            self._function_call(call_id, legacy.name, legacy.arguments)

    def _call(self, call: ToolCall, at: str) -> None:
        if call.type == "custom":
            if call.custom is None:
                raise missing_field(f"{at}.custom")
            self.items.append(
                {
                    "type": "custom_tool_call",
                    "call_id": short_id(call.id),
                    "name": short_name(call.custom.name),
                    "input": call.custom.input,
                }
            )
        else:
            if call.function is None:
                raise missing_field(f"{at}.function")
            self._function_call(short_id(call.id), call.function.name, call.function.arguments)
        self._kinds[call.id] = call.type
        self._unanswered[call.id] = None

    def _function_call(self, call_id: str, name: str, arguments: str) -> None:
        self.items.append(
            {
                "type": "function_call",
                "call_id": call_id,
                "name": short_name(name),
                "arguments": arguments or "{}",
            }
        )

    def _tool(self, message: ToolMessage, at: str) -> None:
        call_id = message.tool_call_id
        if not self._kinds:
            raise InvalidRequest(
                "Messages with role 'tool' must be a response to a preceding message with"
                " 'tool_calls'.",
                param=f"{at}.tool_call_id",
            )
        if call_id not in self._kinds:
            raise InvalidRequest(
                f"Invalid parameter: 'tool_call_id' of '{short_id(call_id)}' not found in"
                " 'tool_calls' of previous message.",
                param=f"{at}.tool_call_id",
            )
        self._unanswered.pop(call_id, None)
        content = message.content
        self.items.append(
            {
                "type": _OUTPUT_TYPES[self._kinds[call_id]],
                "call_id": short_id(call_id),
                "output": content if isinstance(content, str) else _parts(content, at),
            }
        )

    def _function(self, message: FunctionMessage, at: str) -> None:
        if self._legacy is None or self._legacy[0] != message.name:
            raise InvalidRequest(
                "Messages with role 'function' must be a response to a preceding message with"
                " a 'function_call' of the same name.",
                param=f"{at}.name",
            )
        call_id = self._legacy[1]
        self._legacy = None
        self.items.append(
            {"type": "function_call_output", "call_id": call_id, "output": message.content or ""}
        )


def _answer(message: AssistantMessage) -> list[Json]:
    """Return what an earlier answer said; empty texts are left out, as upstream refuses them."""
    content = message.content or []
    parts: list[TextPart | RefusalPart] = []
    parts += [TextPart(content)] if isinstance(content, str) else content
    if message.refusal:
        parts.append(RefusalPart(message.refusal))
    said: list[Json] = []
    for part in parts:
        match part:
            case TextPart(text=text) if text:
                said.append({"type": "output_text", "text": text})
            case RefusalPart(refusal=refusal) if refusal:
                said.append({"type": "refusal", "refusal": refusal})
    return said


def _parts(content: str | Sequence[UserPart], at: str) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    return [_part(part, f"{at}.content[{index}]") for index, part in enumerate(content)]


def _part(part: UserPart, at: str) -> Json:
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart(image_url=image):
            return {
                "type": "input_image",
                "image_url": image.url,
                "detail": image.detail or "auto",
            }
        case AudioPart(input_audio=audio):
            return {
                "type": "input_audio",
                "input_audio": {"data": audio.data, "format": audio.format},
            }
        case _:
            return _file(part, at)


def _file(part: FilePart, at: str) -> Json:
    file = part.file
    if file.file_data is None and file.file_id is None:
        raise InvalidRequest(
            f"'{at}.file' needs one of 'file_data' and 'file_id'.", param=f"{at}.file"
        )
    fields = {"file_data": file.file_data, "file_id": file.file_id, "filename": file.filename}
    item: Json = {"type": "input_file"}
    item |= {key: value for key, value in fields.items() if value is not None}
    return item

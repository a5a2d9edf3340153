"""The turns of a Messages request, said as Responses input items. Pure.

The order is kept, because the prompt cache lives on it; only the results of tools go before what
else the same turn says, as the upstream wants them right after the calls. Turns of one role that
follow each other are one turn. Every call must be answered and every answer have its call, or the
upstream refuses the whole request: that is judged here, in the words of Anthropic's API, which
clients look for, and before an account is touched.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.dialects.chat.names import short_id, short_name
from app.dialects.messages.media import document, image
from app.dialects.messages.schema import (
    Block,
    ContainerUploadBlock,
    DocumentBlock,
    ImageBlock,
    Json,
    Message,
    RedactedThinkingBlock,
    ResultBlock,
    SearchResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from app.dialects.messages.seals import unsealed
from app.dialects.messages.violations import unsupported, wrong

_IDS_LISTED_MAX: Final = 10
_ATTRIBUTION: Final = "x-anthropic-billing-header"
_FAILED: Final = "The tool failed: "
_NO_OUTPUT: Final = "(no output)"


def to_input(system: str | Sequence[TextBlock] | None, messages: Sequence[Message]) -> list[Json]:
    """Return the input items that say what `system` and `messages` say.

    Raises:
        InvalidRequest: A call has no answer or an answer no call, or a block can't be said.
    """
    conversation = _Conversation()
    if told := _told(system):
        conversation.items.append({"type": "message", "role": "developer", "content": told})
    for index, message in enumerate(messages):
        conversation.add(message, f"messages[{index}]")
    conversation.end(f"messages[{len(messages) - 1}]", messages[-1])
    return conversation.items


class _Conversation:
    """The items so far, and the calls of the latest assistant turn that wait for their answers."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        self._at = ""
        self._calls: dict[str, None] = {}
        self._unanswered: dict[str, None] = {}

    def add(self, message: Message, at: str) -> None:
        """Append what `message` at the path `at` says."""
        match message.role:
            case "system":
                told = _told(message.content if isinstance(message.content, str) else None)
                told = told or self._system(message.content, at)
                if told:
                    self.items.append({"type": "message", "role": "developer", "content": told})
            case "assistant":
                self._close()
                self._assistant(message.content, at)
            case _:
                self._user(message.content, at)

    def end(self, at: str, last: Message) -> None:
        """End the conversation: nothing may be left without an answer, and somebody must ask."""
        self._close()
        if last.role == "assistant":
            raise wrong(
                at,
                "The conversation must end with a user message: the beginning of the answer can't"
                " be given here.",
            )
        if not self.items:
            raise wrong(at, "All messages are empty.")

    def _close(self) -> None:
        if self._unanswered:
            ids = ", ".join(list(self._unanswered)[:_IDS_LISTED_MAX])
            raise wrong(
                self._at,
                "`tool_use` ids were found without `tool_result` blocks immediately after:"
                f" {ids}. Each `tool_use` block must have a corresponding `tool_result` block in"
                " the next message.",
            )
        self._calls = {}

    def _system(self, content: str | Sequence[Block], at: str) -> list[Json]:
        blocks = () if isinstance(content, str) else content
        parts: list[Json] = []
        for index, block in enumerate(blocks):
            if not isinstance(block, TextBlock):
                raise wrong(f"{at}.content[{index}].type", "A system message has text only.")
            if block.text:
                parts.append({"type": "input_text", "text": block.text})
        return parts

    def _assistant(self, content: str | Sequence[Block], at: str) -> None:
        """Append an earlier answer, block by block; what the other side did itself is left out."""
        blocks = (TextBlock(content),) if isinstance(content, str) else content
        said: list[Json] = []
        self._at = at
        for index, block in enumerate(blocks):
            if isinstance(block, TextBlock):
                if block.text:
                    said.append({"type": "output_text", "text": block.text})
                continue
            item = self._earlier(block, f"{at}.content[{index}]")
            if item is not None:
                self._say("assistant", said)
                said = []
                self.items.append(item)
        self._say("assistant", said)

    def _earlier(self, block: Block, at: str) -> Json | None:
        match block:
            case ThinkingBlock(thinking=text, signature=signature):
                summary: list[Json] = [{"type": "summary_text", "text": text}] if text else []
                return _reasoning(unsealed(signature), summary)
            case RedactedThinkingBlock(data=data):
                return _reasoning(unsealed(data), [])
            case ToolUseBlock():
                return self._call(block, at)
            case ToolResultBlock() | ImageBlock() | DocumentBlock() | SearchResultBlock():
                raise wrong(f"{at}.type", "This kind of block belongs into a user message.")
            case _:
                return None

    def _call(self, block: ToolUseBlock, at: str) -> Json:
        if block.id in self._calls:
            raise wrong(f"{at}.id", "`tool_use` ids must be unique.")
        self._calls[block.id] = self._unanswered[block.id] = None
        return {
            "type": "function_call",
            "call_id": short_id(block.id),
            "name": short_name(block.name),
            "arguments": msgspec.json.encode(block.input).decode(),
        }

    def _user(self, content: str | Sequence[Block], at: str) -> None:
        blocks = (TextBlock(content),) if isinstance(content, str) else content
        said: list[Json] = []
        for index, block in enumerate(blocks):
            here = f"{at}.content[{index}]"
            match block:
                case ToolResultBlock():
                    self._result(block, here)
                case ThinkingBlock() | RedactedThinkingBlock() | ToolUseBlock():
                    raise wrong(f"{here}.type", "This kind of block belongs into an assistant's.")
                case _:
                    said += _parts(block, here)
        self._say("user", said)

    def _result(self, block: ToolResultBlock, at: str) -> None:
        if block.tool_use_id not in self._calls:
            raise wrong(
                at,
                f"unexpected `tool_use_id` found in `tool_result` blocks: {block.tool_use_id[:64]}."
                " Each `tool_result` block must have a corresponding `tool_use` block in the"
                " previous message.",
            )
        if block.tool_use_id not in self._unanswered:
            raise wrong(
                at, f"each tool_use must have a single result: {block.tool_use_id[:64]} has two."
            )
        del self._unanswered[block.tool_use_id]
        self.items.append(
            {
                "type": "function_call_output",
                "call_id": short_id(block.tool_use_id),
                "output": _output(block, at),
            }
        )

    def _say(self, role: str, content: list[Json]) -> None:
        if content:
            self.items.append({"type": "message", "role": role, "content": content})


def _told(system: str | Sequence[TextBlock] | None) -> list[Json]:
    """Return what the operator says, without what a client only writes for its own provider.

    That block may change with every request, and with it the prompt cache would be lost.
    """
    blocks = (TextBlock(system),) if isinstance(system, str) else system or ()
    return [
        {"type": "input_text", "text": block.text}
        for block in blocks
        if block.text and not block.text.startswith(_ATTRIBUTION)
    ]


def _reasoning(encrypted: str | None, summary: list[Json]) -> Json | None:
    """Return what was thought as only its account can read it; others' thoughts are left out."""
    if not encrypted:
        return None
    return {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}


def _output(block: ToolResultBlock, at: str) -> str | list[Json]:
    """Return what a tool gave back: a text where it is one, so that it reads as tools' texts do."""
    lead = _FAILED if block.is_error else ""
    if not block.content:
        return lead + _NO_OUTPUT if lead else ""
    if isinstance(block.content, str):
        return lead + block.content
    if all(isinstance(part, TextBlock) for part in block.content):
        return lead + "\n".join(part.text for part in block.content if isinstance(part, TextBlock))
    parts = [
        said
        for index, part in enumerate(block.content)
        for said in _parts(part, f"{at}.content[{index}]")
    ]
    return [{"type": "input_text", "text": lead.rstrip()}, *parts] if lead else parts


def _parts(block: Block | ResultBlock, at: str) -> list[Json]:
    match block:
        case TextBlock(text=text):
            return [{"type": "input_text", "text": text}] if text else []
        case ImageBlock():
            return [image(block, at)]
        case DocumentBlock():
            return document(block, at)
        case SearchResultBlock(source=source, title=title, content=content):
            text = "\n".join([f"{title} ({source})", *(part.text for part in content)])
            return [{"type": "input_text", "text": text}]
        case ToolReferenceBlock(tool_name=name):
            return [{"type": "input_text", "text": f"The tool '{name}' is available."}]
        case ContainerUploadBlock():
            raise unsupported(f"{at}.type", "Containers are not available here: send the content.")
        case _:
            return []

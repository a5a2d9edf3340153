"""A Responses request's items as chat messages. Pure.

Chat wants the calls of one turn in one assistant message and their results right behind it, so
results are moved there by their call's id, wherever they stand. Pictures that a tool gave back
follow in a message of the user, since a tool's message holds text alone.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from app.dialects.chat_upstream.tools import INPUT
from app.errors import NotSupportedByUpstream

_OUTPUTS: Final = frozenset(
    {"function_call_output", "custom_tool_call_output", "local_shell_call_output"}
)
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text"})
_DETAILS: Final = frozenset({"auto", "low", "high"})
_PICTURES: Final = "The pictures that the tool gave back:"

Message = dict[str, Any]


def messages_of(
    items: Sequence[Message], instructions: str | None, *, platform: bool
) -> list[Message]:
    """Return the conversation; `platform` says that the upstream is OpenAI's own.

    Raises:
        NotSupportedByUpstream: A picture or a file is not in the request but only named in it.
    """
    talk = _Talk(items, platform=platform)
    if instructions and instructions.strip():
        talk.say("developer", instructions)
    for item in items:
        talk.take(item)
    talk.close()
    return talk.messages


class _Talk:
    """The messages so far; the last one may still get calls."""

    def __init__(self, items: Sequence[Message], *, platform: bool) -> None:
        self.messages: list[Message] = []
        self._platform = platform
        self._developer = "developer" if platform else "system"
        self._results = {
            item.get("call_id"): item for item in items if item.get("type") in _OUTPUTS
        }
        self._calling: Message | None = None

    def take(self, item: Message) -> None:
        """Say what the item says, if chat has words for it."""
        match item.get("type") or "message":
            case "message":
                self.say(str(item.get("role")), item.get("content") or "")
            case "function_call":
                self._call(item, "function", {"arguments": item.get("arguments") or "{}"})
            case "custom_tool_call" if self._platform:
                self._call(item, "custom", {"input": item.get("input") or ""})
            case "custom_tool_call":
                told = msgspec.json.encode({INPUT: item.get("input") or ""}).decode()
                self._call(item, "function", {"arguments": told})
            case "local_shell_call":
                told = msgspec.json.encode(item.get("action") or {}).decode()
                self._call({"name": "local_shell"} | item, "function", {"arguments": told})
            case kind if kind in _OUTPUTS:
                # What is called from here on was called in the knowledge of this result.
                self.close()

    def say(self, role: str, content: object) -> None:
        """Say one message."""
        if role == "assistant":
            self.close()
            self._calling = _assistant(content)
            self.messages.append(self._calling)
            return
        self.close()
        if role in ("developer", "system"):
            self._direct(_text_of(content))
        else:
            self.messages.append({"role": "user", "content": _parts_of(content)})

    def _direct(self, text: str) -> None:
        """Say what the model is to keep to; many servers' templates take one such message only."""
        latest = self.messages[-1] if self.messages else {}
        if latest.get("role") == self._developer and not self._platform:
            latest["content"] += f"\n\n{text}"
        else:
            self.messages.append({"role": self._developer, "content": text})

    def close(self) -> None:
        """Let the results of the last message's calls follow it."""
        said, self._calling = self._calling, None
        pictures: list[Message] = []
        for call in (said or {}).get("tool_calls", ()):
            result = self._results.pop(call["id"], None)
            if result is not None:
                output = result.get("output")
                text = _text_of(output)
                self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
                pictures += _others(output)
        if pictures:
            content = [{"type": "text", "text": _PICTURES}, *pictures]
            self.messages.append({"role": "user", "content": content})

    def _call(self, item: Message, kind: str, told: Message) -> None:
        if self._calling is None:
            self._calling = {"role": "assistant", "content": None}
            self.messages.append(self._calling)
        called = {"name": item.get("name"), **told}
        call = {"id": item.get("call_id"), "type": kind, kind: called}
        self._calling.setdefault("tool_calls", []).append(call)


def _assistant(content: object) -> Message:
    parts = content if isinstance(content, list) else []
    refusals = [str(part.get("refusal")) for part in parts if part.get("type") == "refusal"]
    message: Message = {"role": "assistant", "content": _text_of(content)}
    if refusals:
        message["refusal"] = "\n".join(refusals)
    return message


def _text_of(content: object) -> str:
    """Return the text of a message's content or of a tool's output, a line break between parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or "") for part in parts if part.get("type") in _TEXTS)


def _parts_of(content: object) -> object:
    """Return the content of a user's message: a text if it is no more than that."""
    parts = content if isinstance(content, list) else []
    if isinstance(content, str) or (len(parts) == 1 and parts[0].get("type") in _TEXTS):
        return _text_of(content)
    return [said for part in parts if (said := _part(part)) is not None]


def _others(output: object) -> list[Message]:
    """Return what a tool gave back beside text."""
    parts = output if isinstance(output, list) else []
    others = (_part(part) for part in parts if part.get("type") not in _TEXTS)
    return [said for said in others if said is not None]


def _part(part: Message) -> Message | None:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text") or ""}
    if kind == "input_image":
        if not part.get("image_url"):
            raise _unsayable("A picture by its file id")
        image = {"url": part["image_url"]}
        if part.get("detail") in _DETAILS:
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file":
        names = ("file_data", "file_id", "filename")
        file = {name: part[name] for name in names if part.get(name)}
        if file.keys() <= {"filename"}:
            raise _unsayable("A file by its URL")
        return {"type": "file", "file": file}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio") or _audio(part)}
    return None


def _unsayable(what: str) -> NotSupportedByUpstream:
    words = f"{what} can't be sent to an upstream that speaks Chat Completions: send the data."
    return NotSupportedByUpstream(words, param="input")


def _audio(part: Message) -> Message:
    return {"data": part.get("data"), "format": part.get("format")}

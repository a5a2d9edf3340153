"""What the golden cases of the folder don't show of app.dialects.chat_upstream.output."""

import pytest

from app.dialects.chat_upstream.output import KEPT_BYTES_MAX, TEXT, Message, Pen
from app.errors import UpstreamProtocolError


def test_an_answer_is_bounded():
    """Its last event would repeat all of it."""
    pen = Pen()
    message = Message(pen, 0, "x")
    piece = b'"' + b"x" * (KEPT_BYTES_MAX // 2) + b'"'
    message.say(TEXT, piece)
    with pytest.raises(UpstreamProtocolError):
        message.say(TEXT, piece)

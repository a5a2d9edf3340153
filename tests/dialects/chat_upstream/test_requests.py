"""What the golden cases of the folder don't show of app.dialects.chat_upstream.requests."""

import msgspec
import pytest

from app.dialects.chat_upstream.requests import to_chat
from app.errors import InvalidRequest


def asked(tuning=b"", *, platform=False, **fields):
    """Return the chat request for a Responses request."""
    body = msgspec.json.encode({"model": "m", "input": "hi", **fields})
    return msgspec.json.decode(to_chat(body, tuning, model="served", platform=platform).body)


@pytest.mark.parametrize(
    ("effort", "compatible"),
    [("low", "low"), ("high", "high"), ("xhigh", "high"), ("max", "high"), ("none", "none")],
)
def test_an_effort_that_only_openai_knows_is_the_highest_elsewhere(effort, compatible):
    """The platform is sent what was asked for."""
    assert asked(reasoning={"effort": effort})["reasoning_effort"] == compatible
    assert asked(reasoning={"effort": effort}, platform=True)["reasoning_effort"] == effort


@pytest.mark.parametrize(
    ("platform", "name"), [(True, "max_completion_tokens"), (False, "max_tokens")]
)
def test_the_limit_has_the_name_that_the_upstream_knows(platform, name):
    """New models refuse the old name, other servers do not know the new one."""
    said = asked(b'{"max_output_tokens":5,"top_logprobs":2,"truncation":"auto"}', platform=platform)
    assert said[name] == 5
    assert not said.keys() & {"max_output_tokens", "top_logprobs", "truncation"}


def test_usage_is_always_asked_for():
    """It is counted, not estimated, where the server can."""
    assert asked()["stream_options"] == {"include_usage": True}
    assert asked()["stream"] is True


def test_a_number_that_nothing_can_hold_is_refused():
    """Codex backends are sent it as it is; here everything is read."""
    with pytest.raises(InvalidRequest, match="request body: number out of range"):
        to_chat(b'{"input":[{"type":"message","x":7e777}]}', b"", model="m", platform=False)

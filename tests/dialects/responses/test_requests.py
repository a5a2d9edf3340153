"""A request reaches the backend with what it demands and nothing else changed.

Each folder of `tests/golden/responses/request_*` holds `request.json` and what must come of it:
`upstream.json`, `error.json`, or a file `same`. `settings.json` names the arguments that differ
from those of a public caller of gpt-5.5.
"""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from app.dialects.responses.requests import DROPPED, Wanted, to_upstream
from app.errors import CallerError
from app.wire.peek import peek

GOLDEN = Path(__file__).parents[2] / "golden" / "responses"
CASES = sorted(path.name for path in GOLDEN.glob("request_*"))
PUBLIC = {"upstream_model": "gpt-5.5", "efforts": None, "codex_client": False, "lite": None}
MEMBERS = msgspec.json.Decoder(dict[str, Raw])


def send(body: bytes, **changes: object) -> bytes:
    """Return what goes upstream."""
    return to_upstream(body, peek(body), Wanted(**(PUBLIC | changes)))


def compact(text: str) -> str:
    """Return JSON without the whitespace of a golden file, its numbers as they are written."""
    return json.dumps(
        json.loads(text, parse_float=str, parse_int=str), separators=(",", ":"), ensure_ascii=False
    )


@pytest.mark.parametrize("case", CASES)
def test_the_golden_request_becomes_what_stands_beside_it(case):
    """In value, in order and in the spelling of numbers."""
    folder = GOLDEN / case
    body = (folder / "request.json").read_bytes()
    arguments = folder / "settings.json"
    given_settings = json.loads(arguments.read_text()) if arguments.exists() else {}
    if (folder / "error.json").exists():
        with pytest.raises(CallerError) as caught:
            send(body, **given_settings)
        error = caught.value
        said = {"status": error.status, "code": error.code, "param": error.param}
        assert said == json.loads((folder / "error.json").read_text())
    elif (folder / "same").exists():
        assert send(body, **given_settings) is body
    else:
        sent = send(body, **given_settings)
        assert compact(sent.decode()) == compact((folder / "upstream.json").read_text())


@pytest.mark.parametrize(
    "case", [case for case in CASES if (GOLDEN / case / "upstream.json").exists()]
)
def test_a_request_that_was_sent_needs_no_more_change(case):
    """The change is made once: what comes out goes through as the very same bytes."""
    folder = GOLDEN / case
    arguments = folder / "settings.json"
    given_settings = json.loads(arguments.read_text()) if arguments.exists() else {}
    sent = send((folder / "request.json").read_bytes(), **given_settings)
    assert send(sent, **given_settings) is sent


def test_a_codex_clients_string_is_still_made_a_list():
    """The backend takes nothing else, whoever asks."""
    sent = json.loads(send(b'{"model":"gpt-5.5","input":"Hi"}', codex_client=True))
    assert sent["input"][0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert "include" not in sent


def test_a_codex_clients_items_and_tools_keep_their_bytes():
    """Even where a public caller's would be repaired."""
    items = b'[ {"type":"reasoning","id":"rs_1","summary":[]} , {"role":"user","content":"x"}]'
    tools = b'[{"type":"function","name":"f","parameters":{"minimum":1}} ]'
    body = b'{"model":"alias","input":%b,"tools":%b}' % (items, tools)
    sent = MEMBERS.decode(send(body, codex_client=True))
    assert (sent["input"], sent["tools"]) == (Raw(items), Raw(tools))
    assert sent["model"] == Raw(b'"gpt-5.5"')


@pytest.mark.parametrize("codex_client", [False, True])
@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (b"", {"effort": "max"}),
        (b',"reasoning":{"summary":"auto"}', {"summary": "auto", "effort": "max"}),
        (b',"reasoning":{"effort":"low"}', {"effort": "low"}),
    ],
)
def test_an_effort_in_the_models_name_counts_unless_the_request_has_one(fields, sent, codex_client):
    """Whoever asks; on the wire it is the wire's word."""
    body = b'{"model":"m-ultra","input":[]%b}' % fields
    given = {"effort": "ultra", "efforts": ("low", "ultra"), "codex_client": codex_client}
    assert json.loads(send(body, **given))["reasoning"] == sent


def test_chats_effort_wins_over_the_models_name():
    """It is in the request too."""
    body = b'{"model":"m-high","input":[],"reasoning_effort":"low"}'
    assert json.loads(send(body, effort="high"))["reasoning"] == {"effort": "low"}


def test_an_effort_in_the_models_name_must_be_the_models():
    """The name is what is wrong then."""
    with pytest.raises(CallerError) as caught:
        send(b'{"model":"m-max","input":[]}', effort="max", efforts=("low",))
    assert caught.value.param == "model"


def test_the_cache_key_is_the_one_that_is_given():
    """So that callers never share a cache; without one the caller's own stays."""
    body = b'{"model":"m","input":[],"prompt_cache_key":"own"}'
    assert json.loads(send(body, cache_key="ours"))["prompt_cache_key"] == "ours"
    assert json.loads(send(body))["prompt_cache_key"] == "own"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"m","input":[],"instructions":5}', "instructions"),
        (b'{"model":"m","input":[],"metadata":{"a":5}}', "metadata"),
        (b'{"model":"m","input":[],"parallel_tool_calls":"x"}', "parallel_tool_calls"),
        (b'{"model":"m","input":[],"tools":{}}', "tools"),
        (b'{"model":"m","input":[],"top_logprobs":21}', "top_logprobs"),
        (b'{"model":"m","input":[],"max_output_tokens":0}', "max_output_tokens"),
        (b'{"model":"m","input":[],"text":{"verbosity":"loud"}}', "text.verbosity"),
        (b'{"model":"m","input":[],"temperature":1e999}', "temperature"),
        (b'{"model":"m","input":null}', "input"),
    ],
)
@pytest.mark.parametrize("codex_client", [False, True])
def test_a_wrong_known_field_is_refused_whoever_asks(body, param, codex_client):
    """Before an account is touched, even if the field would be dropped."""
    with pytest.raises(CallerError) as caught:
        send(body, codex_client=codex_client)
    assert (caught.value.status, caught.value.param) == (400, param)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=6).map(lambda name: "u_" + name), JSON, max_size=4),
    st.lists(JSON.map(lambda value: {"type": "future", "value": value}), max_size=3),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_unknown_fields_and_items_survive_in_value_and_order(fields, items, codex_client):
    """Whatever they hold."""
    body = json.dumps({**fields, "model": "other", "input": items}, ensure_ascii=False).encode()
    given_fields = MEMBERS.decode(body)
    sent = MEMBERS.decode(send(body, codex_client=codex_client))
    kept = [name for name in sent if name in given_fields]
    assert kept == list(given_fields)
    assert all(sent[name] == given_fields[name] for name in fields)
    assert sent["input"] == given_fields["input"]
    assert not DROPPED & sent.keys()

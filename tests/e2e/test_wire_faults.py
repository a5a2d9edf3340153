"""What an upstream can do wrong on the wire, each through the real gateway over real sockets."""

import socket
from collections import Counter

import pytest

from tests.e2e.asking import chat, failing_once, hear, prompt, question
from tests.e2e.programs import Gateway

PATH = "/v1/responses"
CHAT = "/v1/chat/completions"
MIB = 1 << 20
ENDS = ("response.completed", "response.failed", "response.incomplete")


def ends(heard) -> Counter[str]:
    """Return how often each end came."""
    return Counter(each for each in heard.types if each in ENDS)


def resident(gateway: Gateway) -> int:
    """Return what memory the gateway's processes have."""
    return int(gateway.metrics()["process_resident_memory_bytes"])


@pytest.mark.parametrize("mode", ["fin", "rst", "eof"])
def test_a_stream_that_is_cut_anywhere_ends_with_a_word(gateway, mode) -> None:
    """U8: at thirty places of a body, each an error with a status or one that is the last event."""
    for place in range(60, 9_060, 300):
        knobs = {"cut_at_byte": place, "cut_mode": mode, "deltas": 20, "reasoning": "off"}
        heard = hear(gateway.client, PATH, question(prompt(**knobs)))
        if heard.status == 200:
            assert sum(ends(heard).values()) == 1, (place, heard.raw[-300:])
            assert heard.types[-1] in ENDS
        else:
            assert b'"error"' in heard.raw, place
    gateway.settled()


FRAMINGS = {
    "until the end of the connection": ({"framing": "close"}, "response.completed"),
    "the same, cut": ({"framing": "close", "cut_after_events": 12}, "response.failed"),
    "too short a length": (
        {"framing": "short_length", "cut_after_events": 12}, "response.failed",
    ),
    "no last chunk": ({"framing": "no_last_chunk"}, "response.completed"),
}  # fmt: skip


@pytest.mark.parametrize(("knobs", "end"), FRAMINGS.values(), ids=FRAMINGS)
def test_a_body_that_is_framed_wrongly_is_cut(gateway, knobs, end) -> None:
    """U9: what has its terminal event is whole, whatever becomes of the connection then."""
    heard = hear(gateway.client, PATH, question(prompt(deltas=20, **knobs)))
    assert (heard.status, ends(heard)) == (200, {end: 1})


@pytest.mark.parametrize("size", [MIB, 15 * MIB])
def test_a_huge_event_is_passed_on_or_refused(gateway, size) -> None:
    """U12: up to 16 MiB it is passed on, and memory holds one of them."""
    before = resident(gateway)
    heard = hear(gateway.client, PATH, question(prompt(huge_event_bytes=size)), timeout=60.0)
    assert heard.types[-1] == "response.completed"
    assert len(heard.raw) > size
    refused = hear(gateway.client, PATH, question(prompt(huge_event_bytes=64 * MIB)), timeout=60.0)
    assert ends(refused)["response.completed"] == 0
    assert resident(gateway) - before < 400 * MIB


def test_a_bomb_from_the_upstream_does_not_go_off(gateway, simulator) -> None:
    """U14: nobody asked for gzip; another account answers, and memory stays where it is."""
    before = resident(gateway)
    heard = hear(
        gateway.client, PATH, question(failing_once({"fault": "gzip_bomb", "bomb_mib": 300}))
    )
    assert "here we are" in heard.text
    assert resident(gateway) - before < 100 * MIB
    simulator.wait_for_records(2)


@pytest.mark.parametrize("surplus", ["garbage", "response"])
def test_surplus_bytes_reach_nobody(gateway, surplus) -> None:
    """U17: calls that follow on the same connections hear their own words."""
    for number in range(6):
        text = f"echo: answer-{number}"
        knobs = {"surplus": surplus} if number % 2 == 0 else {}
        heard = hear(gateway.client, PATH, question(prompt(text, **knobs)))
        assert f"answer-{number}" in heard.text
        assert ends(heard) == {"response.completed": 1}


STRANGE = [["Set-Cookie", "a=b"], ["Connection", "x-hop"], ["x-hop", "1"], ["x-odd", "1"]]


@pytest.mark.parametrize("path", [PATH, CHAT])
@pytest.mark.parametrize(
    "knobs", [{"extra_headers": STRANGE}, {"header_bytes": 20_000}, {"header_count": 50}]
)
def test_an_upstreams_strange_headers_stay_behind(gateway, path, knobs) -> None:
    """U18: only what is on the list travels; many and long ones do no harm."""
    make = question if path == PATH else chat
    heard = hear(gateway.client, path, make(prompt("echo: fine", **knobs)))
    assert (heard.status, "fine" in heard.text) == (200, True)
    assert not {"set-cookie", "x-hop", "x-odd"} & set(heard.headers)
    assert sum(len(name) + len(value) for name, value in heard.headers.items()) < 8_192


def test_more_headers_than_are_read_are_an_error(gateway) -> None:
    """U18: five hundred are read; a reply with more is none."""
    heard = hear(gateway.client, PATH, question(prompt(header_count=300)))
    assert heard.status == 200
    heard = hear(gateway.client, PATH, question(failing_once({"header_count": 600})))
    assert "here we are" in heard.text
    heard = hear(gateway.client, PATH, question(prompt(header_count=600)))
    assert (heard.status, b'"upstream_error"' in heard.raw) == (502, True)


def test_a_redirect_is_not_followed(gateway) -> None:
    """U19: the other host is never spoken to, so it never sees the token."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        location = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/evil"
        fault = {"fault": "307_redirect", "location": location}
        heard = hear(gateway.client, PATH, question(failing_once(fault)))
        assert "here we are" in heard.text
        with pytest.raises(TimeoutError):
            elsewhere.accept()


ODD = ({"terminals": 2}, {"events_after_terminal": 3}, {"no_usage": True},
       {"null_usage_details": True}, {"final_blank_line": False})  # fmt: skip


@pytest.mark.parametrize("knobs", ODD, ids=[next(iter(each)) for each in ODD])
@pytest.mark.parametrize("path", [PATH, CHAT])
def test_odd_ends_are_one_end(gateway, path, knobs) -> None:
    """U20: one terminal event, which is the last one."""
    make = question if path == PATH else chat
    heard = hear(gateway.client, path, make(prompt("echo: fine", **knobs)))
    assert "fine" in heard.text
    if path == PATH:
        assert ends(heard) == {"response.completed": 1}
        assert heard.types[-1] == "response.completed"
    else:
        assert heard.payloads.count("[DONE]") == 1
        assert heard.payloads[-1] == "[DONE]"

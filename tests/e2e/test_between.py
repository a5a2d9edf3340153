"""Trouble on the way: a proxy between gateway and upstream, and one between caller and gateway."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtests.chaos import Chaos
from tests.e2e.asking import hear, prompt, question
from tests.e2e.bad_input_wire import post, responses
from tests.e2e.between import between
from tests.e2e.programs import Gateway, Pair, Simulator, enrol, free_port, until

PATH = "/v1/responses"
SILENCE_S = 2.0
SETTINGS = (f"first_event_timeout_s={SILENCE_S}", f"idle_timeout_s={SILENCE_S}", "attempts_max=2")


class Scene(Pair):
    """A pair with a proxy between its two."""

    def __init__(self, simulator: Simulator, gateway: Gateway, proxy: Chaos) -> None:
        super().__init__(simulator, gateway)
        self.proxy = proxy


@pytest.fixture(scope="module")
def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A gateway with little patience, whose upstream is behind a proxy."""
    folder: Path = tmp_path_factory.mktemp("between")
    simulator = Simulator(folder, accounts=3)
    with between(simulator.addresses["port"]) as proxy:
        base_url = f"http://127.0.0.1:{proxy.port}/backend-api"
        gateway = Gateway(
            folder, simulator, limits={"send_timeout_s": 1.0, "retries_min": 1_000_000},
            UPSTREAM_BASE_URL=base_url,
        )  # fmt: skip
        try:
            enrol(gateway, simulator)
            gateway.command("settings", "set", *SETTINGS)
            gateway.start()
            yield Scene(simulator, gateway, proxy)
        finally:
            gateway.stop()
            simulator.stop()


@pytest.fixture
def scene(all_of_it: Scene) -> Iterator[Scene]:
    """The same without any trouble; afterwards nothing is left of the test."""
    all_of_it.proxy.calm()
    yield all_of_it
    all_of_it.proxy.calm()
    all_of_it.gateway.settled()


def test_an_upstream_that_falls_silent_is_given_up_in_time(scene: Scene) -> None:
    """U10: before the head, where nobody else can help either, and amid the stream."""
    client = scene.gateway.client
    scene.proxy.back.blackhole = True
    heard = hear(client, PATH, question(prompt()), timeout=60.0)
    assert b"upstream_timeout" in heard.raw
    assert heard.status == 504 or heard.types == ["response.failed"]
    scene.proxy.reset()
    scene.proxy.calm()
    body = question(prompt(deltas=4_000, events_per_s=50))
    with client.stream("POST", PATH, json=body, timeout=60.0) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        assert any("output_text.delta" in line for line in lines)
        scene.proxy.back.blackhole = True
        last = list(lines)[-1]
    assert '"type":"response.failed"' in last
    assert "upstream_timeout" in last
    scene.proxy.reset()


@pytest.mark.parametrize(
    "knobs",
    [{"reasoning_silence_s": 600, "reasoning": "on", "comments_every_ms": 20},
     {"body_bytes_per_s": 20}],
    ids=["comments", "single bytes"],
)  # fmt: skip
def test_comments_and_single_bytes_are_no_signs_of_life(scene: Scene, knobs) -> None:
    """U11: only events are; the upstream is given up although something comes all the time."""
    heard = hear(scene.gateway.client, PATH, question(prompt(**knobs)), timeout=60.0)
    if heard.status == 200:
        assert heard.types[-1] == "response.failed"
    assert b"upstream_timeout" in heard.raw


def test_an_upstream_that_refuses_is_no_accounts_fault(start) -> None:
    """U15: all accounts are as good as before; the answer says what the matter is."""
    pair = start(UPSTREAM_BASE_URL=f"http://127.0.0.1:{free_port()}/backend-api")
    body = question(prompt(), stream=False)
    for _ in range(5):
        answer = pair.gateway.client.post(PATH, json=body, timeout=60.0)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert pair.gateway.metrics()['codex2api_accounts{health="ready"}'] == 2.0


def test_bits_that_are_flipped_are_no_content(scene: Scene) -> None:
    """A wire that garbles what it carries gives an error or another attempt, and no hang."""
    scene.proxy.back.corrupt_every = 97
    heard = hear(scene.gateway.client, PATH, question(prompt(deltas=20)), timeout=60.0)
    scene.proxy.reset()
    assert heard.status != 200 or heard.raw.count(b"event: response.completed") <= 1


def test_a_stream_in_single_bytes_is_the_same_stream(scene: Scene) -> None:
    """However the wire cuts it."""
    scene.proxy.back.slice_bytes = 1
    heard = hear(scene.gateway.client, PATH, question(prompt("echo: whole", deltas=4)))
    assert heard.types[-1] == "response.completed"


def test_a_caller_that_vanishes_frees_its_lease(scene: Scene) -> None:
    """C3: no FIN and no RST comes from it; nobody reads what is sent to it any more."""
    with between(scene.gateway.port) as proxy:
        body = responses(prompt(deltas=100_000, delta_chars=200, burst=True), stream=True)
        with socket.create_connection(("127.0.0.1", proxy.port)) as caller:
            caller.sendall(post(PATH, body))
            assert caller.recv(1)
            proxy.half_open = proxy.back.stalled = True
        until(
            lambda: scene.gateway.metrics()["codex2api_leases"] == 0.0,
            "the lease is back",
            within_s=60,
        )
    until(lambda: not scene.simulator.see("state")["in_flight"], "the upstream is left alone")


def test_a_name_that_leads_nowhere_is_an_error_in_time(start) -> None:
    """U16: the answer says that the upstream could not be reached; no account is blamed."""
    pair = start(UPSTREAM_BASE_URL="https://nowhere.invalid/backend-api")
    body = question(prompt(), stream=False)
    try:
        answer = pair.gateway.client.post(PATH, json=body, timeout=60.0)
    except httpx.ReadTimeout:
        pytest.fail("no answer in a minute")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert pair.gateway.metrics()['codex2api_accounts{health="ready"}'] == 2.0

"""Calls as transcripts: what each account answers, what the caller gets, what was learnt."""

import asyncio
import contextlib
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import structs

from app.dialects.responses.encrypted import fingerprint
from app.errors import (
    CapacityError,
    ContextUnavailable,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from tests.fakes.accounts import account
from tests.fakes.upstream import HANG, SSE, Answer, broken
from tests.fakes.virtual import LoopClock, virtual
from tests.relay.scene import (
    CREATED,
    DELTA,
    DONE,
    SETTINGS,
    TEXT,
    WHOLE,
    Heard,
    Scene,
    error,
    event,
    failed,
    good,
    refused,
)

LIMIT = Answer(
    [b'{"error":{"type":"usage_limit_reached","resets_in_seconds":900}}'], status=429, headers=[]
)
EXPIRED = Answer([b'{"error":{"code":"token_expired"}}'], status=401, headers=[])
MISREAD = Answer([b'{"error":{"code":"invalid_encrypted_content"}}'], status=400, headers=[])
BUSY = Answer([b'{"error":{"code":"server_is_overloaded"}}'], status=503, headers=[])
ENCRYPTED = b'{"model":"m1","input":[{"encrypted_content":"x"},{"text":"y"}]}'
STRIPPED = b'{"model":"m1","input":[{"text":"y"}]}'


FAILURES = {
    "a limit": (LIMIT, "RateLimited"),
    "an overload": (BUSY, "Overloaded"),
    "a forbidden page": (Answer([b"<html>"], status=403, headers=[]), "Unreachable"),
    "a page in place of a stream": (
        Answer([b"<html>"], headers=[("content-type", "text/html")]),
        "Unreachable",
    ),
    "a compressed stream": (
        Answer([b"\x1f\x8b"], headers=[SSE, ("content-encoding", "gzip")]),
        "Unreachable",
    ),
    "an empty body": (Answer([]), "Broken"),
    "a cut before the head": (broken(), "Broken"),
    "a proxy that is away": (broken(sent=False, route=True), "Unreachable"),
    "a cut in the prelude": (Answer([CREATED, broken()]), "Broken"),
    "an end in the prelude": (Answer([CREATED]), "Broken"),
    "an error within an error": (Answer([broken()], status=500, headers=[]), "Broken"),
    "half a limit": (
        Answer([*LIMIT.steps, broken()], status=429, headers=[]),
        "RateLimited",
    ),
    "an endless error body": (
        Answer([b"x" * 3_000] * 9, status=500, headers=[]),
        "Broken",
    ),
    "no head in time": (Answer(WHOLE, after_s=HANG), "Broken"),
    "no event in time": (Answer([b": hi\n\n", 100.0] * 9), "Broken"),
    "silence in the prelude": (Answer([CREATED, HANG]), "Broken"),
    "an overload within a 200": (Answer([CREATED, failed("server_is_overloaded")]), "Overloaded"),
    "an error event within a 200": (Answer([CREATED, error("server_error")]), "Broken"),
    "both of them": (
        Answer([error("rate_limit_exceeded") + failed("rate_limit_exceeded")]),
        "RateLimited",
    ),
    "an error event and the end": (Answer([error("server_error") + b": x\n\n"]), "Broken"),
    "an event too large": (Answer([b"data: " + b"x" * (1 << 20) + b"x"]), "Broken"),
}


@pytest.mark.parametrize(("answer", "outcome"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@virtual
async def test_another_account_answers_unseen(answer, outcome, streamed):
    """The caller gets a whole reply and nothing of the first one."""
    scene = Scene(a=[answer], b=[good()])
    assert await (scene.stream() if streamed else scene.whole()) == TEXT
    assert scene.outcomes == [f"a {outcome}", "b Succeeded"]


@virtual
async def test_a_model_may_reason_in_silence_once_it_has_begun():
    """The first event has 120 s; after it the idle timeout counts, comments do not."""
    scene = Scene(a=[Answer([100.0, CREATED, 200.0, b": hi\n\n", 90.0, DELTA, 290.0, DONE])])
    assert await scene.stream() == CREATED + b": hi\n\n" + DELTA + DONE


@virtual
async def test_an_outage_is_not_multiplied():
    """When everything breaks, the budget of all calls bounds their second attempts."""
    names = [f"a{n}" for n in range(50)]
    scene = Scene(**{name: [Answer([]) for _ in range(99)] for name in names})
    errors = [await refused(scene, session_key=None) for _ in range(100)]
    assert len(scene.upstream.calls) <= 100 + 0.2 * 100 + 10
    assert {error.status for error in errors} == {502}
    assert errors[-1].retry_after_s == pytest.approx(10.0)
    await asyncio.sleep(11.0)
    before = len(scene.upstream.calls)
    await refused(scene, session_key=None)
    assert len(scene.upstream.calls) == before + SETTINGS.attempts_max


@pytest.mark.parametrize("answer", [LIMIT, good()], ids=["error", "stream"])
@virtual
async def test_what_a_reply_says_of_limits_is_heard(answer):
    """Whatever its status, and before the attempt is judged."""
    head = [
        *answer.headers,
        ("x-codex-primary-used-percent", "61.5"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-after-seconds", "900"),
    ]
    scene = Scene(a=[structs.replace(answer, headers=head)], b=[good()])
    assert await scene.stream() == TEXT
    state = next(state for state in scene.pool.states if state.account.id == "a")
    assert state.windows["codex", 300].used_ratio == 0.615


@virtual
async def test_a_call_stands_in_line_for_one_wait_only():
    """However many attempts it makes."""
    burst = Answer([failed("rate_limit_exceeded", "Please try again in 20s.")])
    scene = Scene(a=[burst, structs.replace(burst), good()])
    seen = await refused(scene)
    assert seen.status == 429
    assert LoopClock().monotonic() < 31.0
    assert [round(waited, -1) for _, waited in scene.leases] == [0, 20]


@virtual
async def test_attempts_are_bounded():
    """The last failure is the answer."""
    scene = Scene(**{name: [Answer([])] for name in "abcdefg"})
    assert (await refused(scene)).status == 502
    assert len(scene.outcomes) == SETTINGS.attempts_max


@virtual
async def test_when_nobody_is_left_the_last_failure_is_the_answer():
    """It says more than that nobody is left."""
    scene = Scene(a=[Answer(after_s=HANG)])
    assert isinstance(await refused(scene), UpstreamTimeout)
    assert LoopClock().monotonic() == pytest.approx(120.0)


@virtual
async def test_when_all_are_at_their_limit_the_earliest_reset_is_the_answer():
    """At once, and with nothing sent to those who rest."""
    scene = Scene(a=[LIMIT], b=[LIMIT])
    seen = await refused(scene)
    assert isinstance(seen, CapacityError)
    assert (seen.status, seen.code) == (429, "usage_limit_reached")
    assert 900.0 <= seen.retry_after_s <= 905.0
    assert scene.upstream.log == ["a asked", "a aborted", "b asked", "b aborted"]


@virtual
async def test_a_short_limit_is_waited_for():
    """One account is enough for a burst limit to cost only time."""
    burst = Answer([failed("rate_limit_exceeded", "Please try again in 3s.")])
    scene = Scene(a=[burst, good()])
    assert await scene.stream() == TEXT
    assert 3.0 <= LoopClock().monotonic() <= 4.0


@virtual
async def test_an_overloaded_upstream_is_tried_on_another_account_after_a_while():
    """On the same one if there is no other."""
    scene = Scene(a=[BUSY, BUSY], b=[BUSY, good()])
    assert await scene.stream() == TEXT
    assert scene.outcomes[:2] == ["a Overloaded", "b Overloaded"]
    assert LoopClock().monotonic() >= 0.1
    assert {scene.health("a"), scene.health("b")} == {"ready"}


@virtual
async def test_a_refused_request_costs_one_attempt():
    """No account will take it, and no account is to blame."""
    body = b'{"error":{"code":"context_length_exceeded","message":"too long","param":"input"}}'
    scene = Scene(a=[Answer([body], status=400, headers=[])], b=[good()])
    seen = await refused(scene)
    assert isinstance(seen, UpstreamRefused)
    assert (seen.status, seen.code, seen.message, seen.param) == (
        400, "context_length_exceeded", "too long", "input",
    )  # fmt: skip
    assert scene.health("a") == "ready"


@virtual
async def test_a_model_that_an_account_may_not_serve_is_tried_on_another():
    """And is not found, if none may."""
    body = b'{"detail":"The m1 model is not supported when using Codex with this account."}'
    unsuited = Answer([body], status=400, headers=[])
    scene = Scene(a=[unsuited], b=[unsuited])
    seen = await refused(scene)
    assert (seen.status, seen.code) == (404, "model_not_found")
    assert scene.outcomes == ["a Unsuited", "b Unsuited"]


@virtual
async def test_a_refused_credential_is_renewed_and_the_same_account_tried_once_more():
    """It has the session's cache."""
    scene = Scene(a=[EXPIRED, good()], b=[])
    assert await scene.stream() == TEXT
    assert scene.renewals == [("a", 0)]
    assert [used.credential.generation for used, _ in scene.upstream.calls] == [0, 1]
    assert scene.health("a") == "ready"


@virtual
async def test_a_credential_that_is_refused_again_is_not_renewed_again():
    """Another account takes the call."""
    scene = Scene(a=[EXPIRED, EXPIRED], b=[good()])
    assert await scene.stream() == TEXT
    assert scene.renewals == [("a", 0)]
    assert scene.health("a") == "expired"


@pytest.mark.parametrize("renewal_s", [None, HANG], ids=["refused", "slow"])
@virtual
async def test_without_a_renewal_another_account_takes_the_call(renewal_s):
    """After the wait that was set at the most."""
    scene = Scene(a=[EXPIRED], b=[good()])
    scene.renewal_s = renewal_s
    assert await scene.stream() == TEXT
    assert scene.health("a") == "expired"
    assert LoopClock().monotonic() == pytest.approx(30.0 if renewal_s else 0.0)


@virtual
async def test_a_dead_credential_is_not_renewed():
    """Its owner has to sign in again."""
    dead = Answer([b'{"error":{"code":"account_deactivated"}}'], status=401, headers=[])
    scene = Scene(a=[dead], b=[good()])
    assert await scene.stream() == TEXT
    assert (scene.renewals, scene.health("a")) == ([], "banned")


@virtual
async def test_encrypted_items_that_can_not_be_read_are_left_out_once():
    """And the call no longer asks for their owner."""
    scene = Scene(a=[MISREAD, good()])
    assert await scene.stream(body=ENCRYPTED, owner_keys=("k",)) == TEXT
    assert scene.bodies() == [ENCRYPTED, STRIPPED]
    assert [sent.owner_keys for _, sent in scene.upstream.calls] == [("k",), ()]


@virtual
async def test_a_request_without_them_is_not_sent_again():
    """There is nothing to leave out, or no longer."""
    scene = Scene(a=[MISREAD, MISREAD])
    seen = await refused(scene, body=ENCRYPTED)
    assert (seen.status, seen.code) == (400, "invalid_encrypted_content")
    assert scene.bodies() == [ENCRYPTED, STRIPPED]
    scene = Scene(a=[MISREAD])
    assert (await refused(scene)).code == "invalid_encrypted_content"


def sealed(content: str, type: str = "reasoning") -> dict:
    """Return an encrypted item."""
    return {"type": type, "encrypted_content": content}


def asked(*items: dict) -> dict[str, Any]:
    """Return what a call with these items is made of."""
    made = [i for i in reversed(items) if "encrypted_content" in i]
    keys = {f"key-1:{fingerprint(i['encrypted_content'])}": i["type"] for i in made}
    return {
        "body": msgspec.json.encode({"model": "m1", "input": items}),
        "owner_keys": tuple(keys),
        "bound_keys": tuple(key for key, kind in keys.items() if kind == "compaction"),
    }


def own(scene: Scene, account_id: str, *contents: str) -> None:
    """Let the pool know who made these items."""
    for content in contents:
        scene.pool.bind(f"key-1:{fingerprint(content)}", account_id, now=LoopClock().now())


def shown(scene: Scene) -> list[tuple[str, list[str]]]:
    """Return which items each attempt's account was shown."""
    return [
        (
            used.id,
            [i.get("encrypted_content", "text") for i in msgspec.json.decode(sent.body)["input"]],
        )
        for used, sent in scene.upstream.calls
    ]


@virtual
async def test_items_of_another_account_are_not_shown():
    """The call moves without them; with the next attempt at home they are there again."""
    scene = Scene(a=[LIMIT], b=[BUSY, good()])
    own(scene, "a", "a1", "a2")
    own(scene, "b", "b1")
    request = asked(sealed("b1"), sealed("a1"), {"text": 1}, sealed("a2"))
    assert await scene.stream(**request) == TEXT
    assert shown(scene) == [
        ("a", ["a1", "text", "a2"]),
        ("b", ["b1", "text"]),
        ("b", ["b1", "text"]),
    ]


@virtual
async def test_others_are_asked_whose_an_item_is_before_an_account_is_chosen():
    """Once for a call, and not for one without such items."""
    scene = Scene(a=[good()], b=[good(), good()])
    questions = []

    async def recall(call):
        questions.append(call.owner_keys)
        own(scene, "b", "b1")

    scene.relay._recall = recall
    request = asked({"text": 1}, sealed("b1", "compaction"))
    assert await scene.stream(**request) == TEXT
    assert shown(scene) == [("b", ["text", "b1"])]
    assert questions == [request["owner_keys"]]
    await scene.stream()
    assert len(questions) == 1


@virtual
async def test_who_takes_an_item_that_nobody_owns_owns_it():
    """So the next turn finds its way, also after a restart."""
    scene = Scene(a=[good(), LIMIT], b=[good()])
    request = asked({"text": 1}, sealed("?"))
    await scene.stream(**request)
    await scene.stream(**request, session_key=None)
    assert shown(scene) == [("a", ["text", "?"]), ("a", ["text", "?"]), ("b", ["text"])]


@virtual
async def test_a_compaction_goes_to_its_owner_though_the_session_lives_elsewhere():
    """And waits for it while it is busy."""
    scene = Scene(
        accounts=[account("a"), account("b", concurrency_max=1)],
        a=[], b=[Answer([CREATED, 5.0, DELTA, DONE]), good()],
    )  # fmt: skip
    own(scene, "b", "all of it")
    request = asked(sealed("all of it", "compaction"), {"text": 1})
    first = asyncio.create_task(scene.relay.whole(scene._call(request), Heard))
    second = asyncio.create_task(scene.relay.whole(scene._call(request), Heard))
    await asyncio.gather(first, second)
    scene.check()
    assert [used.id for used, _ in scene.upstream.calls] == ["b", "b"]
    assert {reason for reason, _ in scene.leases} == {"only"}
    assert max(waited for _, waited in scene.leases) == pytest.approx(5.0)


@virtual
async def test_a_compaction_of_an_account_that_rests_is_refused():
    """With the time of its reset; no other account is asked, and the first not again."""
    scene = Scene(a=[good()], b=[LIMIT])
    own(scene, "b", "all of it")
    request = asked(sealed("all of it", "compaction"))
    for _ in range(2):
        seen = await refused(scene, **request)
        assert isinstance(seen, ContextUnavailable)
        assert (seen.status, seen.code) == (409, "response_context_unavailable")
        assert 890.0 <= seen.retry_after_s <= 905.0
        assert seen.resets_at is not None
    assert scene.upstream.log == ["b asked", "b aborted"]
    assert [code for code, _ in scene.refusals] == ["response_context_unavailable"] * 2


@virtual
async def test_a_compaction_of_an_account_that_is_gone_is_refused():
    """For good."""
    scene = Scene(a=[good()])
    own(scene, "gone", "all of it")
    seen = await refused(scene, **asked(sealed("all of it", "compaction")))
    assert (seen.status, seen.retry_after_s) == (409, None)
    assert scene.upstream.log == []


@virtual
async def test_a_compaction_of_an_account_that_is_busy_is_told_so():
    """It is no loss: the next try may find it free."""
    scene = Scene(
        accounts=[account("a"), account("b", concurrency_max=1)], a=[], b=[Answer([CREATED, HANG])]
    )
    own(scene, "b", "all of it")
    request = asked(sealed("all of it", "compaction"))
    task = asyncio.create_task(scene.relay.whole(scene._call(request), Heard))
    await asyncio.sleep(1.0)
    with pytest.raises(CapacityError) as caught:
        await scene.relay.whole(scene._call(request), Heard)
    assert caught.value.code == "pool_busy"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@virtual
async def test_an_owner_that_broke_is_tried_again():
    """Where nobody else may take the call; and in the end its last word is the answer."""
    scene = Scene(a=[], b=[broken(), Answer([CREATED, broken()]), good()])
    own(scene, "b", "all of it")
    request = asked(sealed("all of it", "compaction"))
    assert await scene.stream(**request) == TEXT
    assert scene.outcomes == ["b Broken", "b Broken", "b Succeeded"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Answer([b'{"error":{"code":"account_deactivated"}}'], status=401, headers=[]), 409,
         "response_context_unavailable"),
        (Answer([b'{"error":{"code":"model_not_found","message":"no"}}'], status=404, headers=[]),
         404, "model_not_found"),
        (Answer([b'{"error":{"code":"context_length_exceeded"}}'], status=400, headers=[]), 400,
         "context_length_exceeded"),
    ],
    ids=["dead", "unsuited", "refused"],
)  # fmt: skip
@virtual
async def test_an_owner_that_can_not_take_the_call_is_the_end_of_it(answer, status, code):
    """Nobody else is asked."""
    scene = Scene(a=[good()], b=[answer])
    own(scene, "b", "all of it")
    seen = await refused(scene, **asked(sealed("all of it", "compaction")))
    assert (seen.status, seen.code) == (status, code)
    assert scene.outcomes == [f"b {type(scene.seen[0]).__name__}"]


@virtual
async def test_a_compaction_that_could_not_be_read_is_never_left_out():
    """Nobody knew its owner: reasoning is left out once, and then the call ends."""
    scene = Scene(a=[MISREAD, MISREAD])
    compaction = sealed("all of it", "compaction")
    seen = await refused(scene, **asked(compaction, sealed("?"), {"text": 1}))
    assert (seen.status, seen.code) == (409, "response_context_unavailable")
    assert shown(scene) == [("a", ["all of it", "?", "text"]), ("a", ["all of it", "text"])]


@virtual
async def test_an_encrypted_item_brings_its_next_turn_back_to_its_account():
    """For the same caller only."""
    item = event("response.output_item.done", item={"encrypted_content": "secret"})
    scene = Scene(a=[], b=[Answer([CREATED, item, DONE])])
    scene.pool.bind("elsewhere", "b", now=LoopClock().now())
    assert await scene.stream(session_key="elsewhere") == CREATED + item + DONE
    names = [key for key in scene.pool._affinity._entries if key.startswith("key-1:")]
    assert len(names) == 1
    assert "secret" not in names[0]
    assert scene.pool.owner(names[0], now=LoopClock().now()) == "b"


@virtual
async def test_a_turns_state_is_never_sent_to_another_account():
    """It goes back to the one that gave it, and to that one only."""
    state = ("x-codex-turn-state", "opaque")
    name = ("user-agent", "codex_cli_rs/1")
    scene = Scene(a=[Answer(WHOLE, headers=[SSE, state]), LIMIT], b=[good()])
    await scene.stream(headers=(name, ("x-codex-turn-state", "somebody else's")))
    assert await scene.stream(headers=(name, state)) == TEXT
    assert [(used.id, sent.headers) for used, sent in scene.upstream.calls] == [
        ("a", (name,)),
        ("a", (name, state)),
        ("b", (name,)),
    ]


@virtual
async def test_a_turns_state_belongs_to_the_caller_that_got_it():
    """Another caller's is taken for unknown."""
    state = ("x-codex-turn-state", "opaque")
    scene = Scene(a=[Answer(WHOLE, headers=[SSE, state]), good()])
    await scene.stream()
    await scene.stream(headers=(state,), caller_id="key-2")
    assert scene.upstream.calls[1][1].headers == ()


@virtual
async def test_a_caller_that_is_done_in_the_middle_abandons_its_reply():
    """Nothing is held against the account, and the upstream is let go of."""
    scene = Scene(a=[Answer([CREATED, DELTA, HANG])])
    reply = await scene.open()
    reply.abandon()
    await reply.close()
    scene.check()
    assert scene.outcomes == ["a Abandoned"]
    assert scene.upstream.log == ["a asked", "a aborted"]


@virtual
async def test_closing_without_reading_settles_the_lease():
    """Whatever the caller's reason."""
    scene = Scene(a=[good()])
    await (await scene.open()).close()
    scene.check()
    assert scene.outcomes == ["a Abandoned"]


SLOW = {
    "before the head": lambda: Scene(a=[Answer(WHOLE, after_s=5.0)], b=[good()]),
    "in the prelude": lambda: Scene(a=[Answer([CREATED, 5.0, DELTA, DONE])], b=[good()]),
    "in the stream": lambda: Scene(a=[Answer([CREATED, DELTA, 5.0, DONE])], b=[good()]),
    "in an error body": lambda: Scene(a=[Answer([5.0], status=500, headers=[])], b=[good()]),
    "while it waits to try again": lambda: Scene(a=[BUSY, good()]),
    "in a renewal": lambda: Scene(a=[EXPIRED, good()]),
    "in line": lambda: Scene(
        a=[Answer([failed("rate_limit_exceeded", "try again in 5s")]), good()]
    ),
}


@pytest.mark.parametrize("make", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@virtual
async def test_a_caller_may_leave_at_any_moment(make, streamed):
    """Every lease is settled, once, and every reply let go of."""
    for moment in range(60):
        scene = make()
        scene.renewal_s = 5.0
        task = asyncio.create_task(scene.stream() if streamed else scene.whole())
        if moment < 40:
            for _ in range(moment):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep((moment - 39) * 0.27)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if scene.upstream.calls:
            scene.check()
        assert scene.admission.waiting == 0
        assert all(state.in_flight == 0 for state in scene.pool.states)


@virtual
async def test_a_caller_that_leaves_in_the_moment_of_silence_has_left():
    """It is told nothing more: the cancellation is not taken for the upstream's silence."""
    scene = Scene(a=[Answer([CREATED, DELTA, HANG])])
    task = asyncio.create_task(scene.stream())
    asyncio.get_running_loop().call_at(1_300.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.outcomes == ["a Abandoned"]


@pytest.mark.parametrize("seed", range(40))
@virtual
async def test_any_mixture_of_failures_ends_in_an_answer_or_an_error(seed):
    """In bounded time, with every book in order, and with no reply made of two."""
    rng = Random(seed)
    kinds = [*(answer for answer, _ in FAILURES.values()), LIMIT, EXPIRED, MISREAD, BUSY]

    def script() -> list:
        answers = [rng.choice(kinds) for _ in range(rng.randrange(3))]
        copies = [
            structs.replace(answer) if isinstance(answer, Answer) else answer for answer in answers
        ]
        return [*copies, *[good() for _ in range(99)]]

    scene = Scene(
        accounts=[account(name, concurrency_max=2) for name in "abc"],
        **{name: script() for name in "abc"},
    )

    async def one() -> None:
        with contextlib.suppress(CapacityError, UpstreamError):
            assert await scene.relay.whole(scene._call({}), Heard)

    await asyncio.gather(*(one() for _ in range(12)))
    scene.check()
    assert LoopClock().monotonic() < 4 * 700.0

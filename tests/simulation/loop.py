"""An event loop that plays hours in milliseconds, in an order that a seed decides.

Production code runs in it as it is. What differs from the loop that it is used to:

* Time hardly passes while somebody has something to do; then it jumps to the next timer.
* Who is next is drawn from all who are ready, by a seeded generator: no order that asyncio happens
  to keep can be relied on, and every order is played sooner or later, the same one for one seed.
* There are no sockets and no threads. If nobody has anything to do and no timer is set, the
  simulation is stuck, and that is an error; so is one that never lets time pass.

Between two steps a watcher may look at everything: a step is what a task does between two awaits.
Tasks know their owner, so that a process can be killed: that drops all of its tasks where they are.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from random import Random
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

STEPS_AT_A_MOMENT_MAX = 20_000
STEP_S = 1e-6
"""What a step takes, so that waits for next to nothing do not go on for ever."""
START_S = 1_000.0
"""Not 0: production code may take 0 for "never"."""
UNWINDING_TURNS = 50

OWNER: ContextVar[object | None] = ContextVar("OWNER", default=None)
"""Whose task the running one is; tasks that it makes are the same owner's."""


class Stuck(AssertionError):
    """Nobody has anything to do, no timer is set, and the simulation is not over."""


class Restless(AssertionError):
    """The simulation goes on and on without time passing."""


def _nothing() -> None:
    pass


class _Hat(deque[asyncio.Handle]):
    """The queue of those who are ready: who is next is drawn."""

    def __init__(self, rng: Random, between: Callable[[], None]) -> None:
        super().__init__()
        self._draw = rng.random
        self._between = between

    def popleft(self) -> asyncio.Handle:
        self._between()
        if len(self) > 1:
            self.rotate(-int(self._draw() * len(self)))
        return super().popleft()


class _Waitless:
    """Stands where the loop has its selector: there is nothing to wait for but time."""

    def __init__(self, loop: "SimulationLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout is None or timeout > 0:
            self._loop.let_time_pass()
        return ()


class SimulationLoop(asyncio.BaseEventLoop):
    """Set `watch` and `quiet`, then `play`; not to be used again afterwards."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._at = START_S
        self._selector = _Waitless(self)
        self._ready = _Hat(rng, self._between)
        self._owners: WeakKeyDictionary[asyncio.Task[Any], object] = WeakKeyDictionary()
        self._plans: list[tuple[int, Callable[[], None]]] = []
        self._steps_at_a_moment = 0
        self.steps = 0
        """How many steps were begun."""
        self.complaints: list[str] = []
        """What would have been logged: callbacks that raised, errors that nobody fetched."""
        self.watch: Callable[[], None] = _nothing
        """Called between two steps; what it raises ends the simulation."""
        self.quiet: Callable[[], None] = _nothing
        """Called when nobody has anything to do, before time passes; may give somebody a task."""
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._at

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Create a task that belongs to whom the running one belongs to."""
        task = super().create_task(coro, name=name, context=context)
        self._owners[task] = OWNER.get() if context is None else context.get(OWNER)
        return task

    def create_task_of(
        self, owner: object | None, coro: Coroutine[Any, Any, T], *, name: str | None = None
    ) -> asyncio.Task[T]:
        """Create a task that belongs to `owner`, whoever makes it."""
        context = Context()
        context.run(OWNER.set, owner)
        return self.create_task(coro, name=name, context=context)

    def tasks(self, owner: object | None) -> list[asyncio.Task[Any]]:
        """Return the owner's tasks that are not done, in the order in which they were made."""
        return [task for task, whose in self._owners.items() if whose is owner and not task.done()]

    def drop(self, owner: object) -> None:
        """Let all tasks of the owner unwind; what they do meanwhile must reach nobody."""
        for task in self.tasks(owner):
            task.cancel()

    def after_steps(self, count: int, action: Callable[[], None]) -> None:
        """Do something in `count` steps, between two of them."""
        self._plans.append((self.steps + count, action))
        self._plans.sort(key=lambda plan: plan[0])

    def play(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` and what it starts until it returns; then let the rest unwind."""
        try:
            return self.run_until_complete(self.create_task(main, name="main"))
        finally:
            self._unwind()

    def let_time_pass(self) -> None:
        """Jump to the next timer, unless there is something to do after all."""
        while self._plans and self._plans[0][0] <= self.steps:
            self._plans.pop(0)[1]()
        self.quiet()
        if self._ready:
            return
        self._steps_at_a_moment = 0
        if not self._scheduled:
            waiting = [task.get_name() for task in self._owners if not task.done()]
            raise Stuck(f"nobody has anything to do; waiting: {', '.join(waiting)}")
        self._at = max(self._at, self._scheduled[0].when())

    def _between(self) -> None:
        self.steps += 1
        self._at += STEP_S
        self._steps_at_a_moment += 1
        if self._steps_at_a_moment > STEPS_AT_A_MOMENT_MAX:
            raise Restless(f"{STEPS_AT_A_MOMENT_MAX} steps at second {self._at}")
        while self._plans and self._plans[0][0] < self.steps:
            self._plans.pop(0)[1]()
        self.watch()

    def _process_events(self, _: object) -> None:
        """Do nothing: there are no sockets that anything could happen to."""

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    def _unwind(self) -> None:
        self.watch = self.quiet = _nothing
        self._plans.clear()
        self._steps_at_a_moment = -STEPS_AT_A_MOMENT_MAX
        for _ in range(UNWINDING_TURNS):
            left = [task for task in list(self._owners) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.call_soon(self.stop)
            self.run_forever()
        self.close()

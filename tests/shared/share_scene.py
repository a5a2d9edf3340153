"""Processes that share accounts over a hub, in simulated time: load, lost questions, deaths."""

from collections.abc import Coroutine
from heapq import heappop, heappush
from random import Random
from typing import Any

from app.domain.account import AccountId
from app.domain.shared import AccountTally, Claim, Snapshot
from app.ports import SharedUnavailable
from app.shared.memory import Hub, MemoryShared
from app.shared.shares import Shares, Standing

INTERVAL_S = 0.25
SPACING_S = 0.05
HASTE_S = 0.1
STEP_S = 0.01


def done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


class Lossy:
    """Loses questions and answers, as a network does."""

    def __init__(self, shared: MemoryShared, rng: Random, loss: float) -> None:
        self.shared = shared
        self.rng = rng
        self.loss = loss

    def ask(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Put a question through, unless it or its answer is lost."""
        if self.rng.random() < self.loss / 2:
            coroutine.close()
            raise SharedUnavailable("lost")
        answer = done(coroutine)
        if self.rng.random() < self.loss / 2:
            raise SharedUnavailable("lost")
        return answer


class Process:
    """One process: its calls under way, its line and its shares."""

    def __init__(self, name: str, scene: "Scene", rate: float) -> None:
        self.name = name
        self.scene = scene
        self.rate = rate
        """Calls that arrive in a second."""
        self.shared = MemoryShared(scene.hub, incarnation=name)
        self.link = Lossy(self.shared, scene.rng, scene.loss)
        self.shares = Shares(limit=lambda _account, _share: None)
        self.shares.roster(scene.accounts)
        self.ends: dict[AccountId, list[float]] = {each: [] for each in scene.accounts}
        self.line = self.served = 0
        self.changed: set[AccountId] = set(scene.accounts)
        self.unsaid: set[AccountId] = set()
        self.wanting: set[AccountId] = set()
        self.processes = 1
        self.last_at = 0.0
        self.next_at = scene.rng.uniform(0, INTERVAL_S)

    def standing(self, account_id: AccountId) -> Standing:
        """Return how busy it is."""
        cap = self.scene.cap
        return Standing(cap, len(self.ends[account_id]), cap)

    def work(self, now: float) -> None:
        """Let calls end, arrive, and begin where there is a credit."""
        for account_id, ends in self.ends.items():
            while ends and ends[0] <= now:
                heappop(ends)
                self.changed.add(account_id)
        rng = self.scene.rng
        self.line += rng.random() < self.rate * STEP_S
        for account_id, ends in self.ends.items():
            while self.line and len(ends) < self.shares.share(account_id):
                self.line -= 1
                self.served += 1
                heappush(ends, now + rng.expovariate(1 / self.scene.call_s))
                self.changed.add(account_id)
        self.line = min(self.line, 50)

    def round(self, now: float) -> None:
        """Say and hear, as `app.shared.sync` does."""
        self.last_at = now
        looked = {*self.changed, *self.wanting, *self.shares.turn()}
        self.changed = set()
        wanted_before, self.wanting = self.wanting, set()
        rows = []
        for account_id in sorted(looked):
            standing = self.standing(account_id)
            wanted = self.shares.wanted(account_id, standing, waiting=self.line)
            if wanted:
                self.wanting.add(account_id)
            rows.append(AccountTally(account_id, standing.in_flight, wanted))
        urgent = bool(self.wanting - wanted_before)
        try:
            self.link.ask(self.shared.publish(Snapshot(accounts=rows, urgent=urgent)))
            if urgent:
                self.scene.ring(self, now)
            view = self.shared.view()
            self.shares.consider(looked, view)
            if view.processes != self.processes:
                self.processes = view.processes
                self.shares.claim_anew()
            while claims := self.shares.claims(self.standing, view, waiting=self.line, now=now):
                self.claim(claims)
        except SharedUnavailable:
            self.changed |= looked
        pause_s = HASTE_S if self.shares.owing else INTERVAL_S * self.scene.rng.uniform(0.8, 1.1)
        self.next_at = now + (SPACING_S if self.shares.pressed else pause_s)

    def claim(self, claims: list[Claim]) -> None:
        """Put the claims through or lose them."""
        try:
            held = self.link.ask(self.shared.claim(claims))
        except SharedUnavailable:
            self.shares.unanswered(claims)
            raise
        self.shares.answered(claims, held)

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return sum(map(len, self.ends.values()))


class Scene:
    """Some processes on some accounts."""

    def __init__(
        self, *, seed: int, cap: int = 8, accounts: int = 1, loss: float = 0.0, call_s: float = 2.0
    ) -> None:
        self.rng = Random(seed)
        self.cap = cap
        self.loss = loss
        self.call_s = call_s
        self.accounts = [AccountId(f"a{number}") for number in range(accounts)]
        self.now = 0.0
        self.hub = Hub(now=lambda: self.now)
        self.processes: list[Process] = []
        self.joined = self.most = 0
        """The most calls that were under way with one account at a time."""
        self.busy_s = self.wanted_s = 0.0
        """Credits in use, and credits that could have been, times seconds."""

    def join(self, rate: float) -> Process:
        """Let one more process begin."""
        self.joined += 1
        process = Process(f"p{self.joined}", self, rate)
        process.next_at = self.now
        self.processes.append(process)
        return process

    def kill(self, process: Process) -> None:
        """Let a process die: its calls are over, and it says nothing any more."""
        self.processes.remove(process)

    def ring(self, ringer: Process, now: float) -> None:
        """Make all others have a round soon."""
        for process in self.processes:
            if process is not ringer:
                soon = max(now + STEP_S, process.last_at + SPACING_S)
                process.next_at = min(process.next_at, soon)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            for process in self.processes:
                process.work(self.now)
                if self.now >= process.next_at:
                    process.round(self.now)
            self._look()

    def _look(self) -> None:
        for account_id in self.accounts:
            in_flight = sum(len(process.ends[account_id]) for process in self.processes)
            self.most = max(self.most, in_flight)
        busy = sum(process.in_flight for process in self.processes)
        demand = busy + sum(process.line for process in self.processes)
        self.busy_s += busy * STEP_S
        self.wanted_s += min(demand, self.cap * len(self.accounts)) * STEP_S

    @property
    def utilisation(self) -> float:
        """Return how much of what could have been used was."""
        return self.busy_s / self.wanted_s

    def measure(self) -> None:
        """Begin to measure anew."""
        self.busy_s = self.wanted_s = 0.0

"""What is due when: a heap on which every key has one moment, which can be moved. Pure.

A key that is set again leaves its old entry on the heap, to be passed over later. Entries left
behind are swept out before they outnumber the keys, so the heap never grows much larger than what
is set. What a key means, and what happens when it rings, is the owner's matter.
"""

from collections.abc import Container, ItemsView
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Generic, TypeVar

SLACK: Final = 64
"""Entries left behind that are not worth a sweep."""

K = TypeVar("K", bound=str | tuple[str, str])


class Alarms(Generic[K]):
    """Keys with the moment at which each is due, in epoch seconds."""

    def __init__(self) -> None:
        self.soonest = inf
        """Nothing is due before it; something may be due at it."""
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, K]] = []

    def __len__(self) -> int:
        return len(self._due)

    def get(self, key: K) -> float | None:
        """Return when `key` is due, None if it is not set."""
        return self._due.get(key)

    def items(self) -> ItemsView[K, float]:
        """Return all keys and when they are due, in the order in which they were first set."""
        return self._due.items()

    def set(self, key: K, at: float) -> None:
        """Let `key` be due at `at` and at no other moment."""
        if self._due.get(key) == at:
            return
        self._due[key] = at
        heappush(self._heap, (at, key))
        self._sweep()

    def drop(self, key: K) -> None:
        """Forget `key`, if it is set."""
        if self._due.pop(key, None) is not None:
            self._sweep()

    def ring(self, now: float) -> K | None:
        """Return and forget a key that is due, the earliest first; None if nothing is."""
        while self.soonest <= now:
            at, key = heappop(self._heap)
            rings = self._due.get(key) == at
            if rings:
                del self._due[key]
            self._sweep()
            if rings:
                return key
        return None

    def next_at(self, excluding: Container[K] = ()) -> float | None:
        """Return when the next key rings that is not among `excluding`, None if none does.

        Costs a step for each key of `excluding` that is due before.
        """
        heap = self._heap
        aside = []
        found = None
        while heap:
            at, key = heap[0]
            if self._due.get(key) == at:
                if key not in excluding:
                    found = at
                    break
                aside.append((at, key))
            heappop(heap)
        for entry in aside:
            heappush(heap, entry)
        self.soonest = heap[0][0] if heap else inf
        return found

    def _sweep(self) -> None:
        heap = self._heap
        if len(heap) > 2 * len(self._due) + SLACK:
            heap = self._heap = [(at, key) for key, at in self._due.items()]
            heapify(heap)
        self.soonest = heap[0][0] if heap else inf

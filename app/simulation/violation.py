"""What a simulation ends with when something happened that must never happen."""


class Violation(AssertionError):
    """An invariant is broken: which one, by whom, and when."""

    def __init__(self, invariant: str, words: str) -> None:
        super().__init__(f"{invariant}: {words}")
        self.invariant = invariant

"""Label values from open sets, kept to so many: the first that come stay, the rest is `other`."""

from typing import Final

OTHER: Final = "other"


class Words:
    """Words that somebody else chooses; at most `words_max` are told apart."""

    def __init__(self, words_max: int) -> None:
        self._known: set[str] = set()
        self._words_max = words_max

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, word: str) -> bool:
        return word in self._known

    def label(self, word: str) -> str:
        """Return the word itself while there are few of them."""
        if word in self._known:
            return word
        if len(self._known) >= self._words_max:
            return OTHER
        self._known.add(word)
        return word

    def keep(self, words: set[str]) -> None:
        """Forget every other word, so that new ones get their places."""
        self._known &= words

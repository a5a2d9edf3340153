"""However many words come, so many are told apart."""

from app.telemetry.labels import Words


def test_the_first_words_stay_and_the_rest_is_other():
    """Those that are known stay known."""
    words = Words(2)
    labels = [words.label(word) for word in ("a", "b", "c", "a", "c")]
    assert labels == ["a", "b", "other", "a", "other"]
    assert len(words) == 2
    assert "a" in words
    assert "c" not in words


def test_a_word_that_is_given_up_makes_room():
    """What is kept and was never there takes no place."""
    words = Words(2)
    for word in ("a", "b"):
        words.label(word)
    words.keep({"b", "z"})
    assert [words.label(word) for word in ("c", "a")] == ["c", "other"]

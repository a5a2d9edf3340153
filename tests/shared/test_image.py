"""One process's figures as pages: readers have everything, and pages do not pile up."""

from random import Random

import pytest

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.shared import AccountTally, KeySpent
from app.shared.codec import page
from app.shared.image import PAGES_MAX, ROWS_MAX, Image, Row, Write


class Server:
    """Keeps the pages as Redis does."""

    def __init__(self) -> None:
        self.head = 0
        self.pages: dict[int, bytes] = {}

    def apply(self, write: Write) -> bool:
        """Do what is to be done, or refuse it."""
        if write.anew:
            self.pages.clear()
        elif not write.low <= self.head <= write.high:
            return False
        self.pages.update(write.pages)
        for number in write.drops:
            self.pages.pop(number, None)
        self.head = write.head
        return True


class Reader:
    """Reads the pages that it has not read."""

    def __init__(self) -> None:
        self.read = 0
        self.rows: dict[object, Row] = {}

    def catch_up(self, server: Server) -> None:
        """Read on."""
        for number in sorted(each for each in server.pages if each > self.read):
            found = page(server.pages[number])
            self.rows.update({(type(row), row.id): row for row in found.accounts})
            self.rows.update({(type(row), row.id): row for row in found.keys})
        self.read = server.head


def row(name: object, value: int) -> AccountTally:
    """Return a row."""
    return AccountTally(AccountId(str(name)), value)


def test_only_what_changed_is_written() -> None:
    """And nothing once it has been acknowledged."""
    image = Image()
    image.change([row("a", 1), row("b", 1)])
    first = image.write()
    assert (first.low, first.high, first.head, first.anew) == (0, 0, 1, False)
    image.accepted(first)
    image.change([row("a", 1), row("b", 2)])
    second = image.write()
    assert [page(raw).accounts for _, raw in second.pages] == [[row("b", 2)]]
    image.accepted(second)
    assert image.write().pages == []


def test_accounts_and_keys_may_have_one_name() -> None:
    """They are rows of their own."""
    image = Image()
    image.change([row("x", 1), KeySpent(KeyId("x"), 1, 2, 3, 4)])
    ((_, raw),) = image.write().pages
    assert (len(page(raw).accounts), len(page(raw).keys)) == (1, 1)


def test_a_row_that_changes_during_a_write_is_written_again() -> None:
    """The acknowledgement is of what was sent."""
    image = Image()
    image.change([row("a", 1)])
    write = image.write()
    image.change([row("a", 2)])
    image.accepted(write)
    ((_, raw),) = image.write().pages
    assert page(raw).accounts == [row("a", 2)]


def test_a_write_without_an_answer_is_made_good_by_the_next() -> None:
    """Whether it happened or not."""
    for happened in (True, False):
        image, server, reader = Image(), Server(), Reader()
        image.change([row("a", 1)])
        lost = image.write()
        if happened:
            assert server.apply(lost)
        image.change([row("b", 1)])
        write = image.write()
        assert server.apply(write)
        image.accepted(write)
        reader.catch_up(server)
        assert set(reader.rows.values()) == {row("a", 1), row("b", 1)}
        assert list(server.pages) == [write.head]


def test_a_server_that_lost_everything_is_told_everything() -> None:
    """It refuses what builds on what it does not have."""
    image, server = Image(), Server()
    image.change([row("a", 1), row("b", 1)])
    first = image.write()
    server.apply(first)
    image.accepted(first)
    empty = Server()
    image.change([row("a", 2)])
    assert not empty.apply(image.write())
    image.lost()
    anew = image.write()
    assert empty.apply(anew)
    image.accepted(anew)
    reader = Reader()
    reader.catch_up(empty)
    assert set(reader.rows.values()) == {row("a", 2), row("b", 1)}
    assert empty.apply(image.write())


def test_an_empty_image_can_be_told_anew() -> None:
    """There is a page, so that it can be seen that there is nothing in it."""
    image = Image()
    image.lost()
    assert len(image.write().pages) == 1


def test_a_page_is_no_larger_than_a_reader_takes_in_one_go() -> None:
    """The rest is in pages of their own."""
    image = Image()
    image.change(row(number, 1) for number in range(ROWS_MAX + 1))
    write = image.write()
    assert [len(page(raw).accounts) for _, raw in write.pages] == [ROWS_MAX, 1]


def test_pages_do_not_pile_up() -> None:
    """However long a process lives; and no row is lost on the way."""
    image, server = Image(), Server()
    image.change([row("never changes", 7)])
    for number in range(5 * PAGES_MAX):
        image.change([row(number % 90, number)])
        write = image.write()
        assert server.apply(write)
        image.accepted(write)
        assert len(server.pages) <= PAGES_MAX + 1
    reader = Reader()
    reader.catch_up(server)
    assert reader.rows[AccountTally, "never changes"] == row("never changes", 7)
    assert len(reader.rows) == 91


@pytest.mark.parametrize("seed", range(30))
def test_every_reader_has_everything_whatever_gets_lost(seed) -> None:
    """Lost questions, lost answers, lost data: after the next acknowledged write all is there."""
    rng = Random(seed)
    image, server, readers = Image(), Server(), [Reader()]
    truth: dict[str, int] = {}
    for step in range(400):
        for _ in range(rng.randrange(6)):
            name = str(rng.randrange(40))
            truth[name] = step
            image.change([row(name, step)])
        if rng.random() < 0.01:
            server = Server()
        if rng.random() < 0.05:
            readers.append(Reader())
        write = image.write()
        if rng.random() < 0.1:
            continue
        if not server.apply(write):
            image.lost()
            continue
        if rng.random() < 0.1:
            continue
        image.accepted(write)
        for reader in readers:
            if rng.random() < 0.7:
                reader.catch_up(server)
                found = {row.id: row.in_flight for row in reader.rows.values()}
                assert found == truth

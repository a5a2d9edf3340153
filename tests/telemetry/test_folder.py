"""What a worker has left is there for the others, once, whatever becomes of it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.errors import StateError
from app.telemetry import folder as folders
from app.telemetry.folder import Folder, this_program
from app.telemetry.page import Family, Page, bounded, together

ROOT = Path(__file__).parents[2]


def told(count: float, *, leases: float = 0) -> Page:
    """Return what a worker says that has counted so many calls."""
    return Page(
        [
            Family("codex2api_calls", "counter", "Calls.", [("codex2api_calls_total", {}, count)]),
            Family("codex2api_leases", "gauge", "Leases.", [("codex2api_leases", {}, leases)]),
        ]
    )


def seen(folder: Folder) -> dict[str, float]:
    """Return what all the others have counted."""
    families = together([page.families for page in folder.others()], place=str)
    return {name: value for each in families for name, _, value in each.lines}


@pytest.fixture
def join(tmp_path):
    """Take a place in the same program, or in another one."""

    def join(name: str, program: str = "p") -> Folder:
        return Folder.join(tmp_path / "metrics", program=program, name=name)

    return join


def test_what_one_has_left_the_others_see(join):
    """Its last word, and not one's own."""
    a, b, c = join("a"), join("b"), join("c")
    a.put(told(1, leases=2))
    a.put(told(5, leases=1))
    b.put(told(7, leases=4))
    assert seen(c) == {"codex2api_calls_total": 12, "codex2api_leases": 5}
    assert seen(a) == {"codex2api_calls_total": 7, "codex2api_leases": 4}


def test_of_one_that_is_gone_the_totals_stay(join):
    """At once, and after they were added to those of others that are gone; gauges go with it."""
    a, b, c = join("a"), join("b"), join("c")
    for each, count in ((a, 5), (b, 7)):
        each.put(told(count, leases=3))
    a.leave()
    assert seen(c) == {"codex2api_calls_total": 12, "codex2api_leases": 3}
    assert c.retire(place=str) == ["a"]
    assert c.retire(place=str) == []
    b.leave()
    assert c.retire(place=str) == ["b"]
    assert seen(c) == {"codex2api_calls_total": 12}


def test_nobody_is_retired_who_lives(join):
    """However often one looks."""
    a, b = join("a"), join("b")
    a.put(told(5))
    assert b.retire(place=str) == []
    assert seen(b)["codex2api_calls_total"] == 5


def test_one_is_retired_once_by_however_many(join):
    """Two that see it at the same moment take turns."""
    gone, *others = (join(name) for name in "abcdefgh")
    gone.put(told(5))
    gone.leave()
    start = threading.Barrier(len(others))
    names: list[str] = []

    def look(folder: Folder) -> None:
        start.wait()
        names.extend(folder.retire(place=str))

    threads = [threading.Thread(target=look, args=(each,)) for each in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["a"]
    assert all(seen(each) == {"codex2api_calls_total": 5} for each in others)


def test_a_crash_between_adding_and_removing_counts_nothing_twice(join, monkeypatch):
    """The sum names whom it holds."""
    a, b = join("a"), join("b")
    a.put(told(5))
    a.leave()
    with monkeypatch.context() as patched:
        patched.setattr(folders.shutil, "rmtree", lambda *_, **__: None)
        assert b.retire(place=str) == ["a"]
    assert seen(b) == {"codex2api_calls_total": 5}
    assert b.retire(place=str) == []
    assert seen(b) == {"codex2api_calls_total": 5}
    assert not (b._home / "a").exists()


def test_one_that_has_said_nothing_yet_counts_for_nothing(join):
    """Neither alive nor gone."""
    a, b = join("a"), join("b")
    assert seen(b) == {}
    a.leave()
    assert b.retire(place=str) == ["a"]
    assert seen(b) == {}


def test_accounts_of_those_who_are_gone_are_called_as_on_the_page(join):
    """So that their sum has a bound too."""
    a, b = join("a"), join("b")
    name = "codex2api_account_calls"
    lines = [(f"{name}_total", {"account": each}, 1.0) for each in ("x", "y", "z", "left")]
    a.put(Page([Family(name, "counter", "Calls.", lines)]))
    a.leave()
    b.retire(place={"x": "x", "y": "other", "z": "other"}.get)
    [retired] = b.others()
    assert retired.families[0].lines == [
        (f"{name}_total", {"account": "x"}, 1),
        (f"{name}_total", {"account": "other"}, 2),
    ]
    assert bounded(retired.families) == retired.families


def test_spoilt_counts_are_left_out(join, caplog):
    """With a word about it, and the rest is right."""
    a, b, c = join("a"), join("b"), join("c")
    a.put(told(5))
    b.put(told(7))
    (a._home / "a" / "counts").write_bytes(b"\x00")
    assert seen(c)["codex2api_calls_total"] == 7
    assert "spoilt" in caplog.text


def test_counts_that_can_not_be_read_are_no_zero(join):
    """Who asks is told, since a total must not fall; and nothing is replaced by less."""
    a, b = join("a"), join("b")
    a.leave()
    (b._home / "retired").mkdir()
    with pytest.raises(OSError, match="retired"):
        b.others()
    with pytest.raises(OSError, match="retired"):
        b.retire(place=str)
    assert (b._home / "a").exists()


def test_while_another_adds_up_nobody_does(join):
    """It is done at the next look."""
    a, b = join("a"), join("b")
    a.put(told(5))
    a.leave()
    with folders._turn(b._home / "lock", within_s=0.0) as taken:
        assert taken
        assert b.retire(place=str) == []
    assert b.retire(place=str) == ["a"]


def test_names_of_those_who_are_gone_are_bounded(join, monkeypatch):
    """A name only matters until its folder is removed."""
    monkeypatch.setattr(folders, "GONE_MAX", 2)
    last = join("last")
    for name in "abc":
        each = join(name)
        each.put(told(1))
        each.leave()
        assert last.retire(place=str) == [name]
    [retired] = last.others()
    assert retired.gone == ["b", "c"]
    assert seen(last) == {"codex2api_calls_total": 3}


def test_a_new_program_begins_at_zero(join):
    """What the one before has left is removed by the first of its workers."""
    old = join("a", "old")
    old.put(told(5))
    old.leave()
    new = join("a", "new")
    assert not (new._home.parent / "old").exists()
    assert seen(new) == {}


def test_a_program_that_still_runs_is_left_alone(join):
    """Its last worker may drain for minutes; neither sees what the other counts."""
    old = join("a", "old")
    old.put(told(5))
    new, beside = join("b", "new"), join("c", "old")
    assert seen(new) == {}
    assert seen(beside)["codex2api_calls_total"] == 5


def test_a_killed_worker_is_gone(join, tmp_path):
    """The kernel lets go of its lock: it had no time to do so itself."""
    here = join("here")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from app.telemetry.folder import Folder\n"
        "from tests.telemetry.test_folder import told\n"
        "folder = Folder.join(Path(sys.argv[1]), program='p', name='child')\n"
        "folder.put(told(5, leases=1))\n"
        "print('joined', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "metrics")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout.readline() == b"joined\n"
        assert seen(here) == {"codex2api_calls_total": 5, "codex2api_leases": 1}
        assert here.retire(place=str) == []
        child.kill()
    assert here.retire(place=str) == ["child"]
    assert seen(here) == {"codex2api_calls_total": 5}


def test_a_folder_that_can_not_be_made_is_named(join, tmp_path):
    """With what to do about it."""
    (tmp_path / "metrics").write_bytes(b"")
    with pytest.raises(StateError, match=r"CODEX_DATA_DIR"):
        join("a")


def test_a_start_does_not_wait_for_ever(join, tmp_path, monkeypatch):
    """Another process may be frozen with the lock in its hands."""
    monkeypatch.setattr(folders, "TURN_S", 0.0)
    join("a")
    with (
        folders._turn(tmp_path / "metrics" / "lock", within_s=0.0),
        pytest.raises(StateError, match="kept by another process"),
    ):
        join("b")


def test_a_folder_that_was_taken_away_is_empty(join):
    """Somebody tidied up: the rest of the worker goes on."""
    a = join("a")
    folders.shutil.rmtree(a._home)
    assert a.others() == [Page()]
    assert a.retire(place=str) == []
    with pytest.raises(FileNotFoundError):
        a.put(told(1))


def test_the_workers_of_one_start_share_a_name():
    """A child has it from its parent, and another start another one."""
    program = (
        "import os\n"
        "from app.telemetry.folder import this_program\n"
        "print(this_program(), flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(this_program(), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    parent, child = done.stdout.split()
    assert parent == child
    assert parent != this_program()

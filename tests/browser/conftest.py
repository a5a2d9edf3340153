"""A real browser in front of a real gateway with the admin UI's build.

What is missing (Chromium, the build) is said in the reason for which a test is skipped.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.programs import ROOT, Gateway, Pair, Simulator, enrol

BUILD = ROOT / "admin-ui" / "dist" / "index.html"
PASSWORD = "a-password-of-the-browser-tests"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NOISE = ("401", "404", "409", "400")
"""What a browser itself says of an answer that is no success; tests provoke those."""

Open = Callable[..., Page]


def chromium() -> str | None:
    """Return where the system's Chromium is."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and skip it where it can't run."""
    missing = None
    if chromium() is None:
        missing = "Chromium is not installed"
    elif not BUILD.is_file():
        missing = "the admin UI is not built: make ui"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.slow)
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; its driver's event loop must be gone before other modules run."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A gateway with two accounts and an admin password."""
    folder = tmp_path_factory.mktemp("browser")
    simulator = Simulator(folder, accounts=2)
    gateway = Gateway(folder, simulator, ADMIN_SECRET=PASSWORD)
    try:
        enrol(gateway, simulator)
        gateway.start()
        yield Pair(simulator, gateway)
    finally:
        gateway.stop()
        simulator.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser window of its own, without a session."""
    opened = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not complain: no script fails, no policy is broken."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(f"script: {error}"))

    def heard(message) -> None:
        if message.type == "error" and not any(word in message.text for word in NOISE):
            complaints.append(f"console: {message.text}")

    opened.on("console", heard)
    yield opened
    assert not complaints


def sign_in(page: Page, url: str, path: str = "/admin/") -> None:
    """Open a page of the admin UI and sign in."""
    page.goto(f"{url}{path}")
    page.get_by_label("Admin password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()

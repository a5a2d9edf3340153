"""A person in a hurry: opens every page of the admin UI, sorts, filters, scrolls, and times it.

    python -m loadtests.admin.tour       reads an address a line, writes the times of its tour

Runs as a process of its own, as its waiting and Chromium's must not delay who asks for calls.
A page is usable once what it is for is there to be read and pressed, not when its frame is.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS, PASSWORD, chromium

DRAWN: Final = (
    "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
)
SORTS: Final = {
    "Health": "status",
    "Quota": "used",
    "Tokens today": "tokens",
    "Errors": "error_ratio",
    "Priority": "priority",
}
ROW: Final = '[role="row"][aria-rowindex="%s"] [role="cell"]:nth-child(2)'
PAGES: Final = {
    "accounts": (ROW % 1, ""),
    "keys": ("main tbody tr", ""),
    "usage": ("main tbody tr", ""),
    "operations": ("main", "Records waiting"),
    "explain": ("main", "No decision was kept|Latest decisions"),
    "settings": ("#strategy", ""),
    "connect": ("main pre", ""),
    "": ("main", "Attempts a minute"),
}
"""What shows that a page is there: an element, and words in it."""
SHOWN: Final = """([css, words]) => new Promise((done, fail) => {
  const ends = performance.now() + 20_000;
  const look = () => {
    const found = [...document.querySelectorAll(css)].some(
      (each) => each.checkVisibility() && new RegExp(words).test(each.textContent));
    if (found) done();
    else if (performance.now() > ends) fail(new Error(`${css} does not show ${words}`));
    else requestAnimationFrame(look);
  };
  look();
})"""
"""Looks at each frame. Who waits from outside looks ever less often, in the end twice a second."""


class Tour:
    """One visit of one gateway; `times` is filled in its order, in milliseconds."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.times: dict[str, float] = {}
        self._admin = f"{url}/admin/"

    def go(self) -> None:
        """See everything once."""
        self._sign_in()
        for name, shown in PAGES.items():
            with self._timed(f"open {name or 'overview'}"):
                self.page.goto(f"{self._admin}{name}", wait_until="commit")
                self._see(*shown)
        self._accounts()
        self._usage()

    def _sign_in(self) -> None:
        with self._timed("open login"):
            self.page.goto(self._admin, wait_until="commit")
            self._see("input[type=password]")
        self.page.get_by_label("Admin password").fill(PASSWORD)
        with self._timed("sign in"):
            self.page.get_by_role("button", name="Sign in").click()
            self._see(*PAGES[""])

    def _accounts(self) -> None:
        page = self.page
        self._to("Accounts", PAGES["accounts"])
        for header, word in SORTS.items():
            press = page.get_by_role("columnheader", name=header).get_by_role("button").click
            self._answered(f"accounts, by {header.lower()}", f"sort={word}", press)
        with self._timed("accounts, scrolled to the end"):
            frame = page.locator('[role="table"] > div').last
            frame.evaluate("(frame) => { frame.scrollTop = frame.scrollHeight; }")
            total = page.locator('[role="table"]').get_attribute("aria-rowcount")
            self._see(ROW % total)
        name = (
            page.get_by_role("cell")
            .filter(has_text="acct-")
            .last.inner_text()
            .split("@")[0]
            .split()[0]
        )
        search = page.get_by_label("Search by name")
        self._answered("accounts, searched", f"q={name}", lambda: search.fill(name))
        search.fill("")
        ready = page.locator("main label").filter(has_text="ready")
        self._answered("accounts, only ready ones", "status=ready", ready.click)
        with self._timed("an account opened"):
            page.locator(ROW % 1).click()
            self._see("[role=tab]", "Attempts")
        page.keyboard.press("Escape")

    def _usage(self) -> None:
        page = self.page
        self._to("Usage", PAGES["usage"])
        for span in ("30 days", "90 days"):
            press = page.get_by_text(span, exact=True).click
            self._answered(f"usage, {span}", "/usage/lines", press)
        for tab, wanted in {"By account": "account", "By key": "caller"}.items():
            press = page.get_by_role("tab", name=tab).click
            self._answered(f"usage, {tab.lower()}", f"by={wanted}", press)
        self._answered("errors", "/usage/errors", page.get_by_role("tab", name="Errors").click)
        opened = page.get_by_role("tab", name="Request log").click
        self._answered("request log", "/usage/requests", opened)
        more = page.get_by_role("button", name="Earlier ones").click
        self._answered("request log, further back", "cursor=", more)
        with self._timed("a request opened"):
            page.locator("main tbody tr button").first.click()
            self._see("main tbody tr table")
        outcome = page.get_by_label("Outcome")
        failed = "status_class=5"
        self._answered("request log, 5xx", failed, lambda: outcome.select_option("5"))
        model = page.get_by_label("Model", exact=True)
        self._answered(
            "request log, a rare model", "model=gpt-rare", lambda: model.fill("gpt-rare")
        )

    def _to(self, name: str, shown: tuple[str, str]) -> None:
        with self._timed(f"go to {name.lower()}"):
            self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
            self._see(*shown)

    def _see(self, css: str, words: str = "") -> None:
        self.page.evaluate(SHOWN, [css, words])

    def _answered(self, what: str, asked: str, press: Callable[[], object]) -> None:
        """Time what is pressed until the answer to it is drawn."""
        with self._timed(what):
            # Whoever waits for the body of one answer waits for ever if the page has dropped it.
            with self.page.expect_request_finished(lambda request: asked in request.url):
                press()
            self.page.evaluate(DRAWN)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.times[what] = 1e3 * (time.perf_counter() - began)


def visit(browser: Browser, url: str) -> dict[str, float]:
    """Make one tour in a window of its own; nothing is cached from the one before."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    try:
        tour = Tour(context.new_page(), url)
        tour.go()
    finally:
        context.close()
    return tour.times


def main() -> None:
    """Make the tours that are asked for."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        for line in sys.stdin:
            times = visit(browser, line.strip())
            sys.stdout.buffer.write(msgspec.json.encode(times) + b"\n")
            sys.stdout.buffer.flush()
        browser.close()


if __name__ == "__main__":
    main()

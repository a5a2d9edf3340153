"""How the pages look: nothing overflows, axe finds nothing serious, pictures for docs."""

import json
import os

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PASSWORD, ROOT, sign_in
from tests.browser.test_admin_ui import PLACES, ask
from tests.e2e.programs import Pair

AXE = ROOT / "admin-ui" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (360, 768, 1440)
WIDE = """() => {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const clipped = [...document.querySelectorAll('button, a, label, h1, h2')]
    .filter((each) => {
      const box = each.getBoundingClientRect();
      const inside = each.closest(
        '[data-cards], .mantine-Table-scrollContainer, pre, table, [role=tablist], '
        + '.mantine-ScrollArea-viewport');
      return box.width > 0 && !inside && box.right > window.innerWidth + 1;
    })
    .map((each) => each.textContent);
  return { wide, clipped };
}"""


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows(browser: Browser, pair: Pair, width: int) -> None:
    """Neither the page nor what is pressed on it reaches past the edge."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    try:
        page = context.new_page()
        page.goto(f"{pair.gateway.url}/admin/")
        assert page.evaluate(WIDE)["wide"] <= 0
        sign_in_small(page, pair)
        for name, path in PLACES.items():
            page.goto(f"{pair.gateway.url}{path}")
            expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
            page.wait_for_load_state("load")
            seen = page.evaluate(WIDE)
            assert seen["wide"] <= 0, f"{name} is {seen['wide']} px too wide at {width}"
            assert not seen["clipped"], f"{name} at {width}"
    finally:
        context.close()


def sign_in_small(page: Page, pair: Pair) -> None:
    """Sign in where the navigation may be behind its button."""
    page.goto(f"{pair.gateway.url}/admin/")
    page.get_by_label("Admin password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, pair: Pair, scheme: str) -> None:
    """On every page, in both themes."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make ui")
    # The page's own policy lets no foreign script in; the test brings one.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    try:
        page = context.new_page()
        sign_in(page, pair.gateway.url)
        for name, path in PLACES.items():
            page.goto(f"{pair.gateway.url}{path}")
            expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
            page.wait_for_timeout(600)
            page.add_script_tag(path=AXE)
            found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
            serious = [
                (each["id"], [node["html"][:160] for node in each["nodes"][:3]])
                for each in found["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            assert not serious, f"{name}, {scheme}: {json.dumps(serious, indent=1)}"
    finally:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_for_the_documentation(browser: Browser, pair: Pair, scheme: str) -> None:
    """Every page has one in both themes; with PICTURES=1 they are taken anew."""
    folder = ROOT / "docs" / "images"
    names = ["login", *(name.lower() for name in PLACES)]
    if not os.environ.get("PICTURES"):
        assert all((folder / f"admin-{name}-{scheme}.png").is_file() for name in names)
        return
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto(f"{pair.gateway.url}/admin/")
        expect(page.get_by_label("Admin password")).to_be_visible()
        page.screenshot(path=folder / f"admin-login-{scheme}.png")
        sign_in(page, pair.gateway.url)
        for _ in range(6):
            ask(pair)
        page.wait_for_timeout(5_000)
        for name in PLACES:
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
            expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
            page.wait_for_timeout(1_500)
            page.screenshot(path=folder / f"admin-{name.lower()}-{scheme}.png")
    finally:
        context.close()

"""The admin UI as a person uses it, in a real browser against a real gateway."""

import json
import re
import socket

import openai
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PASSWORD, sign_in
from tests.e2e.programs import API_KEY, MODEL, Gateway, Pair

PLACES = {
    "Overview": "/admin/",
    "Accounts": "/admin/accounts",
    "Keys": "/admin/keys",
    "Usage": "/admin/usage",
    "Operations": "/admin/operations",
    "Explain": "/admin/explain",
    "Settings": "/admin/settings",
    "Connect": "/admin/connect",
}


def ask(pair: Pair, text: str = "Hello", key: str = API_KEY) -> str:
    """Make one call, and return its request id."""
    with openai.OpenAI(base_url=f"{pair.gateway.url}/v1", api_key=key) as client:
        answer = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": text}]
        )
        return answer.headers["x-request-id"]


def dialog(page: Page):
    """Return the dialog that is open."""
    return page.get_by_role("dialog").last


def test_a_wrong_password_is_told_beside_the_form(page: Page, pair: Pair) -> None:
    """Nothing is shown of the pages, and the right one then opens them."""
    page.goto(f"{pair.gateway.url}/admin/")
    page.get_by_label("Admin password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).to_have_count(0)
    page.get_by_label("Admin password").fill(PASSWORD)
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible(timeout=20_000)


def test_every_page_opens_from_the_navigation(page: Page, pair: Pair) -> None:
    """Each has its heading, its title and its address; the address opens it again."""
    sign_in(page, pair.gateway.url)
    for name, path in PLACES.items():
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
        expect(page).to_have_title(f"{name} · codex2api")
        assert page.url == f"{pair.gateway.url}{path}"
    page.reload()
    expect(page.get_by_role("heading", level=1, name="Connect")).to_be_visible()


def test_numbers_move_without_a_reload(page: Page, pair: Pair) -> None:
    """A call that is made elsewhere appears on the overview by itself."""
    sign_in(page, pair.gateway.url)
    latest = page.get_by_role("region", name="Latest calls")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(latest.get_by_text("No call since")).to_be_visible()
    ask(pair)
    expect(latest.get_by_role("cell", name=MODEL).first).to_be_visible()
    expect(latest.get_by_role("cell", name="200").first).to_be_visible()


def test_a_login_adds_an_account(page: Page, context: BrowserContext, pair: Pair) -> None:
    """The steps explain themselves: open, agree, paste the address where it ends."""
    sign_in(page, pair.gateway.url, "/admin/accounts")
    page.get_by_role("button", name="Add accounts").first.click()
    box = dialog(page)
    box.get_by_role("button", name="Begin").click()
    link = box.get_by_role("link", name="Open the sign-in page").get_attribute("href")
    assert link
    asked: list[str] = []
    other = context.new_page()
    other.on("request", lambda request: asked.append(request.url))
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        other.goto(link)
    other.close()
    ended = next(url for url in asked if url.startswith("http://localhost:1455/"))
    box.get_by_label("The address that the browser ended at").fill(ended)
    box.get_by_label("Name").fill("signed in")
    box.get_by_role("button", name="Add the account").click()
    told = re.compile("in the pool|new credential|there already")
    expect(box.get_by_role("status")).to_contain_text(told)
    box.get_by_role("button", name="Done").click()


def test_a_device_code_adds_an_account(page: Page, pair: Pair) -> None:
    """The page waits, and notices by itself that the person has agreed."""
    sign_in(page, pair.gateway.url, "/admin/accounts")
    page.get_by_role("button", name="Add accounts").first.click()
    box = dialog(page)
    box.get_by_role("tab", name="Device code").click()
    box.get_by_role("button", name="Get a code").click()
    expect(box.get_by_test_id("device-code")).to_have_text(re.compile(r"\S{4,}"))
    expect(box.get_by_role("button", name="Done")).to_be_visible(timeout=30_000)


def test_pasted_and_uploaded_tokens_add_accounts(page: Page, pair: Pair) -> None:
    """Accounts that are there already are recognised; rubbish is told line by line."""
    accounts = pair.simulator.see("accounts")
    sign_in(page, pair.gateway.url, "/admin/accounts")
    page.get_by_role("button", name="Add accounts").first.click()
    box = dialog(page)
    box.get_by_role("tab", name="Upload").click()
    box.locator("input[type=file]").set_input_files(
        files=[
            {
                "name": "accounts.json",
                "mimeType": "application/json",
                "buffer": json.dumps(accounts).encode(),
            }
        ]
    )
    box.get_by_role("button", name="Upload", exact=True).click()
    expect(box.get_by_role("status")).to_contain_text("0 added")
    box.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Add accounts").first.click()
    box = dialog(page)
    box.get_by_role("tab", name="Paste tokens").click()
    box.get_by_label("Refresh tokens", exact=False).last.fill("not a token\nneither is this one")
    box.get_by_role("button", name="Add", exact=True).click()
    expect(box.get_by_text("2 could not be taken").or_(box.get_by_role("alert"))).to_be_visible()


def test_an_account_is_paused_and_taken_back(page: Page, pair: Pair) -> None:
    """From its own page; the list follows."""
    sign_in(page, pair.gateway.url, "/admin/accounts")
    row = page.get_by_role("row").filter(has_text="@").first
    row.click()
    box = dialog(page)
    box.get_by_role("button", name="Pause").click()
    expect(box.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.get_by_text("disabled").first).to_be_visible()
    box.get_by_role("button", name="Resume").click()
    expect(box.get_by_role("button", name="Pause")).to_be_visible()


def test_a_stale_edit_is_refused_and_explained(page: Page, pair: Pair) -> None:
    """Somebody else changed the account while it was open here."""
    sign_in(page, pair.gateway.url, "/admin/accounts")
    page.get_by_role("row").filter(has_text="@").first.click()
    box = dialog(page)
    box.get_by_role("tab", name="Settings").click()
    box.get_by_label("Priority").fill("3")
    account = page.url.rsplit("/", 1)[1]
    pair.gateway.client.patch(
        f"/api/admin/accounts/{account}",
        json={"priority": 7},
        headers={"x-admin-key": PASSWORD},
    ).raise_for_status()
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_role("alert")).to_contain_text("Somebody else changed this")


def test_a_key_is_made_shown_once_and_works(page: Page, pair: Pair) -> None:
    """A name is asked for beside its field; the key calls; the list has its digest's tail only."""
    sign_in(page, pair.gateway.url, "/admin/keys")
    page.get_by_role("button", name="New key").first.click()
    box = dialog(page)
    box.get_by_label("Name").fill("browser")
    box.get_by_label("Calls a minute").fill("100")
    box.get_by_role("button", name="Make the key").click()
    key = dialog(page).get_by_test_id("new-key").inner_text().strip()
    assert key.startswith("sk-c2a-")
    dialog(page).get_by_role("button", name="I have it").click()
    expect(page.get_by_role("cell", name=re.compile("browser"))).to_be_visible()
    assert key not in page.content()
    ask(pair, key=key)


def test_a_field_that_is_wrong_is_told_beside_it(page: Page, pair: Pair) -> None:
    """The gateway's own words, where the value stands."""
    sign_in(page, pair.gateway.url, "/admin/keys")
    page.get_by_role("button", name="New key").first.click()
    box = dialog(page)
    box.get_by_label("Name").fill("wrong networks")
    box.get_by_role("button", name=re.compile("Expiry")).click()
    networks = box.get_by_label("Networks")
    networks.fill("10.0.0.0/99")
    networks.press("Enter")
    box.get_by_role("button", name="Make the key").click()
    expect(box.get_by_label("Networks")).to_have_attribute("aria-invalid", "true")


def test_a_call_is_explained(page: Page, pair: Pair) -> None:
    """By its request id: who answered, after how many attempts."""
    pair.gateway.command("settings", "set", "explain=all")
    request_id = ask(pair, "explain me")
    sign_in(page, pair.gateway.url, "/admin/explain")
    page.get_by_label("Request id").fill(request_id)
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_text("200").first).to_be_visible()
    expect(page.get_by_role("table").first).to_be_visible()


def test_a_setting_is_changed_and_shown_as_chosen(page: Page, pair: Pair) -> None:
    """With its default beside it; a running gateway follows."""
    sign_in(page, pair.gateway.url, "/admin/settings")
    page.locator("#attempts_max").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. Every worker follows")).to_be_visible()
    assert pair.gateway.command("settings", "show")["attempts_max"] == 3
    page.locator("#attempts_max").fill("99")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#attempts_max")).to_have_attribute("aria-invalid", "true")


def test_a_price_is_changed_in_its_table(page: Page, pair: Pair) -> None:
    """What is wrong stands beside its field; what is right counts, and can be taken back."""
    sign_in(page, pair.gateway.url, "/admin/settings")
    page.get_by_role("tab", name="Prices").click()
    page.get_by_role("button", name="Add a price").click()
    box = dialog(page)
    box.get_by_role("textbox", name="Model").fill("mine")
    box.get_by_role("textbox", name="Input", exact=True).fill("cheap")
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_text('"cheap" is no number.')).to_be_visible()
    expect(box.get_by_text("A number is needed.")).to_be_visible()
    box.get_by_role("textbox", name="Input", exact=True).fill("1.25")
    box.get_by_role("textbox", name="Output", exact=True).fill("10")
    box.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="mine yours $1.25")).to_be_visible()
    page.get_by_role("button", name="Edit the price of mine").click()
    dialog(page).get_by_role("button", name="Remove my price").click()
    expect(page.get_by_role("row", name="mine yours")).to_have_count(0)


def test_a_session_that_ends_loses_nothing_that_was_typed(
    page: Page, context: BrowserContext, pair: Pair
) -> None:
    """The login stands above the page; what was typed is saved after it."""
    sign_in(page, pair.gateway.url, "/admin/settings")
    page.locator("#probe_interval_s").fill("600")
    context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    box = page.get_by_role("dialog", name="Your session has ended")
    box.get_by_label("Admin password").fill(PASSWORD)
    box.get_by_role("button", name="Sign in").click()
    expect(box).to_have_count(0)
    expect(page.locator("#probe_interval_s")).to_have_value("600")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. Every worker follows")).to_be_visible()


def test_the_theme_is_switched_and_remembered(page: Page, pair: Pair) -> None:
    """The new theme grows out of the button, and a reload keeps it."""
    sign_in(page, pair.gateway.url)
    html = page.locator("html")
    expect(html).to_have_attribute("data-mantine-color-scheme", "light")
    page.get_by_role("button", name="Switch to dark").click()
    expect(html).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    expect(html).to_have_attribute("data-mantine-color-scheme", "dark")


def own_address() -> str | None:
    """Return an address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_it_works_over_plain_http_on_another_address(page: Page, pair: Pair) -> None:
    """Where browsers send no Sec-Fetch-Site and know no clipboard."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    folder = pair.gateway.log.parent / "plain"
    folder.mkdir()
    gateway = Gateway(folder, pair.simulator, ADMIN_SECRET=PASSWORD, CODEX_BIND=address)
    gateway.client.base_url = f"http://{address}:{gateway.port}"
    try:
        gateway.start()
        url = f"http://{address}:{gateway.port}"
        sign_in(page, url, "/admin/keys")
        page.get_by_role("button", name="New key").first.click()
        dialog(page).get_by_label("Name").fill("plain")
        dialog(page).get_by_role("button", name="Make the key").click()
        dialog(page).get_by_role("button", name="Copy the key").click()
        dialog(page).get_by_role("button", name="I have it").click()
        expect(page.get_by_role("cell", name=re.compile("plain"))).to_be_visible()
    finally:
        gateway.stop()

"""The admin API of a real gateway on a real database, asked in process."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from app.admin import passwords
from app.compose import build, gateway
from app.compose.gateway import Gateway
from app.settings import Settings

PASSWORD = "correct horse battery staple"
CALLER_KEY = "a-caller's-key-of-some-length"
ADDRESS = "http://gateway.example:8080"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a hash take no time; what a good one takes is tested with passwords themselves."""
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "PasswordHasher", quick)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a gateway whose password is known."""
    return Settings(data_dir=tmp_path, api_keys=(CALLER_KEY,), admin_secret=PASSWORD)


@pytest.fixture
async def opened(settings: Settings) -> AsyncIterator[Gateway]:
    """An open gateway."""
    async with gateway(settings) as found:
        yield found


Browser = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def browser(opened: Gateway) -> AsyncIterator[Browser]:
    """Make clients of the gateway, none of them logged in."""
    app: Any = build(opened)
    made: list[httpx.AsyncClient] = []

    def new(address: str = ADDRESS, **headers: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, client=("192.0.2.7", 1)),
            base_url=f"{address}/api/admin/",
            headers=headers,
        )
        made.append(client)
        return client

    yield new
    for client in made:
        await client.aclose()


@pytest.fixture
async def admin(browser: Browser) -> httpx.AsyncClient:
    """A browser that is logged in, and sends its token."""
    client = browser()
    answer = await client.post("login", json={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    client.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return client


@pytest.fixture
def script(browser: Browser) -> httpx.AsyncClient:
    """A program that sends the admin key."""
    return browser(**{"x-admin-key": PASSWORD})


def code(answer: httpx.Response) -> str:
    """Return the code of a refusal, whose form is looked at."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "fields", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]
    return error["code"]


def fields(answer: httpx.Response) -> list[str]:
    """Return the fields that a refusal names."""
    return [each["field"] for each in answer.json()["error"]["fields"]]

"""Tests of app.compose.admin."""

import pytest
from msgspec.structs import replace

from app.compose import gateway
from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.errors import Unauthenticated


async def test_the_first_start_shows_a_password_once(settings, capsys):
    """It opens the door; the second start shows nothing."""
    async with gateway(settings) as opened:
        shown = capsys.readouterr().err
        password = shown.split("The admin password is ")[1].split("\n")[0]
        access = opened.admin_parts.access
        await access.prove(Secret(password), address="192.0.2.1")
    async with gateway(settings):
        assert capsys.readouterr().err == ""


async def test_a_password_of_the_environment_is_not_shown(settings, capsys):
    """It opens the door all the same, and no other one does."""
    async with gateway(replace(settings, admin_secret="of the environment")) as opened:
        assert capsys.readouterr().err == ""
        access = opened.admin_parts.access
        await access.prove(Secret("of the environment"), address="192.0.2.1")
        with pytest.raises(Unauthenticated):
            await access.prove(Secret("another"), address="192.0.2.1")


async def test_the_services_see_the_running_gateway(settings):
    """What is stored is in the roster once it was taken over; the overview counts it."""
    async with gateway(replace(settings, admin_secret="of the environment")) as opened:
        parts = opened.admin_parts
        added = await opened.store.accounts.add(
            Enrolment(name="one", access_token=Secret("at-1")), at=opened.clock.now()
        )
        await opened.catch_up()
        assert parts.roster.row(added.account.id).name == "one"
        page = await parts.overview.operations()
        assert page.numbers.accounts["ready"] == 1
        assert page.worker.incarnation == opened.books.incarnation
        await parts.drain()
        assert opened.in_flight.draining

"""An application of a few views on the shared foundation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask, request
from flask_wtf.csrf import generate_csrf

from connector.contract import TryAgain
from connector.errors import Ended, Invalid, TooMany
from connector.web import foundation, limits
from tests.portal.shop import Shop, open_shop

SECRET = "sk_live_do_not_show"


def _pages() -> Blueprint:
    pages = Blueprint("pages", __name__)

    @pages.get("/fine/<token>")
    def fine(token: str) -> str:
        return "fine"

    @pages.get("/invalid")
    def invalid() -> str:
        raise Invalid("Enter a whole number.", field="pieces")

    @pages.get("/ended")
    def ended() -> str:
        raise Ended("This code has expired.")

    @pages.get("/too-many")
    def too_many() -> str:
        raise TooMany("Wait a little.", retry_after=7)

    @pages.get("/upstream")
    def upstream() -> str:
        raise TryAgain("The system is busy.", 12.0)

    @pages.get("/broken")
    def broken() -> str:
        raise RuntimeError(f"the password is {SECRET}")

    @pages.get("/full")
    def full() -> str:
        raise sa.exc.OperationalError(f"INSERT {SECRET}", {}, sqlite3.OperationalError("database or disk is full"))

    @pages.post("/form")
    def form() -> str:
        return request.form["word"]

    @pages.get("/token")
    def token() -> str:
        return str(generate_csrf())

    @pages.get("/limited")
    def limited() -> str:
        limits.hold("door", "anna@example.com", limit=3, period=60)
        return "in"

    return pages


@pytest.fixture
def application(sqlite_url: str) -> Iterator[Callable[..., tuple[Flask, Shop]]]:
    """Makes the application; settings by keyword."""
    with ExitStack() as open_ones:

        def make(**environ: str) -> tuple[Flask, Shop]:
            shop = open_shop(sqlite_url, {f"DUEBRIDGE_{name}": value for name, value in environ.items()})
            open_ones.callback(shop.wiring.database.engine.dispose)
            app: Any = foundation.Application("pages", static_folder=None, template_folder=None)
            foundation.install(app, shop.wiring)
            app.register_blueprint(_pages())
            return app, shop

        yield make

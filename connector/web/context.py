"""How a view reaches the product's parts and knows which request it is serving."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app, g

from connector.wiring import Wiring

_KEY = "duebridge"


def attach(app: Flask, wiring: Wiring) -> None:
    """Give the application its wiring."""
    app.extensions[_KEY] = wiring


def wiring() -> Wiring:
    """The wiring of the application that serves this request."""
    return cast(Wiring, current_app.extensions[_KEY])


def correlation() -> str:
    """The id that ties this request's log lines, its error page and its background work together."""
    return cast(str, g.get("correlation", ""))

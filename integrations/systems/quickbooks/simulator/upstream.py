"""Everything one simulated QuickBooks consists of, as its routes and its tests reach it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Faults
from integrations.simulator.journal import Journal
from integrations.simulator.store import Store
from integrations.systems.quickbooks.simulator.books import Books
from integrations.systems.quickbooks.simulator.settings import QuickBooksSettings
from integrations.systems.quickbooks.simulator.throttle import Throttle
from integrations.systems.quickbooks.simulator.tokens import Tokens
from integrations.systems.quickbooks.simulator.webhooks import Webhooks

EXTENSION = "quickbooks-simulator"


@dataclass(frozen=True)
class Upstream:
    """The parts; `books` by realm, `public_url` without a trailing slash."""

    store: Store
    clock: Clock
    journal: Journal
    faults: Faults
    settings: QuickBooksSettings
    books: dict[str, Books]
    tokens: Tokens
    throttle: Throttle
    webhooks: Webhooks
    public_url: str


def upstream(app: Flask | None = None) -> Upstream:
    """The parts of an app: the one given, or the one answering the present request."""
    parts: Upstream = (app or current_app).extensions[EXTENSION]
    return parts

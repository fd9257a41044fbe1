"""The merchant's wing: which address leads to which page."""

from __future__ import annotations

from flask import Flask

from connector.dashboard import (
    connection,
    connections,
    customers,
    entrance,
    home,
    invoice,
    invoices,
    payment,
    payments,
    settings,
)
from connector.dashboard.frame import add_to
from connector.web import assets


def install(app: Flask) -> None:
    """Add the merchant's pages."""
    assets.serve_static("dashboard", __file__)
    app.register_blueprint(entrance.blueprint)
    for part in (home, settings, connections, connection, invoices, invoice, customers, payments, payment):
        app.register_blueprint(part.blueprint)
    add_to(app)

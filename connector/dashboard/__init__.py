"""The merchant's wing: which address leads to which page."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from connector.dashboard import (
    connection,
    connections,
    customers,
    differences,
    entrance,
    home,
    invoice,
    invoices,
    payment,
    payments,
    settings,
    work,
)
from connector.dashboard.frame import add_to
from connector.web import assets


class RowId(IntegerConverter):
    """The id of a row in an address; a number no database can hold is no address of ours."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=2**53)


def install(app: Flask) -> None:
    """Add the merchant's pages."""
    app.url_map.converters["row"] = RowId
    assets.serve_static("dashboard", __file__)
    app.register_blueprint(entrance.blueprint)
    merchants_own = (home, settings, work, connections, connection, invoices, invoice, customers, payments, payment)
    for part in (*merchants_own, differences):
        app.register_blueprint(part.blueprint)
    add_to(app)

"""The customers, and one of them with people, link and invoices."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import act, merchant_id, show, staff_blueprint, today, user_id
from connector.dashboard.typed import address, search, whole
from connector.domain.links import Scope
from connector.journeys import inject
from connector.reading import customers
from connector.web.context import wiring

blueprint = staff_blueprint("customers")
_LONGEST_NAME = 300


@blueprint.get("/customers")
def listing() -> ResponseReturnValue:
    """By name, page by page."""
    found = search()
    name, number = request.args.get("after", "")[:_LONGEST_NAME], whole(request.args.get("after_id", ""))
    after = customers.Place(name, number) if number else None
    rows, owed = customers.page(wiring(), merchant_id(), search=found, after=after)
    shown, more = rows[: customers.PAGE], len(rows) > customers.PAGE
    last = shown[-1] if more else None
    return show(
        "customers",
        "customers",
        rows=shown,
        owed=owed,
        search=found,
        further=address("/customers", q=found, after=last.name or " ", after_id=last.id) if last else None,
        first=address("/customers", q=found) if after else None,
    )


@blueprint.get("/customers/<row:customer_id>")
def page(customer_id: int) -> ResponseReturnValue:
    """One customer."""
    one = _one(customer_id)
    system = wiring().systems.get(one.system)
    return show("customer", "customers", one=one, title=system.manifest.title if system else one.system)


@blueprint.post("/customers/<row:customer_id>/link")
def generate(customer_id: int) -> ResponseReturnValue:
    """Make the link to everything the customer owes."""
    one = _one(customer_id)
    return act(
        lambda: inject.generate(wiring(), merchant_id(), one.connection_id, Scope.CUSTOMER, one.remote_id, user_id()),
        done="The link is ready. Copy it, or open it as a preview.",
        back=f"/customers/{customer_id}",
    )


@blueprint.get("/customers/<row:customer_id>/regenerate")
def ask_regenerate(customer_id: int) -> ResponseReturnValue:
    """What regenerating means, before it happens."""
    one = _one(customer_id)
    return show(
        "regenerate",
        "customers",
        what=one.name,
        back=f"/customers/{customer_id}",
        stands=False,
        why=None,
    )


@blueprint.post("/customers/<row:customer_id>/regenerate")
def regenerate(customer_id: int) -> ResponseReturnValue:
    """End the old link at once and make a new one."""
    one = _one(customer_id)
    return act(
        lambda: inject.regenerate(wiring(), merchant_id(), one.connection_id, Scope.CUSTOMER, one.remote_id, user_id()),
        done="The old link has stopped working, and this is the new one.",
        back=f"/customers/{customer_id}",
    )


def _one(customer_id: int) -> customers.Customer:
    return customers.customer(wiring(), merchant_id(), customer_id, today=today())

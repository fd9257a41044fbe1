"""One invoice: its amounts, its link and where that stands, its payments."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from connector.dashboard.frame import act, merchant_id, show, staff_blueprint, this_frame, user_id
from connector.domain.links import Scope, why_no_link
from connector.errors import NotFound
from connector.journeys import inject, sync
from connector.reading import invoices
from connector.web.context import wiring

blueprint = staff_blueprint("invoice")


@blueprint.get("/invoices/<row:invoice_id>")
def page(invoice_id: int) -> ResponseReturnValue:
    """Everything about it."""
    one = _one(invoice_id)
    system = wiring().systems.get(one.system)
    return show(
        "invoice",
        "invoices",
        one=one,
        why=_why(one),
        title=system.manifest.title if system else one.system,
        by_theme=system is not None and system.manifest.capabilities.link == "template",
    )


@blueprint.post("/invoices/<row:invoice_id>/link")
def generate(invoice_id: int) -> ResponseReturnValue:
    """Make the link."""
    one = _one(invoice_id)
    return act(
        lambda: inject.generate(wiring(), merchant_id(), one.connection_id, Scope.INVOICE, one.remote_id, user_id()),
        done="The link is ready. Copy it, or open it as a preview.",
        back=f"/invoices/{invoice_id}",
    )


@blueprint.get("/invoices/<row:invoice_id>/regenerate")
def ask_regenerate(invoice_id: int) -> ResponseReturnValue:
    """What regenerating means, before it happens."""
    one = _one(invoice_id)
    return show(
        "regenerate",
        "invoices",
        what=f"invoice {one.number}",
        back=f"/invoices/{invoice_id}",
        stands=one.placement is not None and one.placement.state in ("placed", "placing", "planned"),
        why=_why(one),
    )


@blueprint.post("/invoices/<row:invoice_id>/regenerate")
def regenerate(invoice_id: int) -> ResponseReturnValue:
    """End the old link at once and make a new one."""
    one = _one(invoice_id)
    return act(
        lambda: inject.regenerate(wiring(), merchant_id(), one.connection_id, Scope.INVOICE, one.remote_id, user_id()),
        done="The old link has stopped working, and this is the new one.",
        back=f"/invoices/{invoice_id}",
    )


@blueprint.post("/invoices/<row:invoice_id>/check-link")
def check_link(invoice_id: int) -> ResponseReturnValue:
    """Read the invoice back upstream."""
    one = _one(invoice_id)
    return act(
        lambda: inject.check(wiring(), merchant_id(), one.connection_id, one.remote_id),
        done="We have read the invoice back; what we found is shown below.",
        back=f"/invoices/{invoice_id}",
    )


@blueprint.post("/invoices/<row:invoice_id>/place-again")
def place_again(invoice_id: int) -> ResponseReturnValue:
    """Try again to make the link stand."""
    one = _one(invoice_id)
    return act(
        lambda: inject.place_again(wiring(), merchant_id(), one.connection_id, one.remote_id),
        done="The link is being placed again.",
        back=f"/invoices/{invoice_id}",
    )


@blueprint.post("/invoices/<row:invoice_id>/sync")
def sync_now(invoice_id: int) -> ResponseReturnValue:
    """Read this invoice again, now."""
    return act(
        lambda: sync.one(wiring(), merchant_id(), invoice_id),
        done="Read again just now.",
        back=f"/invoices/{invoice_id}",
    )


def _one(invoice_id: int) -> invoices.Invoice:
    one = invoices.invoice(wiring(), merchant_id(), invoice_id)
    if one.kind != "invoice":
        raise NotFound("This invoice does not exist.")
    return one


def _why(one: invoices.Invoice) -> str | None:
    """Why the invoice has no link for customers."""
    return why_no_link(
        kind=one.kind,
        state=one.state,
        connection_state=one.connection_state,
        gateway=this_frame().gateway,
        connection_problem=one.connection_problem,
    )

"""The first page: what is still to be set up, and what needs attention."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from connector.dashboard.frame import merchant_id, show, staff_blueprint, this_frame, today
from connector.reading import connections, differences, invoices, payments, work
from connector.web.context import wiring

blueprint = staff_blueprint("home")


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The checklist until everything is set up; then what is owed and what needs a person."""
    frame = this_frame()
    review = payments.waiting_for_review(wiring(), merchant_id())
    return show(
        "home",
        "home",
        connections=connections.connections(wiring(), merchant_id()),
        outstanding=invoices.outstanding(wiring(), merchant_id(), today=today()),
        stopped=work.dead(wiring(), merchant_id()),
        review=review,
        differing=max(0, differences.count(wiring(), merchant_id()) - review),
        recent=payments.page(wiring(), merchant_id())[:5],
        steps={step.key: step.done for step in frame.steps},
        gateway=wiring().gateways[frame.gateway].manifest.title if frame.gateway in wiring().gateways else "",
    )

"""Background work of the merchant: what waits, what has stopped and why, Retry and Cancel."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import act, merchant_id, show, staff, staff_blueprint, user_id
from connector.domain.work_words import words_of
from connector.journeys import work_by_hand
from connector.reading import work
from connector.web.context import wiring

blueprint = staff_blueprint("work")
_SHOWN = 50


@blueprint.get("/work")
def page() -> ResponseReturnValue:
    """Stopped work first, since it needs a person; then what waits."""
    stopped = work.work(wiring(), work.Filter(("dead",)), merchant_id(), most=_SHOWN + 1)
    waiting = work.work(wiring(), work.Filter(("pending",)), merchant_id(), most=_SHOWN + 1)
    return show(
        "work",
        "settings",
        stopped=stopped[:_SHOWN],
        waiting=waiting[:_SHOWN],
        more_stopped=len(stopped) > _SHOWN,
        more_waiting=len(waiting) > _SHOWN,
        now=wiring().clock(),
    )


@blueprint.get("/work/<identity>/cancel")
def ask_cancel(identity: str) -> ResponseReturnValue:
    """What cancelling means, before it happens."""
    found = work.one(wiring(), identity, merchant_id()).work
    return show("work_cancel", "settings", one=found, after=words_of(found.kind).after_cancel)


@blueprint.post("/work/<identity>/cancel")
def cancel(identity: str) -> ResponseReturnValue:
    """End work that waits."""
    found = work.one(wiring(), identity, merchant_id()).work
    return act(
        lambda: work_by_hand.cancel(
            wiring(),
            found.id,
            merchant_id(),
            who=staff().email,
            user_id=user_id(),
            address=request.remote_addr or "",
        ),
        done=f"{found.title} is cancelled. Retry takes it up again.",
        back="/work",
    )


@blueprint.post("/work/<identity>/retry")
def retry(identity: str) -> ResponseReturnValue:
    """Try it again at once."""
    found = work.one(wiring(), identity, merchant_id()).work
    return act(
        lambda: work_by_hand.retry(
            wiring(), found.id, merchant_id(), user_id=user_id(), address=request.remote_addr or ""
        ),
        done=f"{found.title}: it is tried again now.",
        back="/work",
    )

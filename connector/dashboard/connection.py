"""One connection: the dry run, its progress, and how it ends."""

from __future__ import annotations

from flask import flash, jsonify, redirect, request
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import act, merchant_id, session_hash, show, staff_blueprint, today, user_id
from connector.dashboard.typed import read_date, ticked
from connector.domain.links import install_url
from connector.errors import Conflict, ConnectorError, Invalid, Unavailable
from connector.journeys import connect, drift, inject, sync
from connector.reading import connections as reading
from connector.reading import schedules
from connector.web.context import wiring

blueprint = staff_blueprint("connection")


@blueprint.get("/connections/<row:connection_id>")
def page(connection_id: int) -> ResponseReturnValue:
    """Where the connection stands."""
    status = reading.status(wiring(), merchant_id(), connection_id)
    if status.connection.state == "pending":
        return redirect(f"/connections/{connection_id}/review", 303)
    one = status.connection
    system = wiring().systems.get(one.system)
    guide = None
    if system and one.install_key and one.place_links:
        guide = system.guide(install_url(wiring().settings.public_url, one.install_key))
    return show(
        "connection",
        "connections",
        status=status,
        one=one,
        title=system.manifest.title if system else one.system,
        guide=guide,
        importing=one.state == "active" and one.first_import_done_at is None,
        accounts={account.remote_id: account for account in reading.accounts(wiring(), merchant_id(), one.id)},
        scheduled=schedules.of_connection(wiring(), merchant_id(), one.id),
    )


@blueprint.get("/connections/<row:connection_id>/progress.json")
def progress(connection_id: int) -> ResponseReturnValue:
    """The same in numbers, for the page's own script and for whoever watches."""
    status = reading.status(wiring(), merchant_id(), connection_id)
    return jsonify(
        state=status.connection.state,
        first_import_done=status.connection.first_import_done_at is not None,
        kinds={kind.kind: {"seen": kind.seen, "total": kind.total, "done": kind.done} for kind in status.kinds},
        placements={name: status.placements.get(name, 0) for name in ("placed", "refused", "manual", "confirmed")}
        | {"planned": status.placements.get("planned", 0) + status.placements.get("placing", 0)},
        invoices=status.invoices,
        customers=status.customers,
    )


@blueprint.get("/connections/<row:connection_id>/review")
def review(connection_id: int) -> ResponseReturnValue:
    """The dry run; for a confirmed connection, what was decided then and can still be changed."""
    return _review_page(connection_id)


@blueprint.post("/connections/<row:connection_id>/survey")
def survey(connection_id: int) -> ResponseReturnValue:
    """Count again from another day."""
    one = reading.connection(wiring(), merchant_id(), connection_id)
    typed = request.form.get("since", "")[:30]
    try:
        if one.state != "pending":
            raise Conflict("This connection is confirmed already; its history start stays as it is.")
        connect.survey(wiring(), merchant_id(), connection_id, read_date(typed, "since", latest=today()))
    except (Invalid, Conflict, Unavailable) as error:
        return _review_page(connection_id, error=error, since=typed), error.status
    flash("Counted again.", "good")
    return redirect(f"/connections/{connection_id}/review", 303)


@blueprint.post("/connections/<row:connection_id>/confirm")
def confirm(connection_id: int) -> ResponseReturnValue:
    """The merchant says yes: from now on records are imported and, if wanted, links placed."""
    one = reading.connection(wiring(), merchant_id(), connection_id)
    typed = request.form.get("history_start", "")[:30]
    try:
        start = one.history_start
        if one.state == "pending":
            start = read_date(typed, "history_start", latest=today())
            if one.survey is None:
                raise Conflict("Nothing was counted yet. Press Count again first, so that you know what you confirm.")
        connect.confirm(
            wiring(),
            merchant_id(),
            connection_id,
            history_start=start,
            deposit_account=request.form.get("deposit_account", "")[:64],
            place_links=ticked("place_links"),
            user_id=user_id(),
        )
    except (Invalid, Conflict) as error:
        return _review_page(connection_id, error=error, since=typed), error.status
    flash("Confirmed. The import has begun." if one.state == "pending" else "Your changes are saved.", "good")
    return redirect(f"/connections/{connection_id}", 303)


@blueprint.post("/connections/<row:connection_id>/sync")
def sync_now(connection_id: int) -> ResponseReturnValue:
    """Ask what has changed, now."""
    return act(
        lambda: sync.ask(wiring(), merchant_id(), connection_id),
        done="Asked for everything that has changed. It shows here in a moment.",
        back=f"/connections/{connection_id}",
    )


@blueprint.post("/connections/<row:connection_id>/compare")
def compare_now(connection_id: int) -> ResponseReturnValue:
    """Do the night's comparison now."""
    return act(
        lambda: drift.ask(wiring(), merchant_id(), connection_id),
        done="Our view is being compared with theirs. What differs shows under Differences.",
        back=f"/connections/{connection_id}#clock",
    )


@blueprint.post("/connections/<row:connection_id>/reconnect")
def reconnect(connection_id: int) -> ResponseReturnValue:
    """To the vendor's consent screen, for the same organisation."""
    one = reading.connection(wiring(), merchant_id(), connection_id)
    url = connect.begin(
        wiring(), merchant_id(), system=one.system, session_hash=session_hash(), connection_id=connection_id
    )
    return redirect(url, 303)


@blueprint.get("/connections/<row:connection_id>/disconnect")
def ask_disconnect(connection_id: int) -> ResponseReturnValue:
    """What ending the connection means."""
    status = reading.status(wiring(), merchant_id(), connection_id)
    return show("disconnect", "connections", one=status.connection, placements=status.placements)


@blueprint.post("/connections/<row:connection_id>/disconnect")
def disconnect(connection_id: int) -> ResponseReturnValue:
    """End it."""
    return act(
        lambda: connect.disconnect(
            wiring(), merchant_id(), connection_id, withdraw_links=ticked("withdraw_links"), user_id=user_id()
        ),
        done="The connection is being ended.",
        back=f"/connections/{connection_id}",
    )


@blueprint.post("/connections/<row:connection_id>/themes/<theme>/confirm")
def confirm_theme(connection_id: int, theme: str) -> ResponseReturnValue:
    """The merchant says: I have put the link into this theme."""
    return act(
        lambda: inject.confirm_by_hand(wiring(), merchant_id(), connection_id, theme, user_id()),
        done="Confirmed. The first customer who opens the link from an invoice proves it.",
        back=f"/connections/{connection_id}#themes",
    )


@blueprint.post("/connections/<row:connection_id>/themes")
def look_for_themes(connection_id: int) -> ResponseReturnValue:
    """Look for templates made since the first import."""
    return act(
        lambda: inject.ask(wiring(), merchant_id(), connection_id),
        done="Asked for new themes. They show here in a moment.",
        back=f"/connections/{connection_id}#themes",
    )


def _review_page(connection_id: int, *, error: ConnectorError | None = None, since: str | None = None) -> str:
    one = reading.connection(wiring(), merchant_id(), connection_id)
    system = wiring().system(one.system)
    counted = (one.survey or {}).get("since", "")
    return show(
        "review",
        "connections",
        one=one,
        manifest=system.manifest,
        survey=one.survey,
        accounts=reading.accounts(wiring(), merchant_id(), connection_id),
        since=counted if since is None else since,
        error=error,
    )

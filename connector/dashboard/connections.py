"""The systems to connect to, and the way there and back."""

from __future__ import annotations

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import merchant_id, session_hash, show, staff_blueprint, user_id
from connector.errors import Conflict, ConnectorError, NotFound, Unavailable
from connector.journeys import connect
from connector.manifest import Manifest
from connector.reading import connections as reading
from connector.web.context import wiring

blueprint = staff_blueprint("connections")
_LONGEST_ANSWER = 4000


@blueprint.get("/connections")
def listing() -> ResponseReturnValue:
    """What is connected, and what can be."""
    return _page()


def _page(problem: str = "") -> str:
    known = wiring()
    return show(
        "connections",
        "connections",
        problem=problem,
        connections=reading.connections(known, merchant_id()),
        available=[system.manifest for system in known.systems.values()],
        missing=[(one, missing_settings(one)) for one in known.not_configured if one.role == "system"],
    )


@blueprint.post("/connections/<system>/begin")
def begin(system: str) -> ResponseReturnValue:
    """To the vendor's consent screen."""
    url = connect.begin(wiring(), merchant_id(), system=system, session_hash=session_hash())
    return redirect(url, 303)


@blueprint.get("/connections/<system>/callback")
def callback(system: str) -> ResponseReturnValue:
    """Back from the consent screen, once: keep the access, count what an import would bring, show it."""
    known, merchant = wiring(), merchant_id()
    answer = {name: value[:_LONGEST_ANSWER] for name, value in request.args.items()}
    try:
        connection_id = connect.finish(
            known, merchant, system=system, session_hash=session_hash(), answer=answer, user_id=user_id()
        )
    except NotFound:
        raise
    except ConnectorError as error:
        return _page(error.message), error.status
    found = reading.connection(known, merchant, connection_id)
    if found.state != "pending":
        flash(f"{found.name} is connected again.", "good")
        return redirect(f"/connections/{connection_id}", 303)
    try:
        connect.survey(known, merchant, connection_id)
    except (Unavailable, Conflict) as problem:
        flash(problem.message, "warn")
    return redirect(f"/connections/{connection_id}/review", 303)


@blueprint.get("/connections/<system>/ended")
def ended(system: str) -> ResponseReturnValue:
    """Where a system sends somebody who disconnected over there. Nothing changes here on the word of an address: the
    next call to the system tells, and the connection then says that it needs to be connected again."""
    title = wiring().system(system).manifest.title
    flash(
        f"You disconnected in {title}. The connection will say so here as soon as {title} has told us; "
        "connect again at any time.",
        "warn",
    )
    return redirect("/connections", 303)


def missing_settings(manifest: Manifest) -> list[str]:
    """The names of the settings an operator has to give before this adapter can be used."""
    names = [f"{manifest.name.upper()}_{secret.upper()}" for secret in manifest.secrets]
    return [f"DUEBRIDGE_{name}" for name in names if not wiring().settings.values.get(name)]

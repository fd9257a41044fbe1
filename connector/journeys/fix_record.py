"""What a person decides about a record that could not be read, or a link that could not be placed.

Both stay where the sync and the links keep them until they are cured; only being ignored is a row of its own.
"""

from __future__ import annotations

from connector.db.differences import Found
from connector.db.rows import PlacementRow
from connector.db.unit_of_work import UnitOfWork
from connector.domain.records import Kind, record_name
from connector.domain.tasks import What, record_subject
from connector.domain.work import Work
from connector.errors import Conflict
from connector.journeys import inject, sync
from connector.wiring import Wiring


def read_again(wiring: Wiring, merchant_id: int, problem_id: int, user_id: int) -> bool:
    """Ask for a record once more; True when it was read, False when a reading of its kind is under way.

    Only invoices can be asked for one by one. Raises Conflict (it still cannot be read, or the connection has ended),
    Unavailable (no answer).
    """
    with wiring.database.view(merchant_id) as view:
        problem = view.mirror.problem(problem_id)
        connection = view.connections.get(problem.connection_id)
    if connection.state != "active":
        raise Conflict("Only records of an active connection can be read again. Reconnect it first.")
    alone = problem.kind == Kind.INVOICE and bool(problem.remote_id)
    if alone:
        sync.one(wiring, merchant_id, problem)
    with wiring.database.unit_of_work(merchant_id) as uow:
        work = Work.INJECT if alone else Work.SYNC
        if not alone or connection.place_links:
            uow.work.add(work, str(connection.id), partition=str(connection.id), payload={"connection": connection.id})
        target = record_name(problem.kind, problem.number or problem.remote_id)
        uow.merchants.audit("record.read_again", target=target, user_id=user_id)
    return alone


def ignore_record(wiring: Wiring, merchant_id: int, problem_id: int, user_id: int) -> None:
    """Leave a record unread; it is shown again when it fails for another reason."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        problem = uow.mirror.problem(problem_id)
        name = record_name(problem.kind, problem.number or problem.remote_id)
        subject = record_subject(problem.kind, problem.remote_id)
        found = Found(What.UNREAD, subject, name, "Not read", "A record we cannot read", problem.why)
        _ignore(uow, problem.connection_id, found, "Left unread.", user_id)


def place_link(wiring: Wiring, merchant_id: int, placement_id: int, user_id: int) -> None:
    """Try once more to place a link that was refused. Raises Conflict."""
    with wiring.database.view(merchant_id) as view:
        placement = _refused(view, placement_id)
    inject.place_again(wiring, merchant_id, placement.connection_id, placement.target)
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.merchants.audit("difference.link_placed", target=f"invoice {placement.target_name}", user_id=user_id)


def ignore_link(wiring: Wiring, merchant_id: int, placement_id: int, user_id: int) -> None:
    """Let the invoice go without its link; it is shown again when it is refused for another reason."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        placement = _refused(uow, placement_id)
        name = placement.target_name or placement.target
        found = Found(What.LINK_REFUSED, placement.target, name, "A link", "No link", placement.problem)
        _ignore(uow, placement.connection_id, found, "Goes without the link.", user_id)


def _refused(uow: UnitOfWork, placement_id: int) -> PlacementRow:
    placement = uow.links.placement_of(placement_id)
    if placement.state != "refused":
        raise Conflict("This link is being placed already. Load the page again to see how it stands.")
    return placement


def _ignore(uow: UnitOfWork, connection_id: int, found: Found, ending: str, user_id: int) -> None:
    uow.differences.open(connection_id, found)
    row = uow.differences.of(connection_id, found.what, found.subject)
    if row is not None:
        uow.differences.close(row.id, "ignored", ending, user_id)
    uow.merchants.audit("difference.ignored", target=f"{found.what} {found.name}", user_id=user_id)

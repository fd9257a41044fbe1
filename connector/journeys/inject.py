"""Put links where customers see them, take them away again, and check what stands there."""

from __future__ import annotations

from connector.contract import Disconnected, Gone, LinkSpot, Refused, Stale
from connector.db.rows import ConnectionRow, PlacementRow
from connector.db.unit_of_work import UnitOfWork
from connector.db.work import WorkItem
from connector.domain.links import OWNED_PREFIX, Scope, install_url, link_line, link_url, why_no_link
from connector.domain.work import Work
from connector.errors import Conflict, NotFound
from connector.journeys.connect import mark_broken
from connector.wiring import Wiring

_PLAN_AT_ONCE = 200
# Links placed by one attempt before it makes room for others.
_TURN = 25


def generate(wiring: Wiring, merchant_id: int, connection_id: int, scope: Scope, target: str, user_id: int) -> str:
    """The live link of an invoice or customer, made if there is none. Raises Conflict with the reason when it may not
    have one."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        _check_available(uow, connection_id, scope, target)
        link_id, token = uow.links.mint(connection_id, scope, target)
        uow.merchants.audit("link.generated", target=f"link {link_id}", user_id=user_id)
    return link_url(wiring.settings.public_url, token)


def regenerate(wiring: Wiring, merchant_id: int, connection_id: int, scope: Scope, target: str, user_id: int) -> str:
    """End the old link at once and make a new one; where the old one stands upstream it is replaced there."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        _check_available(uow, connection_id, scope, target)
        old = uow.links.live(connection_id, scope, target)
        if old is not None:
            uow.links.revoke(old[0])
        link_id, token = uow.links.mint(connection_id, scope, target)
        placement = uow.links.placement(connection_id, target) if scope is Scope.INVOICE else None
        if placement is not None and placement.link_id is not None:
            stands = placement.state in ("placing", "placed", "planned")
            replaced = old[0] if old and placement.replaces_link_id is None else placement.replaces_link_id
            uow.links.change_placement(
                placement.id,
                link_id=link_id,
                replaces_link_id=replaced,
                state="planned" if stands else placement.state,
            )
            _ask(uow, connection_id)
        uow.merchants.audit("link.regenerated", target=f"link {link_id}", user_id=user_id)
    return link_url(wiring.settings.public_url, token)


def ask(wiring: Wiring, merchant_id: int, connection_id: int) -> None:
    """A person wants links placed now, also on templates made since the last look."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection = uow.connections.get(connection_id)
        if connection.state != "active" or not connection.place_links:
            raise Conflict("Links are not placed for this connection. Turn them on in its settings first.")
        _ask(uow, connection_id)


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: plan links for open invoices that carry none, then make a turn of planned ones stand upstream."""
    connection = _connection(wiring, item)
    if connection.state != "active" or not connection.place_links:
        return
    capabilities = wiring.system(connection.system).manifest.capabilities
    if capabilities.link == "template":
        _plan_on_themes(wiring, connection)
    if capabilities.link == "template" or not capabilities.link_by_api:
        return
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        for remote_id, number in uow.links.unplaced_invoices(connection.id, _PLAN_AT_ONCE):
            link_id, _ = uow.links.mint(connection.id, Scope.INVOICE, remote_id)
            uow.links.plan(connection.id, remote_id, number, link_id)
        turn = uow.links.placements(connection.id, ("planned", "placing"), _TURN)
    try:
        for placement in turn:
            _place(wiring, connection, placement)
    except Disconnected as ended:
        mark_broken(wiring, connection.merchant_id, connection.id, ended.why)
        return
    if turn:
        _go_on(wiring, connection, Work.INJECT)


def withdraw(wiring: Wiring, item: WorkItem) -> None:
    """Worker: take our lines away upstream, then end the connection."""
    connection = _connection(wiring, item)
    with wiring.database.view(connection.merchant_id) as view:
        turn = view.links.placements(connection.id, ("withdrawing",), _TURN)
    for placement in turn:
        problem = _taken_away(wiring, connection, placement)
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.links.change_placement(placement.id, state="withdrawn", problem=problem)
    if turn:
        _go_on(wiring, connection, Work.WITHDRAW)
        return
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.work.add(
            Work.REVOKE, str(connection.id), partition=str(connection.id), payload={"connection": connection.id}
        )


def _taken_away(wiring: Wiring, connection: ConnectionRow, placement: PlacementRow) -> str:
    """Take one line away upstream; why it still stands, empty when it does not."""
    system = wiring.system(connection.system)
    if placement.link_id is None:
        return f"Take the payment service off {placement.target_name} in {system.manifest.title} yourself."
    with wiring.database.view(connection.merchant_id) as view:
        spot = _spot(wiring, view, placement)
    try:
        system.withdraw_link(wiring.access(connection), spot)
    except (Refused, Gone, Disconnected) as answer:
        return answer.why
    return ""


def check(wiring: Wiring, merchant_id: int, connection_id: int, target: str) -> bool:
    """Read a real upstream invoice back: is our link there, does it lead aright, does another button compete.

    Whether our link stands there as it should.
    """
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(connection_id)
        placement = view.links.placement(connection_id, target)
        if placement is None or placement.link_id is None:
            raise NotFound("No link was placed on this invoice yet.")
        spot = _spot(wiring, view, placement)
    state = wiring.system(connection.system).verify_link(wiring.access(connection), spot)
    with wiring.database.unit_of_work(merchant_id) as uow:
        if state.present and state.right:
            uow.links.move_placement(
                placement,
                ("planned", "placing", "placed", "refused"),
                state="placed",
                where_placed=state.where,
                verified_at=uow.now,
                problem="",
                competing=state.competing or "",
            )
        else:
            uow.links.change_placement(
                placement.id,
                problem="The link no longer stands on the invoice."
                if not state.present
                else "The link on the invoice leads elsewhere.",
                verified_at=None,
                competing=state.competing or "",
            )
    return state.present and state.right


def place_again(wiring: Wiring, merchant_id: int, connection_id: int, target: str) -> None:
    """Ask for a placement that was refused or lost to be made again."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        placement = uow.links.placement(connection_id, target)
        if placement is None:
            raise NotFound("No link was placed on this invoice yet.")
        if uow.connections.get(connection_id).state != "active":
            raise Conflict("Links are placed for active connections only. Reconnect it first.")
        uow.links.change_placement(placement.id, state="planned", problem="")
        _ask(uow, connection_id)


def confirm_by_hand(wiring: Wiring, merchant_id: int, connection_id: int, target: str, user_id: int) -> None:
    """The merchant says: I have put the link into this theme."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        placement = uow.links.placement(connection_id, target)
        if placement is None or placement.state not in ("manual", "confirmed"):
            raise NotFound("There is no such theme to confirm.")
        uow.links.change_placement(placement.id, state="confirmed", placed_at=uow.now)
        uow.merchants.audit("link.confirmed", target=f"theme {placement.target_name}", user_id=user_id)


def _check_available(uow: UnitOfWork, connection_id: int, scope: Scope, target: str) -> None:
    connection, merchant = uow.connections.get(connection_id), uow.merchants.get()
    if scope is Scope.CUSTOMER:
        if connection.state != "active":
            raise Conflict("The connection to your accounting system is not active. Connect it first.")
        return
    invoice = uow.invoices.by_remote(connection_id, target)
    if invoice is None:
        raise NotFound("This invoice does not exist.")
    why = why_no_link(
        kind=invoice.kind,
        state=invoice.state,
        connection_state=connection.state,
        gateway=merchant.gateway,
        connection_problem=connection.problem,
    )
    if why:
        raise Conflict(why)


def _place(wiring: Wiring, connection: ConnectionRow, placement: PlacementRow) -> None:
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        spot = _spot(wiring, uow, placement)
        if not uow.links.move_placement(placement, ("planned", "placing"), state="placing"):
            return
    try:
        placed = wiring.system(connection.system).place_link(wiring.access(connection), spot)
    except (Refused, Gone, Stale) as answer:
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.links.move_placement(placement, ("placing",), state="refused", problem=answer.why)
        return
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        # Not when the link was regenerated or the connection ended while the call was out: then there is more to do.
        uow.links.move_placement(
            placement,
            ("placing",),
            state="placed",
            where_placed=placed.where,
            text_before=placed.before if placement.text_before is None else placement.text_before,
            replaces_link_id=None,
            problem="",
            placed_at=uow.now,
        )


def _plan_on_themes(wiring: Wiring, connection: ConnectionRow) -> None:
    """Where the link stands on templates: placed by API where the system lets us, else a row for the merchant."""
    system = wiring.system(connection.system)
    access = wiring.access(connection)
    address = install_url(wiring.settings.public_url, connection.install_key or "")
    for theme in system.themes(access, address):
        try:
            state = "placed" if system.place_on_theme(access, theme.ref, address).link else "manual"
        except Refused:
            state = "manual"
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.links.plan(connection.id, theme.ref, theme.name, None, state=state)


def _spot(wiring: Wiring, uow: UnitOfWork, placement: PlacementRow) -> LinkSpot:
    if placement.link_id is None:
        raise NotFound("This placement has no link of its own.")
    public = wiring.settings.public_url
    url = link_url(public, uow.links.token_of(placement.link_id))
    old = placement.replaces_link_id
    return LinkSpot(
        remote_id=placement.target,
        url=url,
        line=link_line(url),
        owned=f"{OWNED_PREFIX}{public}/i/",
        instead_of=None if old is None else link_url(public, uow.links.token_of(old)),
        seen=uow.invoices.seen_text(placement.connection_id, placement.target),
    )


def _ask(uow: UnitOfWork, connection_id: int) -> None:
    uow.work.add(Work.INJECT, str(connection_id), partition=str(connection_id), payload={"connection": connection_id})


def _go_on(wiring: Wiring, connection: ConnectionRow, work: Work) -> None:
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.work.add(work, str(connection.id), partition=str(connection.id), payload={"connection": connection.id})


def _connection(wiring: Wiring, item: WorkItem) -> ConnectionRow:
    with wiring.database.view(item.merchant_id) as view:
        return view.connections.get(int(item.payload["connection"]))

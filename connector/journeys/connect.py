"""Connect an organisation: consent, dry run, confirmation; and disconnect."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date

from connector.contract import Answer, Disconnected, Gone, Refused, Tenant, TryAgain, Unclear
from connector.db.leases import seal_tokens
from connector.db.rows import ConnectionRow
from connector.db.unit_of_work import UnitOfWork
from connector.db.work import WorkItem
from connector.domain.links import mint_token
from connector.domain.work import Work
from connector.errors import Conflict, Invalid, Unavailable
from connector.wiring import Wiring


def callback_url(wiring: Wiring, system: str) -> str:
    """The redirect address to register with the vendor."""
    return f"{wiring.settings.public_url}/connections/{system}/callback"


def begin(
    wiring: Wiring, merchant_id: int, *, system: str, session_hash: bytes, connection_id: int | None = None
) -> str:
    """Start a consent (a reconnect when `connection_id` is given); where the merchant's browser goes."""
    adapter = wiring.system(system)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    url = adapter.authorize_url(redirect_uri=callback_url(wiring, system), state=state, code_verifier=verifier)
    with wiring.database.unit_of_work(merchant_id) as uow:
        if connection_id is not None:
            uow.connections.get(connection_id)
        uow.connections.begin_consent(
            state=state, session_hash=session_hash, system=system, code_verifier=verifier, connection_id=connection_id
        )
    return url


def finish(
    wiring: Wiring, merchant_id: int, *, system: str, session_hash: bytes, answer: Mapping[str, str], user_id: int
) -> int:
    """The browser came back: the consent is used up, the code exchanged, tokens sealed. Returns the connection's id.

    A new connection is `pending`: it is counted (see `survey`) and nothing is written anywhere until confirmed.
    Raises Invalid when the vendor refused or another organisation was chosen for a reconnect.
    """
    adapter = wiring.system(system)
    with wiring.database.unit_of_work(merchant_id) as uow:
        consent = uow.connections.redeem_consent(
            state=answer.get("state", ""), session_hash=session_hash, system=system
        )
    try:
        grant = adapter.exchange(
            redirect_uri=callback_url(wiring, system), answer=answer, code_verifier=consent.code_verifier
        )
    except (TryAgain, Unclear) as failure:
        raise Unavailable(f"{adapter.manifest.title} did not answer. Start the connection again.") from failure
    except Answer as refusal:
        raise Invalid(refusal.why) from refusal
    with wiring.database.unit_of_work(merchant_id) as uow:
        old = None if consent.connection_id is None else uow.connections.get(consent.connection_id)
        connection_ids = [
            _keep(uow, system, tenant, by_template=adapter.manifest.capabilities.link == "template")
            for tenant in grant.tenants
            if old is None or tenant.ref == old.tenant
        ]
        if not connection_ids:
            wanted = old.name if old else "any organisation"
            raise Invalid(f"You gave access to another organisation than {wanted}. Start again and choose that one.")
        for connection_id in connection_ids:
            uow.connections.store_secrets(connection_id, seal_tokens(uow.vault, str(connection_id), grant.tokens))
            connection = uow.connections.get(connection_id)
            if connection.state == "disconnected":
                # Its links were ended; those that still stand upstream are replaced by new ones.
                uow.links.forget_placements(connection_id)
            if connection.state in ("broken", "disconnected"):
                again = "active" if connection.history_start or connection.first_import_done_at else "pending"
                uow.connections.change(connection_id, state=again, problem="")
                if again == "active":
                    _ask_for_everything(uow, connection_id)
                    if connection.place_links:
                        _ask_for_links(uow, connection_id)
                    _wake_write_backs(uow, connection_id)
        uow.merchants.audit("connection.connected", target=f"connection {connection_ids[0]}", user_id=user_id)
    return connection_ids[0]


def survey(wiring: Wiring, merchant_id: int, connection_id: int, since: date | None = None) -> None:
    """Count upstream what an import would bring, for the dry run, and read the accounts to choose from. Reads only."""
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(connection_id)
    adapter = wiring.system(connection.system)
    try:
        access = wiring.access(connection)
        found = adapter.survey(access, since)
        accounts = adapter.accounts(access)
    except Disconnected as ended:
        raise Conflict(ended.why) from ended
    except Answer as failure:
        raise Unavailable(f"{adapter.manifest.title} could not be asked just now: {failure.why}") from failure
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.connections.change(
            connection_id,
            history_start=since,
            survey={
                "organisation": found.organisation,
                "currency": found.currency,
                "lines": [[line.what, line.number] for line in found.lines],
                "links": found.links,
                "warnings": list(found.warnings),
                "since": since.isoformat() if since else "",
            },
        )
        uow.connections.replace_accounts(connection_id, accounts)


def confirm(
    wiring: Wiring,
    merchant_id: int,
    connection_id: int,
    *,
    history_start: date | None,
    deposit_account: str,
    place_links: bool,
    user_id: int,
) -> None:
    """The merchant says yes to the dry run: the connection becomes active and the first import is asked for."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection = uow.connections.get(connection_id)
        if connection.state not in ("pending", "active"):
            raise Conflict("This connection has ended. Reconnect it first.")
        if deposit_account and deposit_account not in uow.connections.account_ids(connection_id):
            raise Invalid("Choose one of the listed accounts.", field="deposit_account")
        needs_account = wiring.system(connection.system).manifest.capabilities.deposit_account_required
        if needs_account and not deposit_account:
            raise Invalid("Choose the account payments are booked to.", field="deposit_account")
        uow.connections.confirm(
            connection_id, history_start=history_start, deposit_account=deposit_account, place_links=place_links
        )
        _ask_for_everything(uow, connection_id)
        if place_links and connection.first_import_done_at:
            _ask_for_links(uow, connection_id)
        uow.merchants.audit("connection.confirmed", target=f"connection {connection_id}", user_id=user_id)


def disconnect(wiring: Wiring, merchant_id: int, connection_id: int, *, withdraw_links: bool, user_id: int) -> None:
    """End a connection: links are withdrawn first if wanted, then our access is revoked upstream."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection = uow.connections.get(connection_id)
        if connection.state == "disconnected":
            return
        uow.connections.change(connection_id, state="disconnecting", problem="")
        # Asked for twice, the links are withdrawn all the same before the access that takes is given up.
        if withdraw_links and connection.state in ("active", "disconnecting"):
            uow.links.withdraw_all(connection_id)
            uow.work.add(
                Work.WITHDRAW, str(connection_id), partition=str(connection_id), payload={"connection": connection_id}
            )
        else:
            uow.work.add(
                Work.REVOKE, str(connection_id), partition=str(connection_id), payload={"connection": connection_id}
            )
        uow.merchants.audit("connection.disconnected", target=f"connection {connection_id}", user_id=user_id)


def revoke(wiring: Wiring, item: WorkItem) -> None:
    """Worker: end our access upstream, then forget the tokens and end the connection's links."""
    connection = _connection(wiring, item)
    if connection.state == "disconnected":
        return
    problem = ""
    try:
        # Revoking may need a working token; renewing it is the keeper's work, who shares the result.
        wiring.access(connection).token(None)
        tokens = wiring.token_store.read(str(connection.id))
        tenant = Tenant(connection.tenant, connection.name, connection.currency, connection.extra)
        wiring.system(connection.system).revoke(tokens, tenant)
    except Disconnected:
        pass
    except (Refused, Gone) as answer:
        title = wiring.system(connection.system).manifest.title
        problem = f"{title} did not confirm that our access has ended: {answer.why} Remove the app in {title} as well."
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        uow.connections.forget_secrets(connection.id)
        uow.connections.change(connection.id, state="disconnected", problem=problem)
        uow.links.revoke_all(connection.id)


def mark_broken(wiring: Wiring, merchant_id: int, connection_id: int, why: str) -> None:
    """Our access ended without our doing; the merchant is asked to reconnect."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        if uow.connections.get(connection_id).state in ("active", "pending"):
            uow.connections.change(connection_id, state="broken", problem=why)


def _connection(wiring: Wiring, item: WorkItem) -> ConnectionRow:
    with wiring.database.view(item.merchant_id) as view:
        return view.connections.get(int(item.payload["connection"]))


def _keep(uow: UnitOfWork, system: str, tenant: Tenant, *, by_template: bool) -> int:
    """Store one organisation; its install key is part of the address a merchant pastes where templates carry links."""
    return uow.connections.add(
        system=system,
        tenant=tenant.ref,
        name=tenant.name,
        currency=tenant.currency,
        extra=tenant.extra or {},
        install_key=mint_token() if by_template else None,
    )


def _ask_for_everything(uow: UnitOfWork, connection_id: int) -> None:
    uow.work.add(Work.SYNC, str(connection_id), partition=str(connection_id), payload={"connection": connection_id})


def _ask_for_links(uow: UnitOfWork, connection_id: int) -> None:
    uow.work.add(Work.INJECT, str(connection_id), partition=str(connection_id), payload={"connection": connection_id})


def _wake_write_backs(uow: UnitOfWork, connection_id: int) -> None:
    """Payments taken while the connection was broken are recorded now, not at their next hourly look; so are those
    that stand as they shall, but whose invoices could not be read back and are still kept from being paid."""
    kept = {str(item.payload["payment"]) for item in uow.work.pending(Work.WRITE_BACK, str(connection_id))}
    for payment_id in sorted(kept.union(uow.postings.payments_waiting(connection_id))):
        uow.work.add(
            Work.WRITE_BACK,
            f"{payment_id}:{connection_id}",
            partition=str(connection_id),
            payload={"payment": payment_id, "connection": connection_id},
        )

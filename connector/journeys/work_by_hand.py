"""A person takes a hand in background work: tries it again at once, or ends it. Both are kept in the audit log."""

from __future__ import annotations

import structlog

from connector.domain.work_words import may_cancel, words_of
from connector.errors import Conflict, NotFound
from connector.wiring import Wiring

_log = structlog.get_logger()


def retry(
    wiring: Wiring, identity: str, merchant_id: int | None, *, user_id: int | None = None, address: str = ""
) -> None:
    """Another attempt at once, with a fresh budget of failures. `merchant_id` None: the installation's own work.

    Raises NotFound; Conflict when it is done already.
    """
    if merchant_id is None:
        with wiring.database.installation() as everybody:
            work = everybody.work(None)
            kind, state = _standing(work.state_of(identity))
            if not work.try_now(identity):
                raise Conflict(_not_again(state))
    else:
        with wiring.database.unit_of_work(merchant_id) as uow:
            kind, state = _standing(uow.work.state_of(identity))
            if not uow.work.try_now(identity):
                raise Conflict(_not_again(state))
            uow.merchants.audit("work.retried", target=f"work {identity}", user_id=user_id, address=address)
    # The installation's own work has no merchant whose audit log could keep it: this line is its record.
    _log.info("work retried by hand", work=identity, kind=kind, was=state, user=user_id, address=address)


def cancel(
    wiring: Wiring,
    identity: str,
    merchant_id: int | None,
    *,
    who: str,
    user_id: int | None = None,
    address: str = "",
    force: bool = False,
) -> None:
    """End work that waits; it stays among the dead with `who` as its cause, and can be retried.

    Work about money is ended only by `force`. Raises NotFound; Conflict when it does not wait or is about money.
    """
    why = f"Cancelled by {who}."[:500]
    if merchant_id is None:
        with wiring.database.installation() as everybody:
            work = everybody.work(None)
            kind, state = _standing(work.state_of(identity))
            _may_end(kind, state, force)
            work.cancel(identity, why)
    else:
        with wiring.database.unit_of_work(merchant_id) as uow:
            kind, state = _standing(uow.work.state_of(identity))
            _may_end(kind, state, force)
            uow.work.cancel(identity, why)
            uow.merchants.audit("work.cancelled", target=f"work {identity}", user_id=user_id, address=address)
    _log.info("work cancelled by hand", work=identity, kind=kind, user=user_id, address=address, forced=force)


def _standing(found: tuple[str, str] | None) -> tuple[str, str]:
    if found is None:
        raise NotFound("There is no such background work. Finished work is forgotten after a while.")
    return found


def _not_again(state: str) -> str:
    return f"This work is {state} already, so there is nothing to try again."


def _may_end(kind: str, state: str, force: bool) -> None:
    if state != "pending":
        raise Conflict(f"This work is {state} already, so there is nothing to cancel.")
    if not (force or may_cancel(kind)):
        raise Conflict(f"{words_of(kind).title} is about money, so it is not cancelled: {words_of(kind).do}")

"""Background work on its page: what has stopped and why, what waits, Retry and Cancel, and nobody else's."""

from __future__ import annotations

from urllib.parse import quote

import sqlalchemy as sa

from connector.contract import Disconnected, Refused
from connector.db import tables as t
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.runner import run_due
from connector.wiring import Wiring
from tests.dashboard.firm import Firm, Product, lines, sign_up


def stopped(firm: Firm, key: str = "7", why: str = "The mail server refused the address.") -> str:
    """A mail that could not be sent; its id."""
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.work.add(Work.MAIL, key, partition="mail")

    def handler(wiring: Wiring, item: WorkItem) -> None:
        raise Refused(why, "550")

    run_due(firm.product.wiring, {Work.MAIL: handler})
    return f"mail:{firm.merchant_id}:{key}"


def waiting(firm: Firm, kind: Work = Work.SYNC, **payload: object) -> str:
    """Work that waits for a lost connection; its id."""
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.work.add(kind, "9", partition="9", payload=payload)

    def handler(wiring: Wiring, item: WorkItem) -> None:
        raise Disconnected("QuickBooks Online no longer accepts our access.")

    run_due(firm.product.wiring, {kind: handler})
    return f"{kind}:{firm.merchant_id}:9"


def audited(firm: Firm) -> list[tuple[str, str, int]]:
    """What a person did with work."""
    a = t.audit_log.c
    done = sa.select(a.action, a.target, a.user_id).where(a.action.like("work.%")).order_by(a.id)
    with firm.product.wiring.database.reader(firm.merchant_id) as reader:
        return [(row.action, row.target, row.user_id) for row in reader.rows(done)]


def test_what_has_stopped_shows_its_cause_and_is_retried(firm: Firm) -> None:
    identity = stopped(firm)
    assert "1 background task has stopped." in firm.get("/").text
    page = firm.get("/work").text
    words = lines(page)
    for wanted in ("Sending a mail", "Stopped", "The mail server refused the address.", "Nothing waits."):
        assert wanted in words, wanted
    assert 'href="/work" aria-current="page"' in page
    firm.product.woken.clear()
    answer = firm.post(f"/work/{quote(identity)}/retry")
    assert answer.status_code == 303 and answer.location == "/work"
    assert [item.id for item in firm.product.woken] == [identity]
    words = lines(firm.get("/work").text)
    assert "Nothing has stopped." in words and "Sending a mail: it is tried again now." in words
    assert "has stopped" not in firm.get("/").text
    assert audited(firm) == [("work.retried", f"work {identity}", firm.user_id)]


def test_what_waits_is_cancelled_only_after_saying_what_that_means(firm: Firm) -> None:
    connection = firm.connection()
    identity = waiting(firm, connection=connection)
    words = lines(firm.get("/work").text)
    assert "Reading what is new" in words and "QuickBooks Online no longer accepts our access." in words
    page = firm.get(f"/work/{quote(identity)}/cancel").text
    assert "the next reading by the clock brings the same changes" in page
    assert "Nothing has stopped." in lines(firm.get("/work").text), "a GET changes nothing"
    assert firm.post(f"/work/{quote(identity)}/cancel").status_code == 303
    words = lines(firm.get("/work").text)
    assert f"Cancelled by {firm.email}." in words and "Nothing waits." in words
    assert audited(firm) == [("work.cancelled", f"work {identity}", firm.user_id)]
    assert "There is nothing to cancel" in firm.get(f"/work/{quote(identity)}/cancel").text


def test_work_about_money_cannot_be_cancelled(small_firm: Firm) -> None:
    identity = waiting(small_firm, Work.RECONCILE, payment="f" * 32)
    page = small_firm.get("/work").text
    assert f"/work/{identity}/cancel" not in page and f'href="/payments/{"f" * 32}"' in page
    assert "This cannot be cancelled" in small_firm.get(f"/work/{quote(identity)}/cancel").text
    small_firm.post(f"/work/{quote(identity)}/cancel")
    words = lines(small_firm.get("/work").text)
    assert "Nothing has stopped." in words and any("is about money" in word for word in words)


def test_nobody_sees_or_touches_anothers_work(product: Product) -> None:
    mine, theirs = sign_up(product), sign_up(product, "bo@south.example", "South")
    identity = stopped(theirs, why="Only theirs to read.")
    assert "Only theirs to read." not in mine.get("/work").text and "has stopped" not in mine.get("/").text
    assert mine.get(f"/work/{quote(identity)}/cancel").status_code == 404
    assert mine.post(f"/work/{quote(identity)}/cancel").status_code == 404
    assert mine.post(f"/work/{quote(identity)}/retry").status_code == 404
    assert "Only theirs to read." in theirs.get("/work").text
    with product.wiring.database.installation() as everybody:
        everybody.work(None).add(Work.DELIVERY, "sandbox", partition="sandbox")
    assert mine.post(f"/work/{quote('delivery::sandbox')}/retry").status_code == 404
    assert "Taking in webhooks" not in mine.get("/work").text


def test_long_lists_are_cut_with_a_word(small_firm: Firm) -> None:
    with small_firm.product.wiring.database.unit_of_work(small_firm.merchant_id) as uow:
        for number in range(60):
            uow.work.add(Work.MAIL, str(number), partition="mail", delay=600)
    page = small_firm.get("/work").text
    assert page.count("<article") == 50 and "There is more" in page

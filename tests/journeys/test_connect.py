"""Consents: ours alone, once, in time. What a person may do to a connection, and when."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from connector.demo.browser import Browser
from connector.domain.work import Work
from connector.errors import Conflict, Ended, Invalid, NotAllowed, NotFound, Unavailable
from connector.journeys import connect, sign_up, sync
from tests.walks.world import SESSION, World, world


@pytest.fixture
def here(sqlite_schema_url: str) -> Iterator[World]:
    with world(sqlite_schema_url, invoices=12) as opened:
        yield opened


def _answer(here: World, system: str = "quickbooks", decision: str = "") -> dict[str, str]:
    """Begin, and press a button of the consent page; the callback's query."""
    url = connect.begin(here.wiring, here.merchant_id, system=system, session_hash=SESSION)
    form = Browser().get(url).forms[0]
    word = decision or {"quickbooks": "connect", "xero": "allow"}[system]
    answer = requests.post(form.action, data={**form.fields, "decision": word}, allow_redirects=False, timeout=10)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def _finish(here: World, answer: dict[str, str], system: str = "quickbooks", session: bytes = SESSION) -> int:
    return connect.finish(here.wiring, here.merchant_id, system=system, session_hash=session, answer=answer, user_id=1)


def test_a_consent_is_used_once(here: World) -> None:
    answer = _answer(here)
    assert _finish(here, answer)
    with pytest.raises(Ended):
        _finish(here, answer)


def test_a_consent_is_for_the_session_that_began_it(here: World) -> None:
    answer = _answer(here)
    for wrong in ({**answer, "state": secrets.token_urlsafe(32)}, {**answer, "state": ""}):
        with pytest.raises(NotAllowed):
            _finish(here, wrong)
    with pytest.raises(NotAllowed):
        _finish(here, answer, session=b"another session")
    with pytest.raises(NotAllowed):
        _finish(here, answer, system="xero")
    assert _finish(here, answer), "and nobody else has used it up"


def test_another_merchant_cannot_finish_it(here: World) -> None:
    answer = _answer(here)
    sign_up.run(here.wiring, company="Other", name="Eve", email="eve@other.example", password="a long password")
    with here.wiring.database.lookup() as everybody:
        found = everybody.staff("eve@other.example")
    assert found is not None
    with pytest.raises(NotAllowed):
        connect.finish(
            here.wiring, found[1], system="quickbooks", session_hash=SESSION, answer=answer, user_id=found[0]
        )


def test_a_consent_older_than_a_quarter_of_an_hour_is_over(here: World) -> None:
    answer = _answer(here)
    here.advance(15 * 60 + 1)
    with pytest.raises(Ended):
        _finish(here, answer)


def test_a_merchant_who_says_no_is_told_so(here: World) -> None:
    with pytest.raises(Invalid):
        _finish(here, _answer(here, decision="deny"))


def test_a_vendor_in_trouble_asks_for_another_start(here: World) -> None:
    answer = _answer(here)
    here.fault("quickbooks", "html_503", "token.exchange", times=3)
    with pytest.raises(Unavailable, match="Start the connection again"):
        _finish(here, answer)


def test_nothing_leaves_before_the_merchant_confirms(here: World) -> None:
    """The dry run counts; it writes nothing upstream and asks for no work here."""
    before = here.books("quickbooks")
    connection_id = _finish(here, _answer(here))
    connect.survey(here.wiring, here.merchant_id, connection_id)
    here.work()
    assert here.books("quickbooks") == before
    with here.wiring.database.view(here.merchant_id) as view:
        assert view.connections.get(connection_id).state == "pending"
        assert view.work.list("pending") == [] and view.connections.account_ids(connection_id)


def test_a_confirmation_names_an_account_there_is(here: World) -> None:
    connection_id = _finish(here, _answer(here, "xero"), "xero")
    connect.survey(here.wiring, here.merchant_id, connection_id)
    for account, field in (("nonsense", "deposit_account"), ("", "deposit_account")):
        with pytest.raises(Invalid) as told:
            connect.confirm(
                here.wiring,
                here.merchant_id,
                connection_id,
                history_start=None,
                deposit_account=account,
                place_links=True,
                user_id=1,
            )
        assert told.value.field == field


def test_somebody_elses_connection_does_not_exist(here: World) -> None:
    connection_id = here.connect("quickbooks")
    sign_up.run(here.wiring, company="Other", name="Eve", email="eve@other.example", password="a long password")
    with here.wiring.database.lookup() as everybody:
        found = everybody.staff("eve@other.example")
    assert found is not None
    eve = found[1]
    with pytest.raises(NotFound):
        connect.disconnect(here.wiring, eve, connection_id, withdraw_links=True, user_id=found[0])
    with pytest.raises(NotFound):
        connect.survey(here.wiring, eve, connection_id)
    with pytest.raises(NotFound):
        sync.ask(here.wiring, eve, connection_id)
    with pytest.raises(NotFound):
        connect.begin(here.wiring, eve, system="quickbooks", session_hash=SESSION, connection_id=connection_id)


def test_a_system_nobody_knows_is_not_found(here: World) -> None:
    with pytest.raises(NotFound):
        connect.begin(here.wiring, here.merchant_id, system="stripe", session_hash=SESSION)


def test_an_ended_connection_cannot_be_confirmed(here: World) -> None:
    connection_id = here.connect("quickbooks")
    here.work()
    connect.disconnect(here.wiring, here.merchant_id, connection_id, withdraw_links=False, user_id=1)
    with pytest.raises(Conflict):
        connect.confirm(
            here.wiring,
            here.merchant_id,
            connection_id,
            history_start=None,
            deposit_account="",
            place_links=True,
            user_id=1,
        )
    here.work()
    with here.wiring.database.view(here.merchant_id) as view:
        assert view.connections.get(connection_id).state == "disconnected"
        assert view.work.find(Work.REVOKE, str(connection_id)) is not None

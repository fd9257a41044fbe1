"""Nobody gets in without signing in, nobody sees another's rows, and no form counts without its token."""

from __future__ import annotations

import re

import pytest
from werkzeug.routing import Rule

from connector.db.differences import Found
from connector.db.work import work_id
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.tasks import What
from connector.domain.work import Work
from tests.dashboard.firm import Firm, Product, sign_up

OPEN_TO_ALL = {"dashboard.sign_up", "dashboard.create", "dashboard.sign_in", "dashboard.enter", "dashboard.sign_out"}


# What stands in an address where its route has a place for it.
PLACES = {
    "payment_id": "0" * 32,
    "key": "0" * 32,
    "system": "quickbooks",
    "theme": "t1",
    "identity": "mail:1:1",
    "fix": "ignore",
}


def address(rule: Rule) -> str:
    """An address of a route, of nothing that exists."""
    path = re.sub(r"<row:\w+>", "1", rule.rule)
    return re.sub(r"<(?:path:)?(\w+)>", lambda place: PLACES[place[1]], path)


def rules(product: Product) -> list[Rule]:
    """The merchant's routes that need a sign-in."""
    return [
        rule
        for rule in product.app.url_map.iter_rules()
        if rule.endpoint.startswith("dashboard") and rule.endpoint not in OPEN_TO_ALL | {"dashboard.static"}
    ]


def ways(product: Product) -> list[tuple[str, str, str]]:
    """(method, address with numbers in it, endpoint) of each."""
    found = []
    for rule in rules(product):
        path = address(rule)
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        found += [(method, path, rule.endpoint) for method in methods]
    return found


def test_every_route_of_the_merchant_needs_a_sign_in(small_product: Product) -> None:
    stranger = small_product.app.test_client()
    small_product.app.config["WTF_CSRF_ENABLED"] = False
    everything = ways(small_product)
    assert len(everything) > 35
    for method, path, _ in everything:
        answer = stranger.open(path, method=method)
        assert answer.status_code == 303, (method, path)
        assert answer.headers["Location"].startswith("/sign-in"), (method, path)
        assert stranger.open(path, method=method, headers={"Accept": "application/json"}).status_code == 401


def test_every_form_needs_its_token(small_firm: Firm) -> None:
    posts = [path for method, path, _ in ways(small_firm.product) if method == "POST"]
    for path in [*posts, "/sign-in", "/sign-up", "/sign-out"]:
        answer = small_firm.client.post(path, data={"amount": "1", "gateway": "sandbox"})
        assert answer.status_code == 400, path
        assert "open for too long" in answer.text, path
    assert small_firm.get("/").status_code == 200


def test_nothing_changes_by_looking(small_firm: Firm) -> None:
    """Every route that changes something takes POST; the callback alone is reached by GET, and it is single use."""
    for rule in rules(small_firm.product):
        if "POST" not in (rule.methods or ()) or "GET" in (rule.methods or ()):
            continue
        path = address(rule)
        found = {other.endpoint for other in rules(small_firm.product) if other.rule == rule.rule} - {rule.endpoint}
        assert small_firm.get(path).status_code == 405 or found, path


def test_another_merchants_rows_are_not_there(product: Product) -> None:
    owner, other = sign_up(product), sign_up(product, "bo@other.example", "Other Ltd")
    connection = owner.connection()
    owner.imported(connection)
    customer, invoice = owner.customer(connection), owner.invoice(connection)
    owner.placed(connection)
    payment = owner.payment(connection, {invoice: 123_450}, state=PaymentState.SETTLED)
    key = owner.posting(connection, payment, PostingState.NEEDS_REVIEW, "Closed period.")
    work, difference = _waiting(owner, connection), _different(owner, connection)
    owner.unreadable(connection)
    record, link = owner.count("SELECT id FROM sync_problems"), owner.count("SELECT id FROM placements")
    addresses = [
        ("GET", f"/connections/{connection}"),
        ("GET", f"/connections/{connection}/progress.json"),
        ("GET", f"/connections/{connection}/review"),
        ("GET", f"/connections/{connection}/disconnect"),
        ("POST", f"/connections/{connection}/survey"),
        ("POST", f"/connections/{connection}/confirm"),
        ("POST", f"/connections/{connection}/sync"),
        ("POST", f"/connections/{connection}/compare"),
        ("POST", f"/connections/{connection}/reconnect"),
        ("POST", f"/connections/{connection}/disconnect"),
        ("POST", f"/connections/{connection}/themes"),
        ("POST", f"/connections/{connection}/themes/t1/confirm"),
        ("GET", f"/invoices/{invoice}"),
        ("POST", f"/invoices/{invoice}/link"),
        ("GET", f"/invoices/{invoice}/regenerate"),
        ("POST", f"/invoices/{invoice}/regenerate"),
        ("POST", f"/invoices/{invoice}/check-link"),
        ("POST", f"/invoices/{invoice}/place-again"),
        ("POST", f"/invoices/{invoice}/sync"),
        ("GET", f"/customers/{customer}"),
        ("POST", f"/customers/{customer}/link"),
        ("GET", f"/customers/{customer}/regenerate"),
        ("POST", f"/customers/{customer}/regenerate"),
        ("GET", f"/payments/{payment}"),
        ("GET", f"/payments/{payment}/refund"),
        ("POST", f"/payments/{payment}/refund"),
        ("POST", f"/payments/{payment}/postings/{key}/retry"),
        ("POST", f"/payments/{payment}/postings/{key}/there"),
        ("POST", f"/payments/{payment}/postings/{key}/not-there"),
        ("POST", f"/differences/{difference}/ignore"),
        ("POST", f"/differences/postings/{key}/ignore"),
        ("POST", f"/differences/records/{record}/ignore"),
        ("POST", f"/differences/links/{link}/ignore"),
        ("GET", f"/work/{work}/cancel"),
        ("POST", f"/work/{work}/cancel"),
        ("POST", f"/work/{work}/retry"),
    ]
    covered = {
        re.sub(r"/(\d+|[0-9a-f]{32}|t1|mail:[^/]+|(?<=/)ignore)(?=/|$)", "/*", path) + method
        for method, path in addresses
    }
    with_ids = {
        re.sub(r"<[^>]+>", "*", rule.rule) + method
        for rule in rules(product)
        if "<" in rule.rule and "<system>" not in rule.rule
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert covered == with_ids, "a route with an id is not in the list above"
    woken = len(product.woken)
    for method, path in addresses:
        answer = other.get(path) if method == "GET" else other.post(path, amount="1", reason="x")
        assert answer.status_code == 404, (method, path, answer.status_code)
        assert owner.get(path).status_code != 404 if method == "GET" else True, path
    assert len(product.woken) == woken
    for path in ("/invoices", "/invoices.csv", "/customers", "/payments", "/connections", "/"):
        assert "2026-i1" not in other.get(path).text
        assert "Łódź" not in other.get(path).text
        assert "Müller Bücher" not in other.get(path).text


def _waiting(firm: Firm, connection: int) -> str:
    """Work of the merchant that waits; its identity."""
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.work.add(Work.MAIL, "waits", partition=str(connection), delay=3600.0)
    return work_id(Work.MAIL, firm.merchant_id, "waits")


def _different(firm: Firm, connection: int) -> int:
    """A difference of the merchant; its number."""
    found = Found(What.LINK, "i1", "2026-i1", "The link stands on it", "No link stands there", "It was taken off.")
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.differences.open(connection, found)
        row = uow.differences.of(connection, What.LINK, "i1")
    assert row
    return row.id


@pytest.mark.parametrize("path", ["/invoices/99999999999999999999", "/customers/abc", "/payments/../x", "/payments/zz"])
def test_an_id_that_is_none_is_not_there(small_firm: Firm, path: str) -> None:
    assert small_firm.get(path).status_code == 404


def test_a_signed_out_session_opens_nothing(small_firm: Firm) -> None:
    cookie = small_firm.client.get_cookie("duebridge-staff")
    assert cookie
    assert small_firm.post("/sign-out").status_code == 303
    small_firm.client.set_cookie("duebridge-staff", cookie.value)
    assert small_firm.get("/").headers["Location"].startswith("/sign-in")

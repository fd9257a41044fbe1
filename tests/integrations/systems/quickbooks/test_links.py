"""The link's line in the customer memo: placed once, replaced, taken away; the merchant's text untouched."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector.contract import Gone, LinkSpot, Refused, Stale
from integrations.systems.quickbooks.links import is_ours, length, with_line, without_ours
from tests.integrations.systems.quickbooks.connected import Connected

PREFIX = "Pay online: https://pay.example/i/"
URL = "https://pay.example/i/3fJk9aQ2xYz0123456789A"
OLD = "https://pay.example/i/oldoldoldoldoldoldoldo"
ELSEWHERE = "https://old.example/i/oldoldoldoldoldoldoldo"


def _spot(remote_id: str = "1", url: str = URL, instead_of: str | None = None) -> LinkSpot:
    return LinkSpot(remote_id, url, f"Pay online: {url}", PREFIX, instead_of)


MEMOS = [
    ("", f"Pay online: {URL}"),
    ("Thank you!", f"Thank you!\n\nPay online: {URL}"),
    ("Thank you!\n", f"Thank you!\n\n\nPay online: {URL}"),
    (f"Hi\n\nPay online: {OLD}", f"Hi\n\nPay online: {URL}"),
    (f"Hi\n\nPay online: {OLD}\nP.S. call us", f"Hi\n\nPay online: {URL}\nP.S. call us"),
    (f"Pay online: {OLD}\n\nPay online: {URL}", f"Pay online: {URL}\n"),
    (f"See {ELSEWHERE} please", f"See {URL} please\n\nPay online: {URL}"),
    (f"Hi\n\nPay online: {ELSEWHERE}", f"Hi\n\nPay online: {URL}"),
    ("Pay online: at our bank", f"Pay online: at our bank\n\nPay online: {URL}"),
    (f"Pay online: {OLD} or by cheque", f"Pay online: {OLD} or by cheque\n\nPay online: {URL}"),
]


@pytest.mark.parametrize(("memo", "wanted"), MEMOS)
def test_the_line_stands_once(memo: str, wanted: str) -> None:
    spot = _spot(instead_of=ELSEWHERE)
    assert with_line(memo, spot) == wanted
    assert with_line(wanted, spot) == wanted
    assert sum(is_ours(line, spot) for line in wanted.split("\n")) == 1


_memo = st.text(max_size=1100)


@given(_memo)
def test_whatever_the_merchant_wrote_stays(memo: str) -> None:
    spot = _spot()
    assume(not any(is_ours(line, spot) for line in memo.split("\n")))
    try:
        wanted = with_line(memo, spot)
    except Refused as refusal:
        assert length(memo) + length(spot.line) + 1 > 1000 and refusal.code == "memo_full"
        return
    assert length(wanted) <= 1000 and wanted.startswith(memo) and wanted.endswith(spot.line)
    assert with_line(wanted, spot) == wanted
    if memo and wanted == f"{memo}\n{spot.line}":
        # No room for a blank line: a blank one at the merchant's end cannot be told from ours.
        assert without_ours(wanted, spot).rstrip() == memo.rstrip()
    else:
        assert without_ours(wanted, spot) == memo


@given(_memo, st.integers(1, 4))
def test_replacing_never_grows_and_never_appends(memo: str, times: int) -> None:
    spot = _spot()
    assume(not any(is_ours(line, spot) for line in memo.split("\n")) and length(memo) < 900)
    wanted = with_line(memo, spot)
    for number in range(times):
        spot = _spot(url=f"https://pay.example/i/{number:022d}")
        wanted = with_line(wanted, spot)
    assert wanted == with_line(memo, spot)


def test_a_full_memo_says_by_how_much() -> None:
    spot = _spot()
    room = 1000 - len(spot.line) - 1
    assert length(with_line("x" * room, spot)) == 1000
    with pytest.raises(Refused, match=r"Shorten the message by 1 character and"):
        with_line("x" * (room + 1), spot)
    with pytest.raises(Refused, match=r"has 1000 of the 1000 .* by 57 characters"):
        with_line("😀" * 500, spot)


def _open_invoice(upstream: Connected, where: str = "") -> str:
    rows = upstream.find(f"SELECT * FROM Invoice WHERE Balance > '0'{where} ORDERBY Id MAXRESULTS 20")  # noqa: S608
    return str(next(row["Id"] for row in rows if len(row.get("CustomerMemo", {}).get("value", "")) < 800))


def test_placing_changes_the_memo_and_nothing_else(upstream: Connected) -> None:
    remote_id = _open_invoice(upstream)
    before = upstream.raw("Invoice", remote_id)
    placed = upstream.system.place_link(upstream.access, _spot(remote_id))
    after = upstream.raw("Invoice", remote_id)
    assert placed.changed and placed.version == after["SyncToken"] != before["SyncToken"]
    assert placed.before == before.get("CustomerMemo", {}).get("value", "")
    moving = {"CustomerMemo", "SyncToken", "MetaData"}
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    assert after["CustomerMemo"]["value"].endswith(f"Pay online: {URL}")
    state = upstream.system.verify_link(upstream.access, _spot(remote_id))
    assert state.present and state.right and state.where == "CustomerMemo"


def test_placing_again_writes_nothing(upstream: Connected) -> None:
    remote_id = _open_invoice(upstream)
    upstream.system.place_link(upstream.access, _spot(remote_id))
    writes = upstream.operations().count("invoice.update")
    again = upstream.system.place_link(upstream.access, _spot(remote_id))
    assert not again.changed and upstream.operations().count("invoice.update") == writes


def test_a_new_link_takes_the_old_ones_place_and_withdrawing_restores(upstream: Connected) -> None:
    remote_id = _open_invoice(upstream)
    upstream.control(f"invoices/{remote_id}/memo", memo="Danke, Zoë! 😀\n\nBis bald")
    upstream.system.place_link(upstream.access, _spot(remote_id, OLD))
    upstream.system.place_link(upstream.access, _spot(remote_id, URL, instead_of=OLD))
    memo = upstream.raw("Invoice", remote_id)["CustomerMemo"]["value"]
    assert memo == f"Danke, Zoë! 😀\n\nBis bald\n\nPay online: {URL}"
    assert not upstream.system.verify_link(upstream.access, _spot(remote_id, OLD)).right
    gone = upstream.system.withdraw_link(upstream.access, _spot(remote_id))
    assert gone.changed and gone.before == "Danke, Zoë! 😀\n\nBis bald"
    assert upstream.raw("Invoice", remote_id)["CustomerMemo"]["value"] == gone.before
    assert not upstream.system.withdraw_link(upstream.access, _spot(remote_id)).changed
    assert not upstream.system.verify_link(upstream.access, _spot(remote_id)).present


def test_a_link_alone_in_the_memo_leaves_it_empty_again(upstream: Connected) -> None:
    remote_id = _open_invoice(upstream)
    upstream.control(f"invoices/{remote_id}/memo", memo="")
    upstream.system.place_link(upstream.access, _spot(remote_id))
    assert upstream.system.withdraw_link(upstream.access, _spot(remote_id)).before == ""
    assert not upstream.raw("Invoice", remote_id).get("CustomerMemo", {}).get("value")


def test_an_edit_between_reading_and_writing_is_merged(upstream: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    remote_id = _open_invoice(upstream)
    from integrations.systems.quickbooks import links

    real, edits = links._written, ["Edited meanwhile"]

    def slow(*args: object) -> object:
        if edits:
            upstream.control(f"invoices/{remote_id}/memo", memo=edits.pop())
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(links, "_written", slow)
    placed = upstream.system.place_link(upstream.access, _spot(remote_id))
    assert placed.changed and placed.before == "Edited meanwhile"
    assert upstream.raw("Invoice", remote_id)["CustomerMemo"]["value"] == f"Edited meanwhile\n\nPay online: {URL}"
    edits.extend(["twice", "edited"])
    with pytest.raises(Stale):
        upstream.system.place_link(upstream.access, _spot(remote_id, OLD))


def test_invoices_that_cannot_carry_one_say_why(upstream: Connected) -> None:
    paid = upstream.find("SELECT * FROM Invoice WHERE Balance = '0' AND TotalAmt > '0' MAXRESULTS 1")[0]["Id"]
    with pytest.raises(Refused, match="nothing left to pay"):
        upstream.system.place_link(upstream.access, _spot(paid))
    voided, deleted, full = (_open_invoice(upstream, f" AND Id > '{floor}'") for floor in ("100", "200", "250"))
    upstream.control(f"invoices/{voided}/void")
    with pytest.raises(Refused, match="void"):
        upstream.system.place_link(upstream.access, _spot(voided))
    upstream.control(f"invoices/{deleted}/delete")
    for ask in (upstream.system.place_link, upstream.system.verify_link, upstream.system.withdraw_link):
        with pytest.raises(Gone):
            ask(upstream.access, _spot(deleted))
    upstream.control(f"invoices/{full}/memo", memo="x" * 990)
    with pytest.raises(Refused, match="990 of the 1000"):
        upstream.system.place_link(upstream.access, _spot(full))
    assert upstream.raw("Invoice", full)["CustomerMemo"]["value"] == "x" * 990


def test_closed_books_refuse_with_words(upstream: Connected) -> None:
    remote_id = _open_invoice(upstream)
    upstream.control("closing-date", date="2030-01-01")
    with pytest.raises(Refused, match="closing date"):
        upstream.system.place_link(upstream.access, _spot(remote_id))
    upstream.control("closing-date", date="")
    assert upstream.system.place_link(upstream.access, _spot(remote_id)).changed


@pytest.mark.parametrize("kind", ["drop_after_commit", "error_after_commit", "truncated_json"])
def test_a_lost_answer_is_repaired_by_asking_again(upstream: Connected, kind: str) -> None:
    from connector.contract import Unclear

    remote_id = _open_invoice(upstream)
    upstream.control("faults", kind=kind, operation="invoice.update", times=1)
    with pytest.raises(Unclear):
        upstream.system.place_link(upstream.access, _spot(remote_id))
    again = upstream.system.place_link(upstream.access, _spot(remote_id))
    memo = upstream.raw("Invoice", remote_id)["CustomerMemo"]["value"]
    assert memo.count(URL) == 1 and not again.changed

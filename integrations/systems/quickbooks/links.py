"""The billing link on an invoice: one line of its CustomerMemo, the message the customer reads on it.

Only CustomerMemo is sent, as a sparse update: every other field, e-mail status and address included, stays as it is.
The memo may have 1,000 characters in all (developer.intuit.com, Invoice); the merchant's own text is never cut.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from connector.contract import Gone, LinkSpot, LinkState, PlacedLink, Refused, Stale
from connector.domain.records import InvoiceState, UpstreamInvoice
from integrations.systems.quickbooks.client import Client
from integrations.systems.quickbooks.manifest import MEMO_LIMIT
from integrations.systems.quickbooks.mapping import invoice

WHERE = "CustomerMemo"
_APART = "\n\n"


def place(client: Client, spot: LinkSpot, home_currency: str) -> PlacedLink:
    """Make the line stand once and lead to the right place. Raises Refused, Gone; Stale after one redo."""
    if spot.seen is not None and (wanted := _with_line_if_it_fits(spot.seen.text, spot)) not in (None, spot.seen.text):
        # QuickBooks refuses a stale SyncToken, so a text that was read by the sync need not be read again.
        with suppress(Stale):
            return _written(client, spot, {"SyncToken": spot.seen.version}, spot.seen.text, wanted)
    try:
        return _place(client, spot, home_currency)
    except Stale:
        # Changed between our reading and writing: read again, so that the merchant's new text is kept.
        return _place(client, spot, home_currency)


def withdraw(client: Client, spot: LinkSpot, home_currency: str) -> PlacedLink:
    """Take our line away and leave the merchant's text as it was. Raises Gone, Refused; Stale after one redo."""
    try:
        return _withdraw(client, spot, home_currency)
    except Stale:
        return _withdraw(client, spot, home_currency)


def verify(client: Client, spot: LinkSpot) -> LinkState:
    """Read back what stands on the invoice; Intuit's own pay link on it competes with ours."""
    raw = client.read("Invoice", spot.remote_id, include="invoiceLink")
    ours = _ours(_memo(raw), spot)
    competing = "QuickBooks' own payment link" if raw.get("InvoiceLink") else None
    return LinkState(present=bool(ours), right=ours == [spot.line], where=WHERE, competing=competing)


def is_ours(line: str, spot: LinkSpot) -> bool:
    """Whether a line of the memo is one we wrote: our words and one address, nothing of the merchant's."""
    text = line.strip()
    if text == spot.line:
        return True
    rest = text.removeprefix(spot.owned)
    return bool(spot.owned) and rest != text and len(rest.split()) == 1


def without_ours(memo: str, spot: LinkSpot) -> str:
    """The merchant's own text: our lines taken out, and with each the blank line that set it apart."""
    kept: list[str] = []
    for line in memo.split("\n"):
        if not is_ours(line, spot):
            kept.append(line)
        elif kept and not kept[-1].strip():
            kept.pop()
    return "\n".join(kept)


def with_line(memo: str, spot: LinkSpot) -> str:
    """The memo with our line standing once: where it stood, else at the end.

    Raises Refused with the numbers when that takes more than 1,000 characters.
    """
    if spot.instead_of:
        # Where the merchant has taken the old address into a sentence of their own, it leads to the new one.
        memo = memo.replace(spot.instead_of, spot.url)
    lines = memo.split("\n")
    places = [index for index, line in enumerate(lines) if is_ours(line, spot)]
    if places:
        lines[places[0]] = spot.line
        wanted = "\n".join(line for index, line in enumerate(lines) if index not in places[1:])
        if length(wanted) <= MEMO_LIMIT:
            return wanted
        memo = without_ours(memo, spot)
    for apart in (_APART, "\n"):
        wanted = f"{memo}{apart}{spot.line}" if memo else spot.line
        if length(wanted) <= MEMO_LIMIT:
            return wanted
    too_many = length(wanted) - MEMO_LIMIT
    raise Refused(
        f"The message on this invoice has {length(memo)} of the {MEMO_LIMIT} characters QuickBooks allows, so the link "
        f"does not fit. Shorten the message by {too_many} character{'s' if too_many > 1 else ''} and try again.",
        "memo_full",
    )


def _with_line_if_it_fits(memo: str, spot: LinkSpot) -> str | None:
    """None where an older text leaves no room: the merchant may have shortened it since."""
    try:
        return with_line(memo, spot)
    except Refused:
        return None


def length(text: str) -> int:
    """Characters as QuickBooks' Java servers count them: those outside the basic plane, such as emoji, count twice."""
    return len(text.encode("utf-16-le")) // 2


def _place(client: Client, spot: LinkSpot, home_currency: str) -> PlacedLink:
    raw, found = _read(client, spot, home_currency)
    if not found.customer:
        raise Refused("This invoice has no customer in QuickBooks, so it cannot be paid by link.", "no_customer")
    if found.state is InvoiceState.VOID:
        raise Refused("This invoice is void in QuickBooks.", "void")
    if found.balance <= 0:
        raise Refused("This invoice has nothing left to pay in QuickBooks.", "paid")
    memo = _memo(raw)
    return _written(client, spot, raw, memo, with_line(memo, spot))


def _withdraw(client: Client, spot: LinkSpot, home_currency: str) -> PlacedLink:
    raw, _ = _read(client, spot, home_currency)
    memo = _memo(raw)
    return _written(client, spot, raw, memo, without_ours(memo, spot))


def _read(client: Client, spot: LinkSpot, home_currency: str) -> tuple[dict[str, Any], UpstreamInvoice]:
    raw = client.read("Invoice", spot.remote_id)
    found = invoice(raw, home_currency)
    if found.state is InvoiceState.DELETED:
        raise Gone("This invoice was deleted in QuickBooks.")
    return raw, found


def _written(client: Client, spot: LinkSpot, raw: dict[str, Any], memo: str, wanted: str) -> PlacedLink:
    before, token = without_ours(memo, spot), str(raw.get("SyncToken") or "")
    if wanted == memo:
        return PlacedLink(WHERE, before, token, False)
    body = {"Id": spot.remote_id, "SyncToken": token, "sparse": True, "CustomerMemo": {"value": wanted}}
    answer = client.write("update", "Invoice", body)
    if _ours(_memo(answer), spot) != _ours(wanted, spot):
        raise Refused("QuickBooks did not keep the message as we wrote it.", "memo_changed")
    return PlacedLink(WHERE, before, str(answer.get("SyncToken") or ""), True)


def _memo(raw: dict[str, Any]) -> str:
    memo = raw.get("CustomerMemo")
    return str(memo.get("value") or "") if isinstance(memo, dict) else ""


def _ours(memo: str, spot: LinkSpot) -> list[str]:
    return [line.strip() for line in memo.split("\n") if is_ours(line, spot)]

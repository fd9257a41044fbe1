"""Links: short, unguessable, and refused in words where there can be none."""

from __future__ import annotations

import hashlib
import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.links import (
    LONGEST_LINK,
    OWNED_PREFIX,
    TOKEN_LENGTH,
    install_url,
    link_line,
    link_url,
    mint_token,
    token_hash,
    why_no_link,
)
from connector.domain.records import InvoiceState, Kind

TYPICAL = "https://billing.northwind-it.com"


def test_a_token_carries_128_random_bits_and_fits_an_address() -> None:
    made = {mint_token() for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", token) for token in made)
    assert TOKEN_LENGTH == 22
    # Every one of the first 21 places (6 bits each) takes many values, the last one the 4 that 2 bits allow.
    places = [len({token[place] for token in made}) for place in range(22)]
    assert all(count > 50 for count in places[:21]) and places[21] == 4


def test_a_link_at_a_usual_address_fits_a_text_message_and_a_memo() -> None:
    url = link_url(TYPICAL, mint_token())
    assert len(url) <= LONGEST_LINK
    assert link_line(url) == OWNED_PREFIX + url and "\n" not in link_line(url)
    assert install_url(TYPICAL, "key") == f"{TYPICAL}/x/key"


@given(st.text(alphabet="abcXYZ012_-", min_size=22, max_size=22))
def test_a_token_is_looked_up_by_its_hash_alone(token: str) -> None:
    assert token_hash(token) == hashlib.sha256(token.encode()).digest()
    assert token.encode() not in token_hash(token)


def _why(**changes: str) -> str | None:
    usual = {"kind": "invoice", "state": "open", "connection_state": "active", "gateway": "sandbox"}
    return why_no_link(**(usual | changes))


def test_an_open_invoice_may_have_a_link_and_so_may_a_paid_one() -> None:
    assert _why() is None
    assert _why(state="paid") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "credit_note"}, "Only invoices"),
        ({"kind": "estimate"}, "Only invoices"),
        ({"state": "draft"}, "still a draft"),
        ({"state": "void"}, "was voided"),
        ({"state": "deleted"}, "was deleted"),
        ({"state": "unknown"}, "a state for this invoice that we do not know"),
        ({"connection_state": "pending"}, "not confirmed yet"),
        ({"connection_state": "broken"}, "has ended"),
        ({"connection_state": "disconnected"}, "has ended"),
        ({"connection_state": "disconnecting"}, "being ended"),
        ({"connection_state": "broken", "connection_problem": "Xero ended our access."}, "Xero ended our access."),
        ({"gateway": ""}, "how you want to be paid"),
    ],
)
def test_where_there_is_no_link_the_merchant_is_told_why(changes: dict[str, str], words: str) -> None:
    why = _why(**changes)
    assert why is not None and words in why and why.endswith(".")


@pytest.mark.parametrize(
    ("kind", "state", "connection"),
    list(product(Kind, InvoiceState, ("pending", "active", "broken", "disconnecting", "disconnected"))),
)
def test_only_open_or_paid_invoices_of_a_live_connection_have_links(kind: str, state: str, connection: str) -> None:
    allowed = kind == Kind.INVOICE and state in ("open", "paid") and connection == "active"
    assert (_why(kind=kind, state=state, connection_state=connection) is None) == allowed

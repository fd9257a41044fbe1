"""Links: their tokens, the line that stands on an invoice, and why one is not available."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from connector.domain.records import InvoiceState, Kind

TOKEN_LENGTH = 22
LONGEST_LINK = 60
OWNED_PREFIX = "Pay online: "


class Scope(StrEnum):
    """What a link opens."""

    INVOICE = "invoice"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A live link as found by its token: whose it is and what it opens. `target` is a remote id."""

    link_id: int
    merchant_id: int
    connection_id: int
    scope: Scope
    target: str


def mint_token() -> str:
    """A new link token: 128 random bits as 22 base64url characters."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


def token_hash(token: str) -> bytes:
    """What is stored and looked up instead of a token."""
    return hashlib.sha256(token.encode()).digest()


def link_url(public_url: str, token: str) -> str:
    """The address a customer opens."""
    return f"{public_url}/i/{token}"


def link_line(url: str) -> str:
    """The whole line that stands on an invoice."""
    return OWNED_PREFIX + url


def install_url(public_url: str, install_key: str) -> str:
    """Our landing address where a template, not an API, carries the link; the adapter adds what the template knows."""
    return f"{public_url}/x/{install_key}"


def why_no_link(
    *, kind: str, state: str, connection_state: str, gateway: str, connection_problem: str = ""
) -> str | None:
    """Why an invoice has no link for customers, in words for the merchant; None when it may have one."""
    if kind != Kind.INVOICE:
        return "Only invoices have a payment link."
    if state == InvoiceState.DRAFT:
        return "This invoice is still a draft. Approve it in your accounting system and it gets a link."
    if state == InvoiceState.VOID:
        return "This invoice was voided."
    if state == InvoiceState.DELETED:
        return "This invoice was deleted in your accounting system."
    if state == InvoiceState.UNKNOWN:
        return "Your accounting system reports a state for this invoice that we do not know, so we do not offer it."
    if connection_state == "pending":
        return "The connection is not confirmed yet. Finish the dry run first."
    if connection_state == "disconnecting":
        return "The connection is being ended."
    if connection_state in ("broken", "disconnected"):
        return connection_problem or "The connection to your accounting system has ended. Reconnect it first."
    if not gateway:
        return "Choose how you want to be paid first (Settings, Payments)."
    return None

"""What a billing system, a payment gateway and a webhook sender must be able to do for us.

Adapters keep nothing: every call names whom it speaks for, may be repeated, and either returns or raises one of
the closed set of `Answer`s below. Journeys handle these and never see an HTTP status.
The records and the Manifest an adapter speaks in are in `connector.domain.records`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from connector.domain.records import (
    Event,
    GatewayPayment,
    Kind,
    Page,
    RemotePayment,
    Survey,
    UpstreamAccount,
    UpstreamInvoice,
    UpstreamPayment,
)
from connector.manifest import AdapterConfig, Manifest


class Answer(Exception):
    """An upstream's answer that is not the result asked for; `why` is fit for a merchant to read."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class TryAgain(Answer):
    """Nothing happened upstream; ask again after `after` seconds (rate limit, 503, our own budget)."""

    def __init__(self, why: str, after: float = 60.0) -> None:
        super().__init__(why)
        self.after = after


class Refused(Answer):
    """The upstream understood and said no; asking again changes nothing. `code` is the vendor's own."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


# Codes of refusals that say: a payment with this very key stands already; this one record is in no readable form.
DUPLICATE, UNREADABLE = "duplicate", "unreadable"


class Gone(Answer):
    """The thing asked for no longer exists upstream."""


class Disconnected(Answer):
    """Our access has ended; only the merchant can restore it by connecting again."""


class Stale(Answer):
    """The record changed since it was read; read again and decide again."""


class Unclear(Answer):
    """It may have happened: look it up by its key before anything else."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """OAuth tokens of one grant. Times are UTC. `extra` holds what the vendor wants back (e.g. its grant id)."""

    access: str
    refresh: str
    access_expires: datetime
    refresh_expires: datetime | None = None
    scope: str = ""
    extra: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"TokenSet(access=…, refresh=…, access_expires={self.access_expires:%Y-%m-%dT%H:%MZ})"


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation the grant opens: `ref` is what every call names (realmId, tenantId)."""

    ref: str
    name: str
    currency: str = ""
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a finished connect brought: tokens, and the organisations they open (one or several)."""

    tokens: TokenSet
    tenants: tuple[Tenant, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """On whose behalf a call is made.

    `connection` keys rate limits and logs. `token()` returns a valid access token, refreshing it under a lease
    when due, and raises Disconnected or TryAgain; `token(refused)` says that this very token was answered 401.
    `background`: nobody waits for it, so its calls stop while part of each limit is still left for others.
    """

    connection: str
    tenant: str
    token: Callable[[str | None], str]
    extra: Mapping[str, str]
    background: bool = False


@dataclass(frozen=True, slots=True)
class SeenText:
    """The text a link stands in, as the sync last read it, and the version it was read at."""

    version: str
    text: str


@dataclass(frozen=True, slots=True)
class LinkSpot:
    """One link to stand on one upstream invoice. `line` is the whole text, e.g. 'Pay online: https://…'.

    `owned` is the prefix by which our own line is recognised; `instead_of` the URL of an older link to replace.
    `seen` saves reading first where the upstream refuses a stale version; without it the invoice is read.
    """

    remote_id: str
    url: str
    line: str
    owned: str
    instead_of: str | None = None
    seen: SeenText | None = None


@dataclass(frozen=True, slots=True)
class PlacedLink:
    """Where the link stands now. `before` is the merchant's own text without our line; `changed` whether we wrote."""

    where: str
    before: str
    version: str
    changed: bool


@dataclass(frozen=True, slots=True)
class LinkState:
    """What stands upstream: whether our link is there, whether it leads where it should, what competes with it."""

    present: bool
    right: bool
    where: str
    competing: str | None = None


@dataclass(frozen=True, slots=True)
class Theme:
    """A template invoices are printed on (Xero's branding theme), for systems whose links stand there.

    `link` is the address of our link on it, empty when there is none, None when the system does not let us look.
    """

    ref: str
    name: str
    default: bool
    link: str | None


@dataclass(frozen=True, slots=True)
class Guide:
    """What only the merchant can do, once for all invoices: `text` is to be pasted exactly, `steps` are sentences."""

    text: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """One payment (or one part of it) to be recorded upstream, always with the same `key` for the same intent.

    `key` is 32 hex digits. Amounts are minor units of `currency`. `allocations` are (invoice remote id, minor).
    """

    key: str
    customer: str
    amount: int
    currency: str
    paid_on: date
    allocations: tuple[tuple[str, int], ...]
    deposit_account: str
    reference: str
    note: str


class BillingSystem(Protocol):
    """A system invoices come from and payments are written back to. No method here moves real money."""

    manifest: Manifest

    def __init__(self, config: AdapterConfig, limiter: Limiter) -> None: ...

    # connect: called by journeys/connect and the token keeper, never inside a transaction
    def authorize_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """Where the merchant's browser goes to consent. No call is made."""

    def exchange(self, *, redirect_uri: str, answer: Mapping[str, str], code_verifier: str) -> Grant:
        """Turn the callback's query into tokens and tenants. Once only: a code dies with its first use."""

    def refresh(self, tokens: TokenSet) -> TokenSet:
        """Rotate. Called under the connection's lease; the result is stored before use. Raises Disconnected."""

    def revoke(self, tokens: TokenSet, tenant: Tenant) -> None:
        """End our access upstream. Idempotent: an access already dead is success."""

    # read: repeatable at will
    def survey(self, access: Access, since: date | None) -> Survey:
        """Count what an import would bring, for the dry run. Reads only."""

    def first_cursor(self, access: Access, kind: Kind, since: date | None) -> str:
        """Where the first import of `kind` starts; `since` is the merchant's history start."""

    def ahead(self, kind: Kind, cursor: str) -> Sequence[str]:
        """The cursors that may be asked now, in order, the given one first; several where pages are independent."""

    def page(self, access: Access, kind: Kind, cursor: str) -> Page:
        """One page. Its `next` continues, or is the delta cursor once everything is read (`done`)."""

    def invoice(self, access: Access, remote_id: str) -> UpstreamInvoice:
        """One invoice, complete and fresh; called before charging. Raises Gone."""

    def invoice_pdf(self, access: Access, remote_id: str) -> bytes:
        """The invoice as the system prints it."""

    def accounts(self, access: Access) -> Sequence[UpstreamAccount]:
        """Accounts a payment may be deposited to."""

    # links
    def place_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        """Make the one line stand (again). Repeatable: never appends twice, never cuts the merchant's text.

        Raises Refused when it does not fit or the invoice cannot carry it (code 'by_theme' where links stand on
        templates only), Stale after one redo.
        """

    def verify_link(self, access: Access, spot: LinkSpot) -> LinkState:
        """Read back what the customer would get."""

    def withdraw_link(self, access: Access, spot: LinkSpot) -> PlacedLink:
        """Take our line away and leave the merchant's own text as it is. Repeatable."""

    # links on templates (manifest link="template"); the other systems have no guide and no themes
    def guide(self, install_url: str) -> Guide | None:
        """How the merchant places the link by hand; `install_url` is our landing address. No call is made."""

    def themes(self, access: Access, install_url: str) -> Sequence[Theme]:
        """The templates invoices are printed on, each to be confirmed by the merchant or read back."""

    def place_on_theme(self, access: Access, theme: str, install_url: str) -> Theme:
        """Make the link stand on one template by API, read back. Repeatable.

        Raises Refused where only the merchant can.
        """

    # payments: books only, the money has moved already at the gateway
    def find_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment | None:
        """Look our payment up by key. Raises Unclear when several could be ours."""

    def record_payment(self, access: Access, intent: PaymentIntent) -> RemotePayment:
        """Record it, one try. Raises Unclear for every outcome that is not certain (timeout, reset, 5xx)."""

    def reverse_payment(self, access: Access, payment: RemotePayment) -> None:
        """Void or delete what we recorded, so that the invoices reopen. Repeatable: already reversed is success."""


@runtime_checkable
class ReadsPayments(Protocol):
    """A billing system that can be asked for one payment, by the number a person sees there."""

    def payment(self, access: Access, number: str) -> UpstreamPayment:
        """The payment as it stands there. Raises Gone when there is none."""


@runtime_checkable
class RenewsWebhooks(Protocol):
    """A billing system whose webhooks are subscribed to for each connection, and run out (manifest: `lasts`)."""

    def renew_webhooks(self, access: Access, address: str) -> datetime:
        """Subscribe, or renew what is subscribed to; until when it lasts (UTC). Repeatable: never a second one."""


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What the gateway's hosted page shall collect. `key` makes the call repeatable; `reference` is our payment id."""

    key: str
    reference: str
    amount: int
    currency: str
    merchant: str
    description: tuple[str, ...]
    success_url: str
    cancel_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Checkout:
    """A hosted page waiting for the customer."""

    ref: str
    url: str


class PaymentGateway(Protocol):
    """Where money moves. Only `fetch` (after a verified webhook, or a poll) changes what we believe of a payment."""

    manifest: Manifest

    def __init__(self, config: AdapterConfig, limiter: Limiter) -> None: ...

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        """Open the hosted page. Money may move from now on. Same key, same answer. Raises Unclear, Refused."""

    def find_checkout(self, reference: str) -> Checkout | None:
        """The checkout of our payment id, when an answer was lost."""

    def fetch(self, ref: str) -> GatewayPayment:
        """The gateway's own word on a checkout, now."""

    def cancel(self, ref: str) -> GatewayPayment:
        """End an unpaid checkout; the answer says whether it can still be paid. Repeatable."""

    def refund(self, ref: str, *, key: str, amount: int, reason: str) -> GatewayPayment:
        """Give money back (minor units). Money moves. Same key, same refund."""


class Sender(Protocol):
    """Anything that posts signed webhooks to us: a system or gateway whose manifest declares them."""

    manifest: Manifest

    def verify(self, headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now: datetime) -> bool:
        """Whether the raw bytes were signed with one of the secrets (current, previous). Never parses."""

    def parse(self, raw: bytes) -> Sequence[Event]:
        """What a verified body points at: references only, always re-read. Raises Refused for what it cannot read."""


class Limiter(Protocol):
    """A rate limit shared by all processes. Each call is one short transaction of its own."""

    def reserve(self, key: str, *, limit: int, period: float, burst: int, kept: int = 0) -> float:
        """Seconds to wait before going (0.0: go, the call is counted). At an even pace, at most `burst` at once.

        `kept` of the `limit` calls are left to others.
        """

    def spend(self, key: str, *, limit: int, period: float, kept: int = 0) -> float:
        """The same for a budget: no pace, but never more than `limit` in any `period`."""

    def give_back(self, key: str, *, limit: int, period: float, burst: int) -> None:
        """A call that was counted is not made after all; `burst` 0: it was spent from a budget."""

    def told(self, key: str, left: int, *, limit: int, period: float, burst: int) -> None:
        """The upstream says how many calls are left; never more than that are believed in from now on."""

    def push_back(self, key: str, seconds: float) -> None:
        """The upstream asked for silence until then (Retry-After)."""

    def enter(self, key: str, slots: int, holder: str, seconds: float) -> bool:
        """Take one of the slots for calls in flight; it frees itself after `seconds`."""

    def leave(self, key: str, holder: str, *, rest: float = 0.0) -> None:
        """Give the slot back; nobody takes it for `rest` seconds."""


class TokenStore(Protocol):
    """Sealed tokens and the lease under which they are rotated. Each call is one short transaction of its own."""

    def read(self, connection: str) -> TokenSet:
        """The tokens in force. Raises Disconnected when there are none."""

    def take_turn(self, connection: str, holder: str, seconds: float) -> bool:
        """Take the refresh lease if nobody holds it."""

    def keep(self, connection: str, holder: str, tokens: TokenSet) -> bool:
        """Store a rotation and give the lease back; False when the lease was lost meanwhile (the rotation is kept)."""

    def give_up_turn(self, connection: str, holder: str) -> None:
        """Give the lease back without a rotation."""

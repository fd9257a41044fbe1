"""The sandbox payment gateway: a stateful gateway where no real money moves.

It has a JSON API for merchants' software, a hosted payment page with buttons instead of card fields, signed webhooks
and a virtual clock, so that bank debits that settle or come back days later can be seen at once.
Every amount is an integer of the currency's smallest unit (`amount_minor`); every time is ISO 8601 in UTC.

Authentication: `Authorization: Bearer <API key>`. Errors: `{"error": {"code": ..., "message": ..., "field": ...}}`.

=======  ================================  ===========================================================================
POST     /v1/checkouts                     Opens a checkout. Header `Idempotency-Key` (1-255 characters) required.
                                           Body: amount_minor, currency, reference (the caller's payment id),
                                           lines [{description, amount_minor}] (optional; the lines' amounts may be
                                           left out, else they sum up), success_url, cancel_url, expires_in (seconds
                                           from 60 to a week, optional: 30 minutes),
                                           merchant_name (optional). 201 with the checkout.
GET      /v1/checkouts/{id}                One checkout.
GET      /v1/checkouts?reference=          Every checkout of a reference, newest first: {"data": [...]}.
POST     /v1/checkouts/{id}/expire         Cancels it. 200 with `payable: false` when it can never be paid any more,
                                           also when it had already ended unpaid; 409 `checkout_paid` when a payment
                                           was made first.
GET      /v1/payments/{id}                 One payment with its refunds.
POST     /v1/payments/{id}/refunds         Refunds all or part. `Idempotency-Key` required. Body: amount_minor,
                                           reference (the caller's refund id), reason (optional). 201 with the
                                           refund.
GET      /v1/refunds/{id}                  One refund.
GET      /v1/events?after=&limit=          Events after the given event id, oldest first:
                                           {"data": [...], "has_more": bool}.
GET      /v1/events/{id}                   One event.
=======  ================================  ===========================================================================

Idempotency: the same key with the same request replays the first successful answer byte for byte, with the header
`Idempotent-Replayed: true`; the same key with another request is 409 `idempotency_key_reused`. Keys are kept for
24 hours of the virtual clock. A refused request uses up no key. `expires_in` counts from the moment of asking and is
not compared.

Checkout: {id, object, url, status: open|complete|failed|cancelled|expired, payable, reference, amount_minor,
currency, lines, merchant_name, success_url, cancel_url, created, expires_at, payment: <payment>}.

Payment: {id, object, checkout, reference, amount_minor, currency, status, method: card|bank_debit|null,
failure: {code, message}|null, amount_refunded_minor, amount_refund_pending_minor, created, settled_at, returned_at,
refunds: [<refund>]}. Its states::

    open -> requires_authentication -> settled | failed | cancelled | expired
    open -> settled | processing | failed | cancelled | expired
    processing -> settled | returned
    settled -> partly_refunded -> refunded;  settled | partly_refunded -> returned

`settled_at` is null when a bank debit is returned before it settled: no money has ever arrived then.

Refund: {id, object, payment, reference, amount_minor, currency, reason, status: pending|succeeded|failed, failure,
created, settled_at}. Card refunds succeed at once; refunds of bank debits are pending first, and fail when the debit
itself is returned meanwhile.

Webhooks: POST of `{"id": "evt_...", "type": ..., "created": ..., "data": {"checkout", "payment", "reference",
"refund"}}` with `Sandbox-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. Types: payment.settled,
payment.processing, payment.failed, payment.returned, payment.requires_authentication, payment.cancelled,
checkout.expired, refund.settled, refund.failed. Deliveries may come late, twice and out of order: read the object
again. Any 2xx answer within the time limit counts as received; anything else is repeated on a growing schedule.
"""

from integrations.gateways.sandbox.simulator.application import create_simulator
from integrations.gateways.sandbox.simulator.settings import SandboxSettings

__all__ = ["SandboxSettings", "create_simulator"]

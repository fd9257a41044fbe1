"""What QuickBooks Online is, as data. Sources: developer.intuit.com (OAuth 2.0, limits and throttles, webhooks)."""

from __future__ import annotations

from connector.manifest import Capabilities, Manifest, RateLimit, WebhookScheme

MINOR_VERSION = 75
MEMO_LIMIT = 1000
NOTE_LIMIT = 4000
REFERENCE_LIMIT = 21
SIGNATURE_HEADER = "intuit-signature"

MANIFEST = Manifest(
    name="quickbooks",
    title="QuickBooks Online",
    role="system",
    auth="oauth_code",
    endpoints={
        "authorize": "https://appcenter.intuit.com/connect/oauth2",
        "token": "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
        "revoke": "https://developer.api.intuit.com/v2/oauth2/tokens/revoke",
        "api": "https://quickbooks.api.intuit.com",
    },
    capabilities=Capabilities(
        delta="datetime",
        deletes="flag",
        payment="allocating",
        multi_invoice=True,
        partial=True,
        # Without one QuickBooks puts the payment into Undeposited Funds.
        deposit_account_required=False,
        idempotency="native_key",
        # Not documented; our own lookup by key comes before every retry.
        idempotency_seconds=86_400.0,
        reversal="void",
        link="field",
        link_by_api=True,
        link_limit=MEMO_LIMIT,
        pdf=True,
        reads=("customer", "invoice", "credit_note", "estimate", "recurring", "payment"),
    ),
    scopes=("com.intuit.quickbooks.accounting",),
    pkce=False,
    webhooks=WebhookScheme(signature_header=SIGNATURE_HEADER, answer_within=3.0),
    # 500 a minute, and 10 a second, which Intuit once called 10 at the same time. Calls that were sent evenly arrive
    # together when one is held up, and whoever exceeds a limit is to be silent for a minute.
    limits=(RateLimit(limit=500, period=60.0, burst=10, in_flight=10, rest=1.0),),
    page_size=1000,
    pages_in_flight=8,
    call_timeout=(5.0, 30.0),
    access_lifetime=3600,
    refresh_lifetime=8_640_000,
    options={"rate": "Calls allowed per connection, as calls/seconds, when Intuit has granted other limits."},
    setup=(
        "Create an app at developer.intuit.com with the accounting scope and copy its client id and secret.",
        "Add our redirect address under Redirect URIs (https; localhost only for development keys).",
        "Enter our launch, disconnect and reconnect addresses, the privacy policy and the terms.",
        "Under Webhooks enter our webhook address, choose Invoice, Payment, Customer, Credit memo and Estimate, "
        "and copy the verifier token.",
    ),
)

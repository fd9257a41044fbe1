"""What Xero is, as data.

Sources: developer.xero.com/documentation (OAuth 2.0, limits, webhooks, custom payment URLs), Xero's OpenAPI 16.1.
"""

from __future__ import annotations

from connector.manifest import Capabilities, Manifest, RateLimit, WebhookScheme

# Apps made since 2 March 2026 are given granular scopes only; one broad scope makes the whole consent `invalid_scope`.
SCOPES = (
    "openid",
    "profile",
    "email",
    "offline_access",
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts.read",
    "accounting.settings.read",
)

# Granted to certified payment-service partners only; asking without the grant breaks the consent as well.
PARTNER_SCOPE = "paymentservices"
PARTNER_OPTION = "payment_services"
DAY_LIMIT_OPTION = "day_limit"

# A refresh token lives 60 days and is replaced at every refresh; the one before works for 30 more minutes.
REFRESH_LIFETIME = 60 * 86_400

MANIFEST = Manifest(
    name="xero",
    title="Xero",
    role="system",
    auth="oauth_code",
    endpoints={
        "authorize": "https://login.xero.com/identity/connect/authorize",
        "token": "https://identity.xero.com/connect/token",
        "revoke": "https://identity.xero.com/connect/revocation",
        "connections": "https://api.xero.com/connections",
        "api": "https://api.xero.com/api.xro/2.0",
    },
    capabilities=Capabilities(
        delta="datetime",
        deletes="void_status",
        payment="allocating",
        multi_invoice=False,
        partial=True,
        deposit_account_required=True,
        idempotency="native_key",
        idempotency_seconds=360.0,
        idempotency_keeps_errors=True,
        reversal="delete",
        link="template",
        link_by_api=False,
        pdf=True,
        reads=("customer", "invoice", "credit_note", "estimate", "recurring", "payment"),
    ),
    scopes=SCOPES,
    pkce=True,
    # 2xx within five seconds, 401 for a bad signature, no body; "intent to receive" is passed by the same rule.
    webhooks=WebhookScheme(signature_header="x-xero-signature", answer_within=5.0, accepted=200, rejected=401),
    # The minute and the day are budgets; the day is 5,000 calls, and 1,000 for apps of the Starter tier. What is kept
    # of it for payments is a fifth of the smaller one, since nobody may have told us which it is.
    limits=(
        RateLimit(limit=60, period=60.0, burst=0, in_flight=5, scope="connection"),
        RateLimit(limit=10_000, period=60.0, burst=400, scope="app"),
        RateLimit(limit=5_000, period=86_400.0, burst=0, kept=200),
    ),
    page_size=1000,
    pages_in_flight=4,
    call_timeout=(5.0, 30.0),
    access_lifetime=1800,
    refresh_lifetime=REFRESH_LIFETIME,
    secrets=("client_id", "client_secret"),
    options={
        PARTNER_OPTION: "Set to 1 once Xero made this app a payment-service partner: it then places the link by API.",
        DAY_LIMIT_OPTION: "How many calls a day Xero allows this app for one organisation: 1000 (Starter) or 5000.",
    },
    setup=(
        "Sign in at developer.xero.com, open My Apps and create a new app of the type Web app.",
        "Add the redirect URI shown on this page under Configuration, then generate a client secret.",
        "Under Webhooks choose Invoices, Contacts and Credit notes and enter the delivery URL shown on this page.",
        "Copy the webhooks key, then press Send 'Intent to receive': its state turns to OK within a minute.",
        "Xero allows an organisation two uncertified apps at most; a third is refused until one is disconnected.",
    ),
)

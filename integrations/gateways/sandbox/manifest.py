"""What the sandbox gateway is, as data. Its API is described in the simulator package beside this file."""

from __future__ import annotations

from connector.manifest import Capabilities, Manifest, WebhookScheme

SIGNATURE_HEADER = "Sandbox-Signature"
ALLOW_IN_PRODUCTION = "ALLOW_IN_PRODUCTION"

MANIFEST = Manifest(
    name="sandbox",
    title="Sandbox payments",
    role="gateway",
    auth="api_key",
    endpoints={"api": "http://127.0.0.1:9100/sandbox"},
    # A key is remembered for 24 hours; a checkout is found by our payment id and a refund by its key after that too.
    capabilities=Capabilities(
        payment="none", idempotency="native_key", idempotency_seconds=86_400.0, reversal="none", deletes="unknown"
    ),
    # A gateway's word is never late or bundled on purpose: a customer may be waiting for it.
    webhooks=WebhookScheme(signature_header=SIGNATURE_HEADER, answer_within=5.0, coalesce=False),
    call_timeout=(5.0, 20.0),
    sandbox_only=True,
    secrets=("api_key",),
    options={
        ALLOW_IN_PRODUCTION: "Set to 1 to offer the sandbox in production: invoices could then be paid with nothing."
    },
    setup=(
        "Start the sandbox with `duebridge simulate`, or use the one that `make demo` starts.",
        "Set DUEBRIDGE_SANDBOX_API_URL to its address and DUEBRIDGE_SANDBOX_API_KEY to its API key.",
        "Set DUEBRIDGE_SANDBOX_WEBHOOK_SECRET to its webhook secret and enter this installation's webhook URL there.",
    ),
)

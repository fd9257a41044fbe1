"""What a small billing system of each weakness declares about itself."""

from __future__ import annotations

from connector.manifest import Capabilities, Manifest
from tests.weakbooks.weaknesses import Weakness

# How long the native_key system remembers keys unless its books are told otherwise.
KEY_LIFETIME = 600.0


def manifest_of(weakness: Weakness, *, timeout: tuple[float, float] = (5.0, 30.0)) -> Manifest:
    """The declaration of one weakness. `timeout` is (connect, read) in seconds."""
    return Manifest(
        name=weakness.name,
        title=f"Weakbooks ({weakness.kind}{'' if weakness.multi_invoice else ', one invoice a payment'})",
        role="system",
        auth="none",
        endpoints={"api": "http://127.0.0.1:9"},
        capabilities=Capabilities(
            delta="datetime",
            deletes="flag",
            multi_invoice=weakness.multi_invoice,
            idempotency=weakness.kind,
            idempotency_seconds=KEY_LIFETIME if weakness.kind == "native_key" else 0.0,
            reversal="void",
            reads=("customer", "invoice", "payment"),
        ),
        page_size=100,
        call_timeout=timeout,
        secrets=(),
    )

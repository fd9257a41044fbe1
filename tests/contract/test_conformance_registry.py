"""The registry and its manifests: sane, complete, and every adapter known to this suite."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import pytest

from connector.contract import BillingSystem, PaymentGateway, Sender
from connector.domain.records import Kind
from connector.manifest import AdapterConfig, Capabilities, Manifest
from integrations.registry import GATEWAYS, SYSTEMS, senders
from tests.contract.rigs import GATEWAY_RIGS, SYSTEM_RIGS
from tests.integrations.limiters import MemoryLimiter

ADAPTERS: dict[str, Any] = {**SYSTEMS, **GATEWAYS}
MANIFESTS: dict[str, Manifest] = {name: adapter.manifest for name, adapter in ADAPTERS.items()}
every = pytest.mark.parametrize("name", sorted(MANIFESTS))


def test_every_adapter_has_a_simulator_this_suite_can_start() -> None:
    assert set(SYSTEM_RIGS) == set(SYSTEMS) and set(GATEWAY_RIGS) == set(GATEWAYS)
    assert not set(SYSTEMS) & set(GATEWAYS), "one name, one adapter"
    assert set(senders()) == {name for name, manifest in MANIFESTS.items() if manifest.webhooks is not None}


@every
def test_an_adapter_does_everything_its_contract_names(name: str) -> None:
    contracts = [BillingSystem if name in SYSTEMS else PaymentGateway, *([Sender] if name in senders() else [])]
    adapter = ADAPTERS[name]
    for contract in contracts:
        for method in (item for item in vars(contract) if not item.startswith("_")):
            assert callable(getattr(adapter, method, None)), f"{name} lacks {method}"


@every
def test_a_manifest_is_sane(name: str) -> None:
    manifest = MANIFESTS[name]
    assert manifest.name == name and name.isascii() and name.isidentifier() and name.islower()
    assert manifest.title and manifest.role == ("system" if name in SYSTEMS else "gateway")
    assert manifest.setup and all(sentence.endswith(".") for sentence in manifest.setup)
    assert len(set(manifest.scopes)) == len(manifest.scopes)
    connect, read = manifest.call_timeout
    assert 0 < connect <= read <= 30, "the write-back waits 35 seconds for a lost call"
    assert manifest.page_size > 0 and manifest.pages_in_flight > 0
    assert all(limit.limit > 0 and limit.period > 0 and 0 <= limit.burst <= limit.limit for limit in manifest.limits)
    assert all(text.endswith(".") for text in manifest.options.values())


@every
def test_addresses_are_https_or_of_this_machine(name: str) -> None:
    manifest = MANIFESTS[name]
    for endpoint, address in manifest.endpoints.items():
        parts = urlsplit(address)
        assert endpoint.isidentifier() and not address.endswith("/")
        local = manifest.sandbox_only and parts.hostname == "127.0.0.1"
        assert parts.scheme == "https" or local, f"{name}: {endpoint}"
    if manifest.auth == "oauth_code":
        assert {"authorize", "token", "revoke", "api"} <= set(manifest.endpoints)
        assert manifest.scopes and 0 < manifest.access_lifetime < manifest.refresh_lifetime
        assert {"client_id", "client_secret"} <= set(manifest.secrets)


@every
def test_what_an_adapter_can_do_is_said_in_known_words_that_fit_together(name: str) -> None:
    capabilities = MANIFESTS[name].capabilities
    hints = get_type_hints(Capabilities)
    for field in ("delta", "deletes", "payment", "idempotency", "reversal", "link"):
        assert getattr(capabilities, field) in get_args(hints[field]), field
    assert set(capabilities.reads) <= {kind.value for kind in Kind}
    if capabilities.idempotency == "native_key":
        assert capabilities.idempotency_seconds > 0
    if capabilities.link == "field":
        assert capabilities.link_limit > 60, "a link has up to 60 characters"
    if capabilities.payment == "none":
        assert capabilities.reversal == "none"
    if name in SYSTEMS:
        assert {"invoice", "customer"} <= set(capabilities.reads)


@every
def test_webhooks_are_answered_with_codes_the_sender_understands(name: str) -> None:
    scheme = MANIFESTS[name].webhooks
    if scheme is None:
        pytest.skip(f"{MANIFESTS[name].title} posts no webhooks.")
    assert scheme.signature_header and scheme.answer_within > 0
    assert 200 <= scheme.accepted < 300 and 400 <= scheme.rejected < 500 <= scheme.overloaded < 600


@every
def test_no_secret_shows_in_a_configuration(name: str) -> None:
    config = AdapterConfig({"api": "https://x.example"}, {"client_secret": "s3cret"}, ("wh00k",), {"rate": "1/1"})
    assert "s3cret" not in repr(config) and "wh00k" not in repr(config)


@every
def test_an_address_that_is_not_safe_is_refused_at_the_start(name: str) -> None:
    manifest = MANIFESTS[name]
    for address in ("http://api.example", "ftp://api.example", "http://127.0.0.1.example"):
        endpoints = {**manifest.endpoints, "api": address}
        config = AdapterConfig(endpoints, dict.fromkeys(manifest.secrets, "x"), (), {})
        with pytest.raises(ValueError, match=f"DUEBRIDGE_{name.upper()}_API_URL"):
            ADAPTERS[name](config, MemoryLimiter())

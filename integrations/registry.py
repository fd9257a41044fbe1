"""Every adapter by the name it is known by in settings, addresses and tables. Nothing is discovered by magic."""

from __future__ import annotations

from connector.contract import BillingSystem, PaymentGateway, Sender
from integrations.gateways.sandbox.adapter import Sandbox
from integrations.systems.quickbooks.adapter import QuickBooks
from integrations.systems.xero.adapter import Xero

SYSTEMS: dict[str, type[BillingSystem]] = {"quickbooks": QuickBooks, "xero": Xero}

GATEWAYS: dict[str, type[PaymentGateway]] = {"sandbox": Sandbox}


def senders() -> dict[str, type[Sender]]:
    """The adapters that post webhooks to us: those whose manifest declares how they are answered."""
    adapters: dict[str, type[BillingSystem] | type[PaymentGateway]] = {**SYSTEMS, **GATEWAYS}
    return {name: adapter for name, adapter in adapters.items() if adapter.manifest.webhooks is not None}  # type: ignore[misc]

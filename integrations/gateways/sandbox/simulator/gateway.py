"""The parts of one running sandbox gateway, handed to its pages."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.gateways.sandbox.simulator.book import Book
from integrations.gateways.sandbox.simulator.outbox import Signer
from integrations.gateways.sandbox.simulator.settings import SandboxSettings
from integrations.gateways.sandbox.simulator.timetable import Ticker
from integrations.simulator.clock import Clock
from integrations.simulator.delivery import WebhookDelivery
from integrations.simulator.faults import Faults
from integrations.simulator.journal import Journal


@dataclass(frozen=True)
class Gateway:
    """`public_url` is how a browser reaches it, without a trailing slash."""

    book: Book
    clock: Clock
    journal: Journal
    faults: Faults
    delivery: WebhookDelivery
    ticker: Ticker
    signer: Signer
    settings: SandboxSettings
    public_url: str

    def close(self) -> None:
        """Stop the background threads."""
        self.ticker.close()
        self.delivery.close()

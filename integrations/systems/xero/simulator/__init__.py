"""A small stateful Xero for demonstrations and tests."""

from integrations.systems.xero.simulator.application import create_simulator
from integrations.systems.xero.simulator.config import XeroConfig

__all__ = ["XeroConfig", "create_simulator"]

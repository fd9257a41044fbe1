"""A small stateful QuickBooks Online for demonstrations and tests."""

from integrations.systems.quickbooks.simulator.app import create_simulator
from integrations.systems.quickbooks.simulator.settings import CompanyFile, QuickBooksSettings
from integrations.systems.quickbooks.simulator.upstream import Upstream, upstream

__all__ = ["CompanyFile", "QuickBooksSettings", "Upstream", "create_simulator", "upstream"]

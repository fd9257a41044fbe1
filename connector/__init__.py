"""Duebridge's own part: the domain, the contract with other systems, storage, journeys and pages."""

__version__ = "0.1.0"

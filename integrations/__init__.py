"""Adapters to other systems; each fulfils connector.contract."""

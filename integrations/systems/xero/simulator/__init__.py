"""A small stateful Xero for demonstrations and tests."""

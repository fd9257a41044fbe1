"""A small stateful QuickBooks Online for demonstrations and tests."""

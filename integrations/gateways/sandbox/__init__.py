"""A gateway for demonstrations and tests: no money moves."""

"""The rules of the trade as plain Python: no clock, no I/O, no third-party package."""

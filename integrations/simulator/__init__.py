"""The kit the upstream simulators are built from: clock, store, faults, journal, webhook delivery, a seeded company.

Production code never imports this package; the demo and simulate commands and the tests do.
"""

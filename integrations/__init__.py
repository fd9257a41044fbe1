"""Adapters to other systems; each fulfils `connector.contract`.

A system is a folder under `systems/`, a gateway one under `gateways/`: manifest, client, mapping, links, payments,
webhooks and the adapter that composes them. All of them speak through the one session in `integrations.http`, get
their tokens through `integrations.oauth` and check signatures with `integrations.signing`. To add one: write the
folder, enter it in `integrations.registry`, and the conformance tests take it from there.
"""

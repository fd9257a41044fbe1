"""Other programs that do a part of the same, installed on demand into environments of their own, hosts redirected."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.bench.surroundings import CannotMeasure, Upstream, environment_with, folder, harness, run

_TAPS = {
    "qbo": ("tap_quickbooks", "tap-quickbooks", ("tap-quickbooks==2.5.0",)),
    # tap-xero does not ask for six, which it needs.
    "xero": ("tap_xero", "tap-xero", ("tap-xero==2.6.0", "six")),
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "qbo": {"realm_id": "1", "is_sandbox": "false", "max_results": "1000"},
    "xero": {"tenant_id": "00000000-0000-0000-0000-000000000001"},
}


def tap_command(kind: str, at: Upstream) -> str:
    """A shell command that runs the vendor's Singer tap over the invoices, its records thrown away."""
    module, name, packages = _TAPS[kind]
    python = environment_with(name, packages)
    configuration, catalog = folder() / "out" / f"{name}.json", folder() / "out" / f"{name}.catalog.json"
    configuration.write_text(
        json.dumps(
            {
                "client_id": "a",
                "client_secret": "b",
                "refresh_token": "c",
                "start_date": "2023-01-01T00:00:00Z",
                "user_agent": "measurement",
                **_SETTINGS[kind],
            }
        )
    )
    command = [str(python), str(harness("run_tap.py")), module, str(at.port), "--config", str(configuration)]
    if not catalog.exists():
        found = json.loads(run([*command, "--discover"]))
        for stream in found["streams"]:
            for part in stream["metadata"]:
                if not part["breadcrumb"]:
                    part["metadata"]["selected"] = stream["tap_stream_id"] == "invoices"
        if not any(stream["tap_stream_id"] == "invoices" for stream in found["streams"]):
            raise CannotMeasure(f"{name} lists no stream called invoices.")
        catalog.write_text(json.dumps(found))
    return shlex.join([*command, "--catalog", str(catalog)])

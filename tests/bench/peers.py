"""Other programs that do a part of the same, installed on demand into environments of their own, hosts redirected."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from tests.bench.postgres import MeasuredServer
from tests.bench.surroundings import CannotMeasure, Upstream, environment_with, folder, harness, run, say

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


@dataclass(frozen=True, slots=True)
class Pretix:
    """A pretix with 300 pending orders of 20 positions: its gunicorn, its environment, its pages' addresses."""

    gunicorn: Path
    environ: Mapping[str, str]
    paths: Path
    home: Path


def pretix(server: MeasuredServer | None) -> Pretix:
    """Install, migrate and seed pretix at its first use; on SQLite, or in a new database of this server."""
    python = environment_with("pretix", ("pretix==2026.8.0", "gunicorn", "psycopg2-binary"))
    name = "sqlite" if server is None else "postgresql"
    home = folder() / "out" / f"pretix-{name}"
    configuration, paths = home / "pretix.cfg", home / "paths"
    environ = {"PRETIX_CONFIG_FILE": str(configuration), "PERF": str(folder())}
    made = Pretix(python.with_name("gunicorn"), environ, paths, home)
    if server is None and paths.exists():
        return made
    (home / "data").mkdir(parents=True, exist_ok=True)
    database = f"backend=sqlite3\nname={home / 'data' / 'db.sqlite3'}"
    if server is not None:
        url = make_url(server.server.create_database())
        database = f"backend=postgresql\nname={url.database}\nuser=postgres\nhost={server.sockets}"
    configuration.write_text(
        f"[pretix]\ninstance_name=Measured\nurl=http://localhost:9201\ndatadir={home / 'data'}\n"
        f"[database]\n{database}\n[django]\nsecret=not-a-secret-of-anything\ndebug=false\n"
    )
    say(f"Preparing pretix on {name} (some minutes)")
    with_it = {**os.environ, **environ}
    run([str(python), "-m", "pretix", "migrate"], env=with_it, cwd=home)
    if not (home.parent / "pretix.rebuilt").exists():
        run([str(python), "-m", "pretix", "rebuild"], env=with_it, cwd=home)
        (home.parent / "pretix.rebuilt").touch()
    run([str(python), str(harness("pretix_seed.py")), "300", str(paths)], env=with_it, cwd=home)
    return made

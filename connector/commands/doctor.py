"""duebridge doctor: is this installation well, and if not, what is to be done?"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import click

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def doctor(as_json: bool) -> None:
    """Check settings, keys, database, clocks, mail, public address, packages and workers.

    Changes nothing and prints no secret. Ends with exit code 1 when something does not work.
    """
    from connector.doctor import Verdict, examine

    findings = []
    for finding in examine(os.environ):
        findings.append(finding)
        if not as_json:
            click.echo(f"{_MARKS[finding.verdict]}  {finding.check}: {finding.what}")
            if finding.fix:
                click.echo(f"      {finding.fix}")
    failed = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    if as_json:
        click.echo(json.dumps({"ok": not failed, "checks": [asdict(finding) for finding in findings]}))
    sys.exit(1 if failed else 0)

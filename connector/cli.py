"""duebridge: everything an operator does, one command each."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import click

from connector import __version__
from connector.commands.audit_books import audit_books
from connector.commands.database import backup, restore, restored
from connector.commands.doctor import doctor
from connector.commands.schedules import schedules
from connector.commands.work import work as work_commands
from connector.config import BadSetting, Settings, read_settings


@click.group()
@click.version_option(__version__, prog_name="duebridge")
def main() -> None:
    """Billing links on the invoices your software already sends, payments taken, books that agree to the cent."""


def _settings() -> Settings:
    try:
        return read_settings(os.environ)
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=int)
@click.option("--embedded", is_flag=True, help="Run the worker in this process too and prepare the database first.")
def serve(host: str, port: int, embedded: bool) -> None:
    """Serve the web application."""
    from connector.serving import serve as serve_web

    try:
        serve_web(_settings(), host=host, port=port, embedded=embedded)
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem


@main.command()
def worker() -> None:
    """Do background work until told to stop (SIGTERM)."""
    from connector.serving import work

    try:
        work(_settings())
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem


@main.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Bring the database to the schema this version needs."""
    from connector.jobs.engine import prepare_database

    prepare_database(_settings().database_url)
    click.echo("The database is up to date.")


@main.command()
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write it here instead of printing it.")
def manifest(write: Path | None) -> None:
    """What the plug-in offers the marketplaces, made from the adapters' own manifests."""
    from connector.web.plugin_manifest import document
    from integrations import registry

    manifests = [system.manifest for system in registry.SYSTEMS.values()]
    manifests += [gateway.manifest for gateway in registry.GATEWAYS.values()]
    text = json.dumps(document(manifests), indent=2, ensure_ascii=False)
    if write:
        write.write_text(text + "\n", encoding="utf-8")
    else:
        click.echo(text)


@main.command()
@click.option("--connection", "connection_id", required=True, type=int)
@click.option("--merchant", "merchant_id", required=True, type=int)
@click.option("--kind", "kinds", multiple=True, help="Only these kinds, e.g. invoice.")
def sync(connection_id: int, merchant_id: int, kinds: tuple[str, ...]) -> None:
    """Read one connection to its end, in this process."""
    from connector.serving import sync_now

    for line in sync_now(_settings(), merchant_id, connection_id, kinds):
        click.echo(line)


@main.command()
@click.option("--port", default=8001, show_default=True, type=int)
@click.option("--mail-port", default=8002, show_default=True, type=int)
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), help="Keep everything here.")
@click.option("--product-url", default="http://127.0.0.1:8000", show_default=True, help="Where webhooks are sent.")
def simulate(port: int, mail_port: int, directory: Path | None, product_url: str) -> None:
    """Run the little QuickBooks, Xero, payment gateway and mail server, on this machine only."""
    from connector.demo.simulate import run

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    run(port=port, mail_port=mail_port, directory=directory, product_url=product_url, stop=stop)


@main.command()
@click.option("--port", default=8000, show_default=True, type=int, help="This port and the two after it are used.")
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), default=Path("var/demo"))
@click.option("--check", is_flag=True, help="Walk the main job with no hands, in a fresh database, and report.")
@click.option("--json", "as_json", is_flag=True, help="With --check: the last line is one JSON object.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="With --check: keep database and logs.")
def demo(port: int, directory: Path, check: bool, as_json: bool, keep: Path | None) -> None:
    """Start the product with little upstreams, print what to open, and run until Ctrl-C."""
    from connector.demo import check as walk
    from connector.demo.interactive import run
    from connector.demo.processes import DidNotStart

    try:
        if not check:
            run(port, directory.resolve(), click.echo)
            return
        with tempfile.TemporaryDirectory(prefix="duebridge-check-") as temporary:
            report = walk.run((keep or Path(temporary)).resolve(), click.echo)
    except DidNotStart as problem:
        raise click.ClickException(str(problem)) from problem
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else walk.in_words(report))
    sys.exit(0 if report["ok"] else 1)


main.add_command(audit_books)
main.add_command(schedules)
main.add_command(work_commands)

for command in (backup, restore, restored):
    db.add_command(command)
main.add_command(doctor)

if __name__ == "__main__":
    main()

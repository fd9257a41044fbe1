"""The HTTP side of the small billing systems: an API under /<name>/v1/<tenant>/, controls under /<name>/_control/.

One server holds the books of every weakness, each made when it is first named; /_control/log is what the judge reads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Call, FaultMiddleware, Faults, Named
from integrations.simulator.journal import Journal
from tests.weakbooks.books import Books, Log, No, Row
from tests.weakbooks.weaknesses import Weakness, weakness_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OPERATIONS = {
    ("GET", "invoices"): "invoice.list",
    ("GET", "customers"): "customer.list",
    ("GET", "accounts"): "account.list",
    ("GET", "payments"): "payment.find",
    ("POST", "payments"): "payment.create",
    ("PUT", "payments"): "payment.create",
}


class WeakUpstreams:
    """One WSGI application with /<name> for every weakness; all live on one clock and write into one log."""

    def __init__(self, directory: Path | None = None) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self.clock = Clock()
        self.log = Log(directory / "payments.jsonl" if directory else None)
        self.journal = Journal(directory / "requests.jsonl" if directory else None)
        self.books: dict[str, Books] = {}
        self.faults: dict[str, Faults] = {}
        self._apps: dict[str, WSGIApplication] = {}
        self._lock = threading.Lock()
        self._whole = _log_app(self.log)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        weakness = weakness_of(name)
        if weakness is None:
            return self._whole.wsgi_app(environ, start_response)
        app = self._app(weakness)
        moved = {**environ, "SCRIPT_NAME": f"{environ.get('SCRIPT_NAME', '')}/{name}", "PATH_INFO": f"/{rest}"}
        return app(moved, start_response)

    def of(self, weakness: Weakness) -> Books:
        """The books of one weakness, for tests in the same process."""
        self._app(weakness)
        return self.books[weakness.name]

    def _app(self, weakness: Weakness) -> WSGIApplication:
        with self._lock:
            if weakness.name not in self._apps:
                books, faults = Books(weakness, self.clock, self.log), Faults()
                self.books[weakness.name], self.faults[weakness.name] = books, faults
                app = make_app(books, faults)
                self._apps[weakness.name] = FaultMiddleware(app, faults, self.journal, self.clock, operation_of)
            return self._apps[weakness.name]


def operation_of(call: Call) -> Named | None:
    """The name of a call for faults and the journal; None for controls."""
    parts = call.path.strip("/").split("/")
    if parts[0] != "v1" or len(parts) < 3:
        return None
    operation = _OPERATIONS.get((call.method, parts[2]), "unknown")
    if parts[2] == "invoices" and len(parts) > 3:
        operation = "invoice.read"
    elif parts[-1] == "void":
        operation = "payment.void"
    elif parts[2] == "payments" and call.method == "GET" and len(parts) > 3:
        operation = "payment.read"
    elif parts[2] == "payments" and call.method == "GET":
        operation = "payment.find" if "reference=" in call.query else "payment.list"
    return Named(operation, call.headers.get("idempotency-key", ""), parts[1])


def make_app(books: Books, faults: Faults) -> Flask:
    """The API and the controls of one system."""
    app = Flask(f"weakbooks.{books.weakness.name}", static_folder=None, template_folder=None)

    @app.errorhandler(No)
    def refused(no: No) -> ResponseReturnValue:
        return jsonify(code=no.code, message=no.message), no.status

    @app.before_request
    def throttle() -> Response | None:
        operation = request.environ.get("simulator.operation", "")
        if operation and (rule := faults.take("throttle", operation)):
            answer = jsonify(code="slow_down")
            answer.status_code = 429
            answer.headers["Retry-After"] = str(rule.options.get("seconds", 1))
            return answer
        return None

    _add_api(app, books)
    _add_controls(app, books, faults)
    return app


def _add_api(app: Flask, books: Books) -> None:
    @app.get("/v1/<tenant>/<any(invoices, payments):collection>")
    def rows(tenant: str, collection: str) -> Response:
        if collection == "payments" and "reference" in request.args:
            return jsonify(rows=books.by_reference(tenant, request.args["reference"]))
        clock = books.clock.time()
        since, after = float(request.args.get("since", "0")), request.args.get("after", "")
        limit = int(request.args.get("limit", "100"))
        return jsonify(clock=clock, rows=books.rows(collection, tenant, since, after, limit))

    @app.get("/v1/<tenant>/customers")
    def customers(tenant: str) -> Response:
        known = sorted({row["customer"] for row in books.rows("invoices", tenant, 0, "", 1_000_000)} | {"c1"})
        return jsonify(clock=books.clock.time(), rows=[{"id": one, "name": f"Customer {one}"} for one in known])

    @app.get("/v1/<tenant>/accounts")
    def accounts(tenant: str) -> Response:
        return jsonify(rows=[{"id": "bank", "name": "Bank"}])

    @app.get("/v1/<tenant>/invoices/<invoice_id>")
    def invoice(tenant: str, invoice_id: str) -> Response:
        return jsonify(books.invoice(invoice_id))

    @app.get("/v1/<tenant>/payments/<payment_id>")
    def payment(tenant: str, payment_id: str) -> Response:
        return jsonify(books.payment(payment_id))

    @app.post("/v1/<tenant>/payments")
    def create(tenant: str) -> ResponseReturnValue:
        return jsonify(books.create(tenant, _body(), request.headers.get("Idempotency-Key", ""))), 201

    @app.put("/v1/<tenant>/payments/<client_id>")
    def upsert(tenant: str, client_id: str) -> Response:
        return jsonify(books.upsert(tenant, client_id, _body()))

    @app.post("/v1/<tenant>/payments/<payment_id>/void")
    def void(tenant: str, payment_id: str) -> Response:
        return jsonify(books.void(payment_id))


def _add_controls(app: Flask, books: Books, faults: Faults) -> None:
    @app.post("/_control/invoices")
    def add() -> Response:
        """Seed: {tenant, count, total, currency, customer, stamped_ago}."""
        told = _body()
        count = int(told.pop("count", 1))
        return jsonify([books.add_invoice(told.get("tenant", "t1"), **_but(told, "tenant")) for _ in range(count)])

    @app.post("/_control/invoices/<invoice_id>/<any(change, pay, refuse):action>")
    def by_hand(invoice_id: str, action: str) -> Response:
        told = _body()
        if action == "pay":
            return jsonify(books.pay_by_hand(invoice_id, told.get("amount")))
        if action == "change":
            return jsonify(books.change_invoice(invoice_id, **told))
        books.refuse(invoice_id, int(told.get("times", 1)), str(told.get("message", "This is refused here.")))
        return jsonify({})

    @app.post("/_control/payments/<payment_id>/void")
    def void_by_hand(payment_id: str) -> Response:
        return jsonify(books.void(payment_id, by="hand"))

    @app.post("/_control/settings")
    def settings() -> Response:
        """Any of key_lifetime, lag (seconds), closed_until (date)."""
        for name, value in _body().items():
            if name not in ("key_lifetime", "lag", "closed_until"):
                raise No(400, "unknown", f"There is no setting {name}.")
            setattr(books, name, value)
        return jsonify({})

    @app.post("/_control/faults")
    def arm() -> Response:
        told = _body()
        more = _but(told, "kind", "operation", "times")
        faults.arm(told["kind"], told.get("operation", "*"), int(told.get("times", 1)), **more)
        return jsonify({})

    @app.post("/_control/faults/clear")
    def clear() -> Response:
        faults.clear()
        return jsonify({})

    @app.get("/_control/books.json")
    def whole() -> Response:
        """Invoices and payments in the shape the other simulators show theirs."""
        # Listed first: others may write meanwhile.
        rows, paid = list(books.invoices.values()), list(books.payments.values())
        invoices = [{**row, "open": row["state"] == "open" and row["balance"] > 0} for row in rows]
        payments = [{**row, "reversed": row["voided"]} for row in paid]
        return jsonify(invoices=invoices, payments=payments)

    @app.get("/_control/log")
    def log() -> Response:
        return jsonify(books.log.lines(books.weakness.name))


def _log_app(log: Log) -> Flask:
    app = Flask("weakbooks", static_folder=None, template_folder=None)

    @app.get("/_control/log")
    def whole() -> Response:
        return jsonify(log.lines())

    return app


def _body() -> Row:
    told = request.get_json(force=True)
    return dict(told) if isinstance(told, dict) else {}


def _but(told: Row, *names: str) -> Row:
    return {name: value for name, value in told.items() if name not in names}

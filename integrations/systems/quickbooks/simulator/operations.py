"""Which rule an operation on an entity runs through, for single calls and batches alike."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.systems.quickbooks.simulator import fault, fields, lists, payments, query, sales
from integrations.systems.quickbooks.simulator.books import Books, Change, Document, Row

SALES = ("Invoice", "CreditMemo", "Estimate", "RefundReceipt")
_VOIDABLE = ("Invoice", "CreditMemo")
_BATCHABLE = ("create", "update", "delete")


def name_of(request: Document, arguments: Mapping[str, str]) -> str:
    """create, update, delete or void: what a POST to an entity asks for."""
    asked = arguments.get("operation", "")
    if asked in ("delete", "void"):
        return asked
    if asked == "update" and arguments.get("include", "") == "void":
        return "void"
    if "Id" in request or any(isinstance(value, dict) and "Id" in value for value in _templates(request)):
        return "update"
    return "create"


def perform(
    change: Change, entity: str, operation: str, request: Document, *, allow_duplicate: bool = False
) -> Document:
    """Run one operation; returns the document (or stub) the answer carries. Raises Fault."""
    if operation in ("create", "update"):
        fields.check(entity, request)
    if entity in SALES:
        return _sale(change, entity, operation, request, allow_duplicate=allow_duplicate)
    if entity == "Payment":
        actions = {
            "create": payments.create,
            "update": payments.update,
            "void": payments.void,
            "delete": payments.delete,
        }
        return actions[operation](change, request)
    if entity == "RecurringTransaction":
        if operation == "create":
            return lists.create_recurring(change, request)
        return lists.edit_recurring(change, request, delete=operation == "delete")
    if operation == "create" and entity == "Customer":
        return lists.create_customer(change, request)
    if operation == "create" and entity == "Account":
        return lists.create_account(change, request)
    if operation == "update" and entity in ("Customer", "Account"):
        return lists.update(change, entity, request)
    if operation == "update" and entity in ("Preferences", "CompanyInfo"):
        return lists.update_settings(change, entity, request)
    raise fault.unsupported(f"/v3/company/{change.books.realm}/{entity.lower()}?operation={operation}")


def read(books: Books, entity: str, id: str) -> Row:
    """One document; Fault 2030 when the id is no number, 610 when there is none."""
    if entity == "Preferences" and not id:
        id = "1"
    if entity == "CompanyInfo" and id == books.realm:
        id = "1"
    if not id.isascii() or not id.isdigit():
        raise fault.bad_id(id)
    row = books.row(entity, id)
    if row is None:
        raise fault.not_found()
    return row


def batch(books: Books, request: Document, key: str) -> list[Document]:
    """Every item on its own: a refused one carries its Fault and stops no other."""
    items = request.get("BatchItemRequest")
    if not isinstance(items, list) or not items:
        raise fault.missing("BatchItemRequest")
    if len(items) > 30:
        raise fault.business("The maximum number of items in a batch is 30.")
    return [{**_batch_item(books, item, key), "bId": item.get("bId", "")} for item in items]


def _batch_item(books: Books, item: Document, key: str) -> Document:
    try:
        if "Query" in item:
            return {"QueryResponse": answer_query(books, str(item["Query"]))}
        operation = str(item.get("operation", ""))
        entity = next((name for name in item if name in fields.KNOWN), "")
        if operation not in _BATCHABLE or not entity:
            raise fault.unsupported(f"/v3/company/{books.realm}/batch {operation} {entity}")
        if str(item.get("optionsData", "")).lower() == "void":
            operation = "void"
        with books.change(f"{entity.lower()}.{operation}", key) as change:
            return {entity: perform(change, entity, operation, item[entity])}
    except fault.Fault as refusal:
        return refusal.body()


def answer_query(books: Books, text: str) -> Document:
    """The inside of a QueryResponse; nothing found is an empty object."""
    asked = query.parse(text)
    found = query.select(books, asked)
    if asked.count:
        return {"totalCount": len(found)}
    rows = query.page(asked, found)
    if not rows:
        return {}
    if asked.columns:
        documents: list[object] = [query.columns_of(row, asked.columns) for row in rows]
    else:
        documents = [row.raw for row in rows]
    return {asked.entity: documents, "startPosition": asked.start, "maxResults": len(rows)}


def _sale(change: Change, entity: str, operation: str, request: Document, *, allow_duplicate: bool) -> Document:
    if operation == "create":
        return sales.create(change, entity, request, allow_duplicate=allow_duplicate)
    if operation == "update":
        return sales.update(change, entity, request)
    if operation == "void" and entity in _VOIDABLE:
        return sales.void(change, entity, request)
    if operation == "delete":
        return sales.delete(change, entity, request)
    raise fault.unsupported(f"/v3/company/{change.books.realm}/{entity.lower()}?operation={operation}")


def _templates(request: Document) -> list[object]:
    return [request.get(name) for name in ("Invoice", "Estimate", "CreditMemo")]

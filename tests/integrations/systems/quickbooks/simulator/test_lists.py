"""Customers, accounts, recurring profiles, preferences; and the batch that mixes everything."""

from __future__ import annotations

from typing import Any

from tests.integrations.systems.quickbooks.simulator.driving import REALM, Running, code_of, running


def test_a_customer_is_created_edited_and_made_inactive(run: Running) -> None:
    made = run.post("customer", {"DisplayName": "Doe5, Jane"}).json()["Customer"]
    assert (made["Active"], made["Balance"], made["FullyQualifiedName"]) == (True, 0, "Doe5, Jane")
    assert code_of(run.post("customer", {"DisplayName": "doe5, jane"})) == "6240"
    assert code_of(run.post("customer", {})) == "2020"
    body = {"Id": made["Id"], "SyncToken": "0", "DisplayName": "Jack Moe", "PrimaryPhone": {"FreeFormNumber": "1"}}
    edited = run.post("customer", body).json()["Customer"]
    assert (edited["DisplayName"], edited["SyncToken"], edited["PrintOnCheckName"]) == ("Jack Moe", "1", "Jack Moe")
    sparse = {"Id": made["Id"], "SyncToken": "1", "sparse": True, "Active": False}
    gone = run.post("customer", sparse).json()["Customer"]
    assert (gone["Active"], gone["PrimaryPhone"]) == (False, {"FreeFormNumber": "1"})
    assert run.query("select * from Customer where DisplayName = 'Jack Moe'") == {}
    assert code_of(run.post("customer", {"Id": made["Id"], "SyncToken": "2"}, operation="delete")) == "500"


def test_a_customer_who_owes_stays_active(run: Running) -> None:
    owing = run.open_invoice()["CustomerRef"]["value"]
    body = {"Id": owing, "SyncToken": "0", "sparse": True, "Active": False}
    assert code_of(run.post("customer", body)) == "6000"


def test_a_branch_gets_the_name_of_the_firm_above(run: Running) -> None:
    body = {"DisplayName": "Dock 7", "ParentRef": {"value": "1"}}
    made = run.post("customer", body).json()["Customer"]
    assert (made["FullyQualifiedName"], made["Job"], made["Level"]) == ("Cascade Dental Group:Dock 7", True, 1)
    assert code_of(run.post("customer", {"DisplayName": "Lost", "ParentRef": {"value": "999"}})) == "2500"


def test_accounts(run: Running) -> None:
    made = run.post("account", {"Name": "Portal clearing", "AccountType": "Other Current Asset"}).json()["Account"]
    assert (made["Active"], made["Classification"]) == (True, "Asset")
    assert code_of(run.post("account", {"Name": "Portal clearing", "AccountType": "Bank"})) == "6240"
    assert code_of(run.post("account", {"Name": "No type"})) == "2020"
    closed = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "Active": False}
    assert run.post("account", closed).json()["Account"]["Active"] is False
    invoice = run.open_invoice()
    paid = run.payment_body(invoice, DepositToAccountRef={"value": made["Id"]})
    assert code_of(run.post("payment", paid)) == "610"


def test_preferences_and_company_data_are_merged(run: Running) -> None:
    body = {"Id": "1", "SyncToken": "0", "sparse": True, "SalesFormsPrefs": {"CustomTxnNumbers": True}}
    done = run.post("preferences", body).json()["Preferences"]
    assert done["SalesFormsPrefs"]["CustomTxnNumbers"] is True
    assert done["SalesFormsPrefs"]["AllowEstimates"] is True
    named = {"Id": "1", "SyncToken": "0", "sparse": True, "CompanyName": "Northwind"}
    assert run.post("companyinfo", named).json()["CompanyInfo"]["CompanyName"] == "Northwind"
    assert run.get(f"companyinfo/{REALM}").json()["CompanyInfo"]["CompanyName"] == "Northwind"


def test_recurring_profiles(run: Running) -> None:
    line = {"Amount": 10, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}
    info = {"Name": "Weekly care", "RecurType": "Automated", "ScheduleInfo": {"IntervalType": "Weekly"}}
    form: dict[str, Any] = {"CustomerRef": {"value": "1"}, "Line": [line], "RecurringInfo": info}
    made = run.post("recurringtransaction", {"Invoice": form}).json()["RecurringTransaction"]["Invoice"]
    assert made["RecurringInfo"]["Active"] is True
    assert "DocNumber" not in made
    assert run.query("select count(*) from Invoice")["totalCount"] == 300
    paused = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "RecurringInfo": {"Active": False}}
    edited = run.post("recurringtransaction", {"RecurringTransaction": {"Invoice": paused}}).json()
    assert edited["RecurringTransaction"]["Invoice"]["RecurringInfo"]["Name"] == "Weekly care"
    assert code_of(run.post("recurringtransaction", {"Invoice": paused})) == "5010"
    assert run.query("select count(*) from RecurringTransaction where Active = false")["totalCount"] == 1
    gone = run.post("recurringtransaction", {"Invoice": {"Id": made["Id"], "SyncToken": "1"}}, operation="delete")
    assert gone.json()["RecurringTransaction"]["Invoice"]["status"] == "Deleted"
    assert run.query("select count(*) from RecurringTransaction")["totalCount"] == 3
    nameless = {**form, "RecurringInfo": {}}
    assert code_of(run.post("recurringtransaction", {"Invoice": nameless})) == "2020"


def test_in_a_batch_one_refusal_stops_no_other(run: Running) -> None:
    invoice = run.open_invoice()
    items = [
        {"bId": "1", "operation": "create", "Customer": {"DisplayName": "Boraski Family Store"}},
        {"bId": "2", "operation": "delete", "Invoice": {"Id": "999999", "SyncToken": "0"}},
        {"bId": "3", "operation": "update", "Invoice": {"Id": invoice["Id"], "SyncToken": "9", "sparse": True}},
        {"bId": "4", "Query": "select * from Payment where TotalAmt > '300.00'"},
        {"bId": "5", "operation": "update", "Invoice": {"Id": invoice["Id"], "SyncToken": "0", "sparse": True}},
        {"bId": "6", "operation": "create", "Item": {"Name": "x"}},
    ]
    answer = run.post("batch", {"BatchItemRequest": items})
    assert answer.status_code == 200
    done = {item["bId"]: item for item in answer.json()["BatchItemResponse"]}
    assert done["1"]["Customer"]["Id"]
    assert done["2"]["Fault"]["Error"][0]["code"] == "610"
    assert done["3"]["Fault"]["Error"][0]["code"] == "5010"
    assert done["4"]["QueryResponse"]["Payment"]
    assert done["5"]["Invoice"]["SyncToken"] == "1"
    assert done["6"]["Fault"]["Error"][0]["code"] == "500"
    assert code_of(run.post("batch", {"BatchItemRequest": items[:1] * 31})) == "6000"
    assert code_of(run.post("batch", {})) == "2020"


def test_batches_have_a_limit_of_their_own() -> None:
    with running(batches_per_minute=2) as run:
        items = {"BatchItemRequest": [{"bId": "1", "Query": "select count(*) from Invoice"}]}
        assert [run.post("batch", items).status_code for _ in range(3)] == [200, 200, 429]
        assert run.get("invoice/1").status_code == 200

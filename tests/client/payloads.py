"""Answers of Truss's, as its reference draws them."""

from typing import Any

INTENT_UID = "c2a7e9b4-3d68-4b7f-9f21-61d0c8e5a7f2"
CONTACT_UID = "2c6b9f13-7e40-4d85-b1a9-5f03d8c7e264"
TRANSACTION_UID = "1d9e4a70-8c2b-4f36-b5e8-0a7c93f6d214"


def contact(**changes: Any) -> dict[str, Any]:
    return {
        "uid": CONTACT_UID,
        "name": "Harbor Street Diner",
        "email": "owner@harborstreet.example",
        "secondary_email": "books@harborstreet.example",
        "phone": None,
    } | changes


def transaction(**changes: Any) -> dict[str, Any]:
    return {
        "uid": TRANSACTION_UID,
        "amount": "500.00",
        "addenda": "Invoice 1039 - walk-in cooler service",
        "type": "transaction",
        "payment_method": "ach",
        "date": "2026-03-02T15:04:02.118000Z",
        "processed_at": "2026-03-02T15:04:03.000000Z",
        "status": "ProcessedCredit",
        "direction": 0,
    } | changes


def intent(**changes: Any) -> dict[str, Any]:
    return {
        "uid": INTENT_UID,
        "total": "800.00",
        "addenda": "Invoice 1039 - walk-in cooler service",
        "direction": 0,
        "note": None,
        "memo": "Job 88",
        "due_date": "2035-05-15",
        "contact": contact(),
        "status": "PartiallyPaid",
        "balance_paid": "500.00",
        "created_at": "2026-02-24T09:02:47.880000Z",
        "pending_at": "2026-02-24T09:02:47.880000Z",
        "paid_at": None,
        "canceled_at": None,
        "transactions": [transaction()],
    } | changes


def page(*items: Any, following: str | None = None, **changes: Any) -> dict[str, Any]:
    return {"count": len(items), "next": following, "previous": None, "results": list(items)} | changes


def without(payload: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in names}

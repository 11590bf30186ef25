"""Who may what on each page of the app's admin, for tests/test_roles.py.

A new address needs a `Case` here, and a new list action an `Act`: without one the walk fails and names it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.files.uploadedfile import SimpleUploadedFile

from tests.exchange.files import csv_of, line
from tests.walking import World

Data = Callable[[World], Mapping[str, Any]]
Args = Callable[[World], tuple[Any, ...]]


def no_data(_world: World) -> Mapping[str, Any]:
    return {}


def no_args(_world: World) -> tuple[Any, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One address."""

    sees: str | None
    """Who gets it at least: one of PEOPLE; None is nobody."""
    get: int = 200
    """What a GET by those is answered."""
    does: str | None = None
    """Whose POST changes something, at least; None where nobody's does."""
    refused: int | None = None
    """What a POST by those who see the page and may not do that is answered; None: 403, or for nobody's the page."""
    named: frozenset[str] = frozenset({"log"})
    """Where somebody's name is written who does that: in Django's admin "log", in the invoice's "timeline"."""
    args: Args = no_args
    query: Data = no_data
    data: Data = no_data
    files: str = ""
    """What a download's type begins with."""

    def refusal(self) -> int:
        if self.refused is not None:
            return self.refused
        return 403 if self.does else self.get


@dataclass(frozen=True, kw_only=True)
class Act:
    """One action of a list: who may choose it, on which row."""

    does: str
    row: Callable[[World], int]
    changes: bool = False
    """Whether it changes something at once, without a page that asks first."""
    data: Mapping[str, str] | None = None
    named: frozenset[str] = frozenset({"log"})
    files: str = ""


LOG, TIMELINE = frozenset({"log"}), frozenset({"timeline"})
BOTH, NOWHERE = LOG | TIMELINE, frozenset[str]()


def ids(row: str) -> Data:
    return lambda world: {"ids": str(getattr(world, row).pk)}


def pk(row: str, *more: Any) -> Args:
    return lambda world: (getattr(world, row).pk, *more)


def invoice(world: World) -> Mapping[str, Any]:
    return {
        "contact": world.payer.pk, "company": world.company.pk, "total": "75.00", "addenda": "Oven hood",
        "reference": "NEW-1", "due_date": "", "note": "", "memo": "",
    }  # fmt: skip


def payer(world: World) -> Mapping[str, Any]:
    return {"name": "Another payer", "email": "another@payer.test", "company": world.company.pk}


def company(_world: World) -> Mapping[str, Any]:
    return {"slug": "second", "name": "Second", "environment": "local", "checkout_link_id": "abc"}


def upload(_world: World) -> Mapping[str, Any]:
    return {"file": SimpleUploadedFile("march.csv", csv_of(line(invoice_number="FILE-1")))}


# What Django's own pages of each model are for whom: the list, the page of one and its history are for viewers.
ADDED: Final = {"paymentintent": "clerk", "contact": "clerk", "company": "manager"}
DELETED: Final = {"paymentintent": "clerk", "contact": "clerk", "company": "superuser"}
WRITTEN: Final[dict[str, Data]] = {"paymentintent": invoice, "contact": payer, "company": company}
# A company that is in use can't be deleted at all.
MODELS: Final = (
    "batch", "company", "contact", "operation", "payerreturn", "paymentintent", "syncrun", "transaction",
    "webhookevent",
)  # fmt: skip


def _django_pages(model: str) -> dict[str, Case]:
    def args(world: World) -> tuple[Any, ...]:
        return (world.rows()[model].pk,)

    data = WRITTEN.get(model, no_data)
    changed_by = ADDED.get(model)
    # A batch's page is one of ours, which shows itself whatever is sent to it.
    of_one = Case(sees="viewer", does=changed_by, args=args, data=data, refused=200 if model == "batch" else 403)
    deletable = model != "company"
    return {
        f"{model}_changelist": Case(sees="viewer"),
        f"{model}_add": Case(sees=ADDED.get(model), does=ADDED.get(model), data=data),
        f"{model}_change": of_one,
        f"{model}_history": Case(sees="viewer", args=args),
        f"{model}_delete": Case(
            sees=DELETED.get(model), does=DELETED.get(model) if deletable else None, args=args,
            data=lambda _world: {"post": "yes"}, refused=200,
        ),
    }  # fmt: skip


OURS: Final[dict[str, Case]] = {
    "batch_progress": Case(sees="viewer", args=pk("batch")),
    "batch_go_on": Case(sees="viewer", get=405, does="clerk", args=pk("batch"), named=NOWHERE),
    "batch_withdraw": Case(sees="manager", does="manager", args=pk("batch")),
    "batch_result": Case(sees="viewer", args=pk("batch", "csv"), files="text/csv"),
    "company_disconnect": Case(sees="manager", does="manager", args=pk("company")),
    "company_try_again": Case(sees="manager", get=405, does="manager", args=pk("company")),
    "company_secrets": Case(
        sees="manager", does="manager", args=pk("company"), data=lambda _world: {"secret": "fa4e" * 16}
    ),
    "company_remove_secret": Case(
        sees="manager", does="manager", args=lambda world: (world.company.pk, world.secret.pk)
    ),
    "company_setup": Case(sees="viewer"),
    "company_portal_link": Case(sees="viewer", args=pk("company")),
    "company_portal_link_qr": Case(sees="viewer", args=pk("company", "svg"), files="image/svg+xml"),
    # Django's own view answers a POST like a GET.
    "contact_choices": Case(
        sees="viewer", query=lambda _world: {
            "app_label": "truss_portal", "model_name": "paymentintent", "field_name": "contact", "term": "New",
        }, refused=405,
    ),
    # What a payer's name and email would be mixed up with: posted, and only looked at.
    "contact_hints": Case(sees="viewer", get=405, refused=200, data=lambda _world: {"name": "New payer"}),
    "operation_try_again": Case(sees="manager", does="manager", query=ids("queued"), named=LOG),
    "operation_send_again": Case(
        sees="manager", does="manager", query=ids("unconfirmed"), data=lambda _world: {"promise": "on"}, named=LOG
    ),
    "operation_dismiss": Case(sees="manager", does="manager", query=ids("refused")),
    "operation_withdraw": Case(sees="manager", does="manager", query=ids("queued")),
    "paymentintent_overview": Case(sees="viewer"),
    "paymentintent_import": Case(sees="clerk", does="clerk", data=upload),
    "paymentintent_import_template": Case(sees="clerk", args=lambda _world: ("csv",), files="text/csv"),
    # Without what somebody has uploaded these lead back to the upload; with it, see the walk's own test of importing.
    "paymentintent_import_preview": Case(sees="clerk", get=302),
    "paymentintent_import_confirm": Case(sees="clerk", get=405, refused=302),
    "paymentintent_import_result": Case(sees="clerk", get=302),
    "paymentintent_export": Case(sees="clerk"),
    "paymentintent_export_file": Case(sees="clerk", args=lambda _world: ("csv",), files="text/csv"),
    "paymentintent_visibility": Case(sees="viewer", data=lambda _world: {"email": "ap@acme.test"}),
    "paymentintent_send": Case(sees="clerk", does="clerk", query=ids("draft"), named=BOTH),
    "paymentintent_refresh": Case(sees="clerk", does="clerk", query=ids("sent"), named=NOWHERE),
    "paymentintent_resend": Case(sees="clerk", does="clerk", query=ids("sent"), named=BOTH),
    "paymentintent_cancel": Case(sees="manager", does="manager", query=ids("second"), named=BOTH),
    "paymentintent_amend": Case(
        sees="clerk", does="clerk", args=pk("second"), named=BOTH,
        data=lambda _world: {"total": "130.00", "_confirmed": "1"},
    ),
    "paymentintent_links_csv": Case(
        sees="clerk", get=405, does="clerk", data=ids("sent"), named=TIMELINE, files="text/csv"
    ),
    "paymentintent_links_copied": Case(sees="clerk", get=405, does="clerk", data=ids("sent"), named=TIMELINE),
}  # fmt: skip
CASES: Final = {name: case for model in MODELS for name, case in _django_pages(model).items()} | OURS

ACTIONS: Final[dict[tuple[str, str], Act]] = {
    ("company", "delete_selected"): Act(does="superuser", row=lambda world: world.company.pk),
    ("contact", "delete_selected"): Act(
        does="clerk", row=lambda world: world.payer.pk, changes=True, data={"post": "yes"}
    ),
    ("operation", "try_again_selected"): Act(does="manager", row=lambda world: world.queued.pk),
    ("operation", "send_again_selected"): Act(does="manager", row=lambda world: world.unconfirmed.pk),
    ("operation", "dismiss_selected"): Act(does="manager", row=lambda world: world.refused.pk),
    ("operation", "withdraw_selected"): Act(does="manager", row=lambda world: world.queued.pk),
    ("paymentintent", "send_selected"): Act(does="clerk", row=lambda world: world.draft.pk),
    ("paymentintent", "copy_links"): Act(does="clerk", row=lambda world: world.sent.pk),
    ("paymentintent", "refresh_selected"): Act(does="clerk", row=lambda world: world.sent.pk),
    ("paymentintent", "resend_selected"): Act(does="clerk", row=lambda world: world.sent.pk),
    ("paymentintent", "cancel_selected"): Act(does="manager", row=lambda world: world.second.pk),
    ("paymentintent", "export_csv"): Act(does="clerk", row=lambda world: world.sent.pk, files="text/csv"),
    ("paymentintent", "export_xlsx"): Act(
        does="clerk", row=lambda world: world.sent.pk, files="application/vnd.openxmlformats"
    ),
    ("paymentintent", "delete_selected"): Act(
        does="clerk", row=lambda world: world.draft.pk, changes=True, data={"post": "yes"}
    ),
    ("webhookevent", "process_again"): Act(does="manager", row=lambda world: world.event.pk, changes=True),
}

"""The buttons on an invoice's page: exactly what can be done now, and why the rest can't."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import url
from truss_portal.models import PaymentIntent

pytestmark = pytest.mark.django_db
ALL = {"send", "link", "amend", "resend", "refresh", "duplicate", "cancel", "delete"}
PERMISSIONS = {
    "send": "send_paymentintent",
    "link": "link_paymentintent",
    "amend": "amend_paymentintent",
    "resend": "resend_paymentintent",
    "refresh": "refresh_paymentintent",
    "duplicate": "add_paymentintent",
    "cancel": "cancel_paymentintent",
    "delete": "delete_paymentintent",
}


def doing(client: Client, intent: PaymentIntent) -> tuple[list[str], dict[str, str]]:
    """What can be done, in order; and what can't, with the reason."""
    shown = client.get(url("paymentintent_change", intent.pk)).context["doing"]
    return [each.name for each in shown.now], {each.name: each.why_not for each in shown.not_now}


@pytest.mark.parametrize(
    ("columns", "now", "not_now"),
    [
        (
            {"uid": None, "delivery": "unsent", "status": ""},
            ["send", "duplicate", "delete"],
            {"amend": "It isn't at Truss yet: rewrite it below.", "refresh": "Not sent to Truss yet"},
        ),
        (
            {"uid": None, "delivery": "failed", "status": ""},
            ["send", "duplicate"],
            {"delete": "Truss has been asked to take it: only drafts that were never sent are deleted."},
        ),
        (
            {"uid": None, "delivery": "unconfirmed", "status": ""},
            ["duplicate"],
            {"send": "Sent already, and Truss's answer was lost", "amend": "It is on its way"},
        ),
        (
            {},
            ["link", "amend", "resend", "refresh", "duplicate", "cancel"],
            {"send": "Sent already.", "delete": "It is at Truss: only drafts are deleted."},
        ),
        (
            {"status": "PartiallyPaid", "balance_paid": "20.00"},
            ["link", "amend", "resend", "refresh", "duplicate"],
            {"cancel": "Invoice INV-9 has a payment, or isn't unpaid"},
        ),
        (
            {"status": "Paid", "balance_paid": "120.00"},
            ["amend", "refresh", "duplicate"],
            {"link": "Invoice INV-9 is already paid.", "resend": "Invoice INV-9 is paid"},
        ),
        (
            {"missing_since": timezone.now()},
            ["refresh", "duplicate"],
            {"amend": "No longer found at Truss.", "link": "Invoice INV-9 is no longer found at Truss."},
        ),
        (
            {"discovered": True},
            ["link", "amend", "resend", "refresh", "duplicate", "cancel"],
            {"send": "Made at Truss"},
        ),
    ],
)
def test_what_can_be_done_and_why_the_rest_cannot(
    boss: Client, columns: dict[str, Any], now: list[str], not_now: dict[str, str]
) -> None:
    intent = make.row(reference="INV-9", addenda="Rent", **columns)
    can, cannot = doing(boss, intent)
    assert can == now
    assert {*can, *cannot} == ALL
    assert all(cannot.values())
    for name, reason in not_now.items():
        assert cannot[name].startswith(reason)


def test_a_button_that_cannot_be_used_is_there_and_says_why_in_plain_text(boss: Client) -> None:
    intent = make.row(reference="INV-9", status="Paid")
    content = boss.get(url("paymentintent_change", intent.pk)).content.decode()
    button = 'class="truss-button" aria-disabled="true" aria-describedby="truss-why-link">Copy link</button>'
    assert button in content
    assert '<span id="truss-why-link">Invoice INV-9 is already paid.</span>' in content


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_needs_its_own_permission_and_no_other_shows_it(signed_in: SignIn, name: str) -> None:
    draft, sent = make.row(uid=None, delivery="unsent", status=""), make.row()
    person = signed_in("view_paymentintent", PERMISSIONS[name])
    for intent in (draft, sent):
        can, cannot = doing(person, intent)
        assert {*can, *cannot} == {name}


def test_who_may_only_look_is_offered_nothing(signed_in: SignIn) -> None:
    viewer = signed_in("view_paymentintent")
    intent = make.row()
    assert doing(viewer, intent) == ([], {})
    assert b"truss-doing" not in viewer.get(url("paymentintent_change", intent.pk)).content


def test_what_most_people_come_for_stands_first_and_stands_out(boss: Client) -> None:
    draft, sent = make.row(uid=None, delivery="unsent", status=""), make.row()
    for intent, first in ((draft, "Send to Truss"), (sent, "Copy link")):
        content = boss.get(url("paymentintent_change", intent.pk)).content.decode()
        assert content.count("truss-first") == 1
        assert content.index("truss-first") < content.index(first) < content.index("Duplicate")


def test_a_draft_has_one_way_to_be_deleted(boss: Client) -> None:
    draft = make.row(uid=None, delivery="unsent", status="")
    content = boss.get(url("paymentintent_change", draft.pk)).content.decode()
    assert content.count(url("paymentintent_delete", draft.pk)) == 1

"""The scene with webhooks: Truss tells the site, and somebody else pretends to be Truss."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from example_project.demo import seed
from example_project.demo.stage import Stage, invoice_of, is_paid, truss_portal_settings
from example_project.orders.invoicing import send_invoice
from example_project.orders.models import Order
from truss_portal.models import Company, WebhookEvent


def truss_tells_the_site(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Truss tells the site")
    order, untouched = (seed.order_again(stage.samples[which]) for which in (3, 6))
    for invoiced in (order, untouched):
        send_invoice(invoiced)
    with truss_portal_settings(WEBHOOK_SECRETS=[stage.sandbox.webhook_secret]):
        stage.sandbox.webhooks(to=stage.url("truss_portal:webhook", invoice_of(order).company.slug))
        try:
            _paid_and_told(stage, order)
            _forged(stage, untouched)
        finally:
            stage.sandbox.webhooks(to=None)
    narrator.look(stage.in_admin(order), ("webhooks", stage.url("admin:truss_portal_webhookevent_changelist")))


def _paid_and_told(stage: Stage, order: Order) -> None:
    narrator = stage.narrator
    stage.sandbox.double_webhooks()
    stage.sandbox.pay(str(invoice_of(order).uid))
    stage.sandbox.wait_for_webhooks()
    stage.sandbox.double_webhooks(1)
    told = WebhookEvent.objects.filter(payment_intent_uid=invoice_of(order).uid)
    narrator.tell(
        f"{order.customer} pays order {order} from Truss's email. Truss posts signed webhooks to the site, each twice. "
        "The site takes none of them at its word: it looks at Truss."
    )
    names = sorted(told.values_list("event_name", flat=True))
    narrator.proof("Each event is kept once, however often it came.", len(names) == len(set(names)) > 0, names)
    narrator.proof("All are processed.", not told.filter(processed_at=None).exists())
    narrator.proof("The order is marked paid: nobody came back, and no cron ran.", is_paid(order))


def _forged(stage: Stage, order: Order) -> None:
    narrator = stage.narrator
    kept = WebhookEvent.objects.count()
    refused = _refused()
    with _refusals_unlogged():
        for kind in ("unsigned", "wrong_secret", "old", "changed_body"):
            stage.sandbox.forge_webhook(kind, uid=invoice_of(order).uid)
        stage.sandbox.wait_for_webhooks()
    narrator.tell(
        f"Somebody pretends to be Truss and says that order {order} is paid: without a signature, with a wrong one, "
        "with one of yesterday, and with another text under a right one."
    )
    narrator.proof("All four are refused, and counted for people to see.", _refused() == refused + 4, _refused())
    narrator.proof("Nothing of them is kept.", WebhookEvent.objects.count() == kept)
    narrator.proof("The order isn't marked paid.", not is_paid(order))


@contextmanager
def _refusals_unlogged() -> Iterator[None]:
    """Django logs each as a security error, as it should: here they are part of the story."""
    logger = logging.getLogger("django.security.WebhookRefusedError")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


def _refused() -> int:
    return sum(Company.objects.values_list("webhooks_refused", flat=True))

"""One invoice's way, by people who read Spanish: what they click, hear and copy."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import make
from tests.browser.conftest import PASSWORD, USERNAME, LiveSite
from tests.browser.test_admin import clipboard
from truss_portal import sync
from truss_portal.models import PaymentIntent

pytestmark = pytest.mark.browser


@pytest.fixture
def spanish(settings: Any) -> None:
    settings.LANGUAGE_CODE = "es"


def sign_in(site: LiveSite, page: Page, django_user_model: Any) -> None:
    django_user_model.objects.create_superuser(USERNAME, "finance@site.test", PASSWORD)
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Nombre de usuario").fill(USERNAME)
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Iniciar sesión").click()
    page.wait_for_url(f"{site.url}/admin/")


def test_an_invoice_is_written_sent_copied_and_paid(
    spanish: None, live_site: LiveSite, page: Page, django_user_model: Any
) -> None:
    make.draft()  # its payer is chosen below
    sign_in(live_site, page, django_user_model)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/add/")
    page.locator(".select2-selection").first.click()
    page.locator(".select2-search__field").fill("acm")
    page.get_by_role("option", name="Acme (ap@acme.test)").click()
    page.get_by_label("Importe:").fill("1234.50")
    page.get_by_label("Descripción:").fill("Obra 9")
    page.locator("[name=_save]").click()
    expect(page.locator(".messagelist .success")).to_contain_text("Obra 9")
    intent = PaymentIntent.objects.get(addenda="Obra 9")

    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/{intent.pk}/change/")
    page.get_by_role("link", name="Enviar a Truss", exact=True).click()
    expect(page.get_by_text("Se envía a Truss 1 factura por $1,234.50.")).to_be_visible()
    page.get_by_role("button", name="Enviar a Truss").click()
    expect(page.get_by_text("Se envió 1 factura a Truss.")).to_be_visible()

    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/")
    row = page.get_by_role("row").filter(has_text="Obra 9")
    expect(row).to_contain_text("$1,234.50")
    expect(row).to_contain_text("Por pagar")
    row.get_by_role("button", name="Copiar enlace").click()
    expect(row.locator("[data-truss-copy]")).to_have_text("Copiado")
    expect(page.locator("#truss-copy-status")).to_contain_text("Copiado al portapapeles:")
    intent.refresh_from_db()
    assert clipboard(page) == intent.checkout_url()

    live_site.truss.pay(intent.uid, "1000.00")
    sync.refresh(intent)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/{intent.pk}/change/")
    payments = page.get_by_role("region", name="Pagos")
    expect(payments).to_contain_text("$1,000.00")
    happened = page.get_by_role("region", name="Qué pasó")
    expect(happened).to_contain_text("Pago recibido")
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/overview/")
    expect(page.get_by_role("heading", name="Resumen de Truss")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.locator("[data-truss-chart=weeks] canvas")).to_be_visible()

"""Messages that the real Truss would send. They are kept, for people and tests to read, and go nowhere."""

from truss_portal.sandbox.models import Company, Mail, PaymentIntent


def notify(intent: PaymentIntent, checkout_url: str, *, email: bool, sms: bool) -> None:
    """The invoice notification: by email to both of the contact's addresses, by text message to its phone."""
    contact, company = intent.contact, intent.company
    subject = f"{company.name} sent you an invoice: {intent.addenda}"
    body = f"{company.name} asks you for ${intent.remaining:,.2f}: {intent.addenda}"
    if intent.due_date:
        body += f", due {intent.due_date:%Y-%m-%d}"
    if intent.note:
        body += f"\n\n{intent.note}"
    recipients = [("email", address) for address in (contact.email, contact.secondary_email) if email and address]
    if sms and contact.phone:
        recipients.append(("sms", contact.phone))
    Mail.objects.bulk_create(
        Mail(company=company, kind=kind, to=to, subject=subject[:255], body=body, link=checkout_url)
        for kind, to in recipients
    )


def send_code(company: Company, email: str, code: str) -> None:
    Mail.objects.create(
        company=company,
        to=email,
        subject=f"{code} is your code for {company.name}"[:255],
        body=f"Enter {code} to see your invoices from {company.name}. It is good for ten minutes.",
        code=code,
    )

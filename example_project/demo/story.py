"""The story, scene by scene."""

from typing import Final

from example_project.demo import agreeing, hearing, inviting, losing, paying, selling
from example_project.demo.stage import Stage

SCENES: Final = (
    selling.orders_come_in,
    selling.invoices_go_out,
    selling.two_customers_have_one_name,
    paying.a_customer_pays,
    paying.a_customer_pays_a_part,
    paying.a_second_address_pays,
    paying.a_stranger_is_stopped,
    paying.a_forged_return_proves_nothing,
    losing.an_answer_is_lost,
    losing.a_request_is_lost,
    hearing.truss_tells_the_site,
    paying.many_pay_and_close_the_browser,
    paying.the_bank_takes_a_payment_back,
    selling.an_invoice_is_canceled,
    agreeing.both_sides_agree,
    inviting.merchants_are_invited,
)


def tell(stage: Stage) -> None:
    for scene in SCENES:
        scene(stage)

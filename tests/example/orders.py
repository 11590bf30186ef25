from example_project.demo import seed
from example_project.orders.models import Order


def ordered(number: str) -> Order:
    """That order of the file, placed in the shop."""
    seed.place(sample for sample in seed.read_orders() if sample.number == number)
    return Order.objects.get(number=number)

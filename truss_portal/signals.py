"""What the site's own code can listen to.

Each is sent after the change is committed, at least once: a receiver must not mind being told twice. Arguments:
`sender` (PaymentIntent), `payment_intent`, and `entry`, the TimelineEntry that tells what happened
(`entry.data["amount"]` and so on). A receiver that raises is logged, stops no other, and gets the entry again.
"""

from django.dispatch import Signal

# The invoice is at Truss.
payment_intent_sent = Signal()
# A payment came in. entry.data: transaction (uid), amount, payment_method.
payment_received = Signal()
# Truss says that the invoice is paid in full. It can become unpaid again: see payment_returned.
payment_intent_paid = Signal()
payment_intent_canceled = Signal()
# A payment was taken back (returned or refunded). entry.data: transaction (uid), amount, payment_method.
payment_returned = Signal()
# A payer came back from Truss. entry.data: result, what the address claimed; it proves nothing.
payer_returned = Signal()

"""Harbor Street Supply: a small wholesaler that sells on invoice and is paid through Truss.

`orders/` is the shop and shows all that a site needs to write; `demo/` tells the whole story against the sandbox.
"""

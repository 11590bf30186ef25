"""A pretend Truss: its API, its token endpoint and the payer's hosted portal, for development, demos and tests.

No money moves and nothing leaves this machine. It imports nothing else of `truss_portal`, so that it can't share a
mistake with the client that is tested against it.
"""

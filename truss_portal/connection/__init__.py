"""A company's settings and tokens → a ready client.

companies   which companies there are, and what Truss tells of them
clients     connect: a client that speaks for one of them
tokens      the access token of a connected company, kept good
joining     how a company gets connected: agree at Truss, come back, reconnect, disconnect
"""

from .clients import connect
from .companies import DEFAULT_SLUG, companies, default_company, learn_company

__all__ = ["DEFAULT_SLUG", "companies", "connect", "default_company", "learn_company"]

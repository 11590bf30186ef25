"""Be paid through Truss from a Django site: invoices, checkout links, returns, and a mirror that stays true."""

__version__ = "0.1.0"

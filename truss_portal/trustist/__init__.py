"""Inviting merchants to Trustist, and keeping their keys: an optional app beside `truss_portal`."""

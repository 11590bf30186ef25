"""We also play Trustist: its partner API, its partner webhooks, and the clients who are invited.

Published: https://trustisttransfer.com/docs/partner-api/ and https://trustisttransfer.com/docs/partner-webhooks/. Where
nothing is published this does something plausible, or either of two things, by a switch of the partner's.
"""

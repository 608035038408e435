"""Receipts in the standard form: in-toto statements in signed DSSE envelopes."""

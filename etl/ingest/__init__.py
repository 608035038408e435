"""Bytes of evidence become records, or skipped lines with their reason."""

"""Rows of a relation become files, which are read back and judged."""

"""Answers questions about a root: what is published, and whether a run would work."""

"""Exports for trainers: the files and their receipt, and how they get into their place."""

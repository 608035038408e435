"""The stages, and a run of them from plan to publication."""

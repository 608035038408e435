"""Questions about a published root."""

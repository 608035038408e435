"""The third layer of the firewall: what was written is read back from disk, compared and judged again."""

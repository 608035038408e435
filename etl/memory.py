"""How much memory the process may take, and how much of it the engine."""

import os
import re
from pathlib import Path

#: What is kept from the engine for Python, for lines and batches on their way between the threads, and for what allocators
#: keep, in bytes. They may take more for a while; a larger part would leave the engine too little to sort what a run of
#: millions of lines sorts at once (docs/performance.md).
OTHERS = 1_000_000_000

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SIZE = re.compile(r"^([0-9]+(?:\.[0-9]+)?) ?([KMGT])(i?)B$")


def engine_limit(memory_limit: str | None) -> int:
    """Return the bytes that the engine may take, under the setting ``memory_limit``: half of the machine's unless given."""
    limit = machine_memory() // 2 if memory_limit is None else _bytes_of(memory_limit)
    return max(limit - OTHERS, limit // 2)


def machine_memory() -> int:
    """Return the bytes of memory that this process can have: the machine's, or its control group's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is no group, or its limit is the word max
        return machine


def _bytes_of(size: str) -> int:
    match = _SIZE.match(size)
    assert match, "settings have seen to it"
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("KMGT".index(unit) + 1))

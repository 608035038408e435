"""How much memory the process may take, how much of it the engine, and that what was freed is used again."""

import ctypes
import os
from pathlib import Path

#: What is kept from the engine for Python, for lines and batches on their way between the threads, and for what allocators
#: keep, in bytes. They may take more for a while; a larger part would leave the engine too little to sort what a run of
#: millions of lines sorts at once (docs/performance.md).
OTHERS = 1_000_000_000

#: From this limit on, in bytes, a stage is proven while the next one runs: both at once take up to 0.35 GB more than one after
#: the other (docs/performance.md), for which a small limit has no room.
ROOM_FOR_TWO = 4_000_000_000

#: The part of its memory that the engine keeps for its blocks once it had it, instead of having it mapped anew each time.
KEPT_PART = 4

#: Parameters of the C library's allocator, as its header numbers them, and what they are set to.
_KEEP = {
    -8: 1,  # M_ARENA_MAX: what one thread has freed, another one uses
    -3: 1 << 30,  # M_MMAP_THRESHOLD: no block below a gigabyte is mapped by itself, and unmapped when it is freed
    -1: 1 << 30,  # M_TRIM_THRESHOLD: nor is less than that at the end returned; the engine has it returned now and then
}

#: What the engine's own allocator, jemalloc, reads when it is loaded: no memory is returned, however long it lies free.
_ENGINE_OPTIONS = ("DUCKDB_JE_MALLOC_CONF", "dirty_decay_ms:-1,muzzy_decay_ms:-1")

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def engine_limit(memory_limit: str | None) -> int:
    """Return the bytes that the engine may take, under the setting ``memory_limit``: half of the machine's unless given."""
    limit = process_limit(memory_limit)
    return max(limit - OTHERS, limit // 2)


def process_limit(memory_limit: str | None) -> int:
    """Return the bytes that the whole process may take, under the setting ``memory_limit``."""
    if memory_limit is None:
        return machine_memory() // 2
    from pydantic import ByteSize, TypeAdapter

    return TypeAdapter(ByteSize).validate_python(memory_limit)


def keep_freed_memory() -> None:
    """Have the process use its freed memory again instead of returning it: the kernel takes microseconds for each new page.

    It is for the whole process, and must come before the engine is loaded to be heard by its allocator too; an option that
    the user gave that allocator stays. Does less where the C library is not glibc.
    """
    os.environ.setdefault(*_ENGINE_OPTIONS)
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in _KEEP.items():
        set_option(parameter, value)


def machine_memory() -> int:
    """Return the bytes of memory that this process can have: the machine's, or its control group's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is no group, or its limit is the word max
        return machine

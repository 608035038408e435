"""How much memory the process and its engine may take; and that the process uses freed memory again."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

#: The bytes that are kept from the engine: for Python, for lines and batches on their way between threads, and for what
#: allocators keep. These may take more for a while; to keep more would leave the engine too little for what a run of millions
#: of lines sorts at once (docs/performance.md).
OTHERS = 1_000_000_000

#: Under a limit of at least so many bytes, a stage is proven while the next one runs: both at once take up to 0.35 GB more than
#: one after the other (docs/performance.md).
ROOM_FOR_TWO = 4_000_000_000

#: A thread that fetches, validates and writes rows, or reads them back, takes no more than so many bytes at once, about.
ROOM_OF_WORKER = 1_000_000_000

#: The engine keeps one part of so many of its memory for its blocks, instead of having it mapped anew each time.
KEPT_PART = 4

#: Parameters of the C library's allocator, as its header numbers them, and what they are set to.
_KEEP = {
    -8: 1,  # M_ARENA_MAX: one thread uses what another has freed
    -3: 1 << 30,  # M_MMAP_THRESHOLD: only blocks of a gigabyte or more are mapped one by one, and unmapped when freed
    -1: 1 << 30,  # M_TRIM_THRESHOLD: less free memory at the end is kept; the engine has it returned now and then
}

#: What the engine's own allocator, jemalloc, reads when it is loaded: it returns no memory, however long that lies free.
_ENGINE_OPTIONS = ("DUCKDB_JE_MALLOC_CONF", "dirty_decay_ms:-1,muzzy_decay_ms:-1")

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def engine_limit(memory_limit: str | None) -> int:
    """Return the bytes that the engine may take under the setting ``memory_limit``: at least half of what the process may."""
    limit = process_limit(memory_limit)
    return max(limit - OTHERS, limit // 2)


def process_limit(memory_limit: str | None) -> int:
    """Return the bytes that the whole process may take under the setting ``memory_limit``; null: half of the machine's."""
    if memory_limit is None:
        return machine_memory() // 2
    from pydantic import ByteSize, TypeAdapter

    return TypeAdapter(ByteSize).validate_python(memory_limit)


def workers_within(memory_limit: str | None, threads: int | None) -> int:
    """Return how many threads may hold rows at once: as the setting ``threads`` says, or a core each; and a gigabyte each."""
    return max(1, min(threads or os.cpu_count() or 1, process_limit(memory_limit) // ROOM_OF_WORKER))


def keep_freed_memory() -> None:
    """Let the process use its freed memory again instead of returning it: the kernel takes microseconds for each new page.

    Call it before the engine is loaded, whose allocator reads its options then; an option that the user has set stays. Where
    the C library is not glibc, only the engine's allocator keeps its memory.
    """
    os.environ.setdefault(*_ENGINE_OPTIONS)
    for parameter, value in _KEEP.items():
        _call_allocator("mallopt", parameter, value)


def trim_memory() -> None:
    """Return the memory that the C library keeps to the machine once, in spite of ``keep_freed_memory``."""
    _call_allocator("malloc_trim", 0)


def _call_allocator(function: str, *arguments: int) -> None:
    """Call a function of glibc's allocator; nothing happens where the C library has none of this name."""
    with suppress(OSError, AttributeError):
        getattr(ctypes.CDLL(None), function)(*arguments)


def machine_memory() -> int:
    """Return the bytes of memory that the machine has, or this process's control group where that has less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is no group, or its limit is the word max
        return machine

"""What was measured, in results.json beside this file: one section for each script, and the machine it ran on."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
PACKAGES = ("duckdb", "polars", "pyarrow", "orjson", "pandas", "datasets", "datatrove")


def load() -> dict[str, Any]:
    """Return what was measured so far."""
    if not FILE.exists():
        return {}
    found: dict[str, Any] = json.loads(FILE.read_bytes())
    return found


def record(section: str, measured: Any) -> None:
    """Write a section anew and keep the others."""
    FILE.write_text(
        json.dumps(load() | {section: {"machine": machine()} | measured}, indent=2) + "\n", encoding="utf-8"
    )


def machine() -> dict[str, Any]:
    """Return what decides speed, and nothing that names the machine."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""Keeps the measurements in results.json beside this file: one section for each script, with the machine it ran on."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
PACKAGES = ("duckdb", "polars", "pyarrow")


def load() -> dict[str, Any]:
    """Return all measurements so far."""
    if not FILE.exists():
        return {}
    found: dict[str, Any] = json.loads(FILE.read_bytes())
    return found


def record(section: str, measured: Any) -> None:
    """Replace one section and keep the others."""
    FILE.write_text(json.dumps(load() | {section: {"machine": machine()} | measured}, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what decides the machine's speed, and nothing that identifies the machine."""
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

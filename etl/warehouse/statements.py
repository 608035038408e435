"""SQL that belongs to one module and stands beside it, out of an overlay's reach."""

from functools import cache
from pathlib import Path


@cache
def read_sql(module: str, name: str) -> str:
    """Return the text of ``name.sql`` in the folder of a module, which gives its ``__file__``."""
    return Path(module).with_name(f"{name}.sql").read_text(encoding="utf-8")

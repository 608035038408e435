"""Values of any type, as DuckDB and documents hold them, as JSON text."""

import json
import math
from datetime import date, time
from decimal import Decimal
from typing import Any


def to_json(document: Any) -> str:
    """Return a document as indented JSON that any parser takes: what JSON cannot hold becomes text, or null."""
    text = json.dumps(plain(document), ensure_ascii=False, allow_nan=False, indent=2)
    return text.encode("utf-8", "backslashreplace").decode()


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line per kind of value
    """Return a value of DuckDB as JSON can hold it; what has no form in JSON becomes text, what is no number becomes null."""
    match value:
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case Decimal():
            return float(value) if Decimal(repr(float(value))) == value else str(value)
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def distinct_names(names: list[str]) -> list[str]:
    """Return names of which none stands twice: the second ``n`` is ``n_1``."""
    distinct: list[str] = []
    for name in names:
        new, place = name, 0
        while new in distinct:
            place += 1
            new = f"{name}_{place}"
        distinct.append(new)
    return distinct

"""A user's own SQL, asked of the published warehouse."""

from decimal import Decimal
from typing import Any

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.base.signals import interrupting, run_stoppable
from etl.warehouse.read_only import PublishedWarehouse


def query(project: Project, statements: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and the rows of the last statement. A signal stops it.

    Raises UsageError where there is no warehouse of this version, where a statement fails, or where it is not UTF-8.
    """
    try:
        statements.encode()
    except UnicodeEncodeError as error:
        byte = ord(statements[error.start]) & 0xFF
        wrong = f"the byte 0x{byte:02x} at character {error.start + 1:,} is not UTF-8"
        raise UsageError(f"The query failed: {wrong}; write the query in UTF-8.") from None

    def ask() -> tuple[list[str], list[tuple[Any, ...]]]:
        with PublishedWarehouse.open(project.warehouse) as warehouse, interrupting(warehouse.interrupt):
            return warehouse.query(statements)

    return run_stoppable(ask)


def as_json_holds(value: Any) -> Any:
    """Return a value of a row as JSON holds it: bytes become text, and a decimal a number if that number is exact.

    All other values (times, intervals, ids) are left to ``pydantic_core.to_json``, which has one spelling for each.
    """
    match value:
        case dict():
            return {key: as_json_holds(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json_holds(item) for item in value]
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case Decimal() if Decimal(repr(float(value))) == value:
            return float(value)
        case _:
            return value

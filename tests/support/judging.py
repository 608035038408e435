"""What the judge of items says, without what it read."""

from etl.ingest.formats.strict_json import Refusal, read_object


def judge(item: bytes, max_depth: int, max_values: int) -> Refusal | None:
    """Return why an item that is not blank is refused, or None if it is one JSON object."""
    found = read_object(item, max_depth, max_values)
    return found if isinstance(found, Refusal) else None

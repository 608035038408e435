"""Evidence by example: what holds for every source, and a summary of what was skipped."""

from conftest import set_settings
from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_incoming(warehouse: Warehouse) -> None:
    """Times become UTC; the problem that the mapping found comes before those of the checks here."""
    given(warehouse, "raw.mapped", """
        source_path  | item_number | source_class | task_id | created_at                | problem
        builds.jsonl | 1           | telemetry    | build-1 | 2026-03-01T10:00:00+01:00 |
        builds.jsonl | 2           | telemetry    | build-2 | 2026-03-01                |
        builds.jsonl | 3           | telemetry    | build-3 | yesterday                 |
        builds.jsonl | 4           | telemetry    |         |                           | bad_log
        builds.jsonl | 5           | telemetry    | build-5 |                           | bad_log
    """)
    gives(warehouse, "evidence.incoming", """
        item_number | task_id | created_at          | problem
        1           | build-1 | 2026-03-01 09:00:00 |
        2           | build-2 | 2026-03-01 00:00:00 |
        3           | build-3 |                     | bad_created_at
        4           |         |                     | bad_log
        5           | build-5 |                     | bad_log
    """)


def test_record(warehouse: Warehouse) -> None:
    """A long text lies in pieces, which the view joins in their order; other texts lie with their record."""
    given(warehouse, "evidence.record", """
        record_key | prompt | response
        1          | Why?   | Because.
        2          |        |
    """)
    given(warehouse, "evidence.long_text", """
        record_key | field    | chunk_number | chunk
        2          | response | 2            | of all.
        2          | prompt   | 1            | Where?
        2          | response | 1            | In the middle-
    """)
    gives(warehouse, "evidence.record", """
        record_key | prompt | response
        1          | Why?   | Because.
        2          | Where? | In the middle-of all.
    """)


def test_part(warehouse: Warehouse) -> None:
    """A large file is cut on its own; a file that is too small for a part belongs to the large one behind it."""
    set_settings(warehouse, part_items=10)
    given(warehouse, "evidence.record", """
        source_path    | item_number
        a/little.jsonl | 1
        a/steps.jsonl  | 1
        a/steps.jsonl  | 2
        a/steps.jsonl  | 3
        a/steps.jsonl  | 4
        a/steps.jsonl  | 16
        a/steps.jsonl  | 17
    """)
    gives(warehouse, "evidence.part", """
        source_path    | block | part
        a/little.jsonl | 0     | 1
        a/steps.jsonl  | 0     | 1
        a/steps.jsonl  | 1     | 2
    """)


def test_skipped_summary(warehouse: Warehouse) -> None:
    """Lines are counted by source and reason; places are ordered as text, so line 10 comes before line 9."""
    given(warehouse, "evidence.skipped", """
        source   | source_path    | item_number | reason
        outcomes | outcomes.jsonl | 9           | malformed_json
        outcomes | outcomes.jsonl | 10          | malformed_json
        outcomes | outcomes.jsonl | 11          | missing_task_id
    """)
    gives(warehouse, "evidence.skipped_summary", """
        source   | reason          | lines | first_at
        outcomes | malformed_json  | 2     | outcomes.jsonl:10
        outcomes | missing_task_id | 1     | outcomes.jsonl:11
    """)

"""Scoring by example: records, and what is said of each."""

from conftest import set_settings
from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_eligibility(warehouse: Warehouse) -> None:
    """A record has a row for each of its defects; of two identical lines only the later one is repeated."""
    set_settings(warehouse, known_paths_sha256="0" * 64)
    given(warehouse, "policy.known_path", """
        path
        src/a.py
    """)
    given(warehouse, "evidence.record", """
        record_key | item_number | evidence_id | run_id | prompt  | response | cited_paths
        1          | 1           | aa          | run-1  | Fix it. | Fixed.   | ["src/a.py"]
        2          | 2           | bb          |        | Fix it. |          | ["src/a.py", "src/b.py", "../c.py"]
        3          | 3           | aa          | run-1  | Fix it. | Fixed.   | ["src/a.py"]
    """)
    gives(warehouse, "scored.eligibility", """
        record_key | defect            | detail
        2          | absent_path       | cited_paths[2], cited_paths[3]
        2          | empty_response    | response
        2          | missing_run_id    | run_id
        3          | repeated_evidence | first at evidence.jsonl:1
    """)


def test_run(warehouse: Warehouse) -> None:
    """The first rule that has a signal decides, and reasons names all signals; an extraction takes the category of its task."""
    given(warehouse, "evidence.record", """
        item_number | source_class | task_id | verdict | score | human_override
        1           | verdict      | task-1  | approve | 0.2   |
        2           | verdict      | task-2  | approve |       | rejected
        3           | telemetry    | task-2  |         |       |
        4           | extraction   | task-1  |         |       |
        5           | extraction   | task-3  |         |       |
    """)
    gives(warehouse, "scored.run", """
        item_number | category           | rule           | reasons
        1           | accepted           | verdict        | ["verdict: approve", "score: 0.2"]
        2           | rejected           | human_override | ["human_override: rejected", "verdict: approve"]
        3           | needs_human_review | no_signal      | []
        4           | accepted           | parent         | ["parent: accepted"]
        5           | needs_human_review | parent         | ["parent: none"]
    """)


def test_signal(warehouse: Warehouse) -> None:
    """Each rule gives the category that it would give alone, and null where it has nothing to judge."""
    given(warehouse, "evidence.record", """
        item_number | verdict | score | success_markers
        1           | Approve | 0.4   |
        2           | shrug   |       | ["tested"]
        3           |         | 95    |
        4           |         |       | []
    """)
    gives(warehouse, "scored.signal", """
        item_number | by_verdict         | by_score           | by_markers | reasons
        1           | accepted           | rejected           |            | ["verdict: approve", "score: 0.4"]
        2           | needs_human_review |                    | accepted   | ["verdict: shrug", "success: tested"]
        3           |                    | needs_human_review |            | ["score: 95.0"]
        4           |                    |                    |            | []
    """)


def test_unknown_verdict(warehouse: Warehouse) -> None:
    """Words that policy.verdict does not list are counted, in whatever case they are spelled."""
    given(warehouse, "evidence.record", """
        item_number | source  | verdict
        1           | reviews | shrug
        2           | reviews | SHRUG
        3           | reviews | approve
        4           | audits  | shrug
        5           | audits  |
    """)
    gives(warehouse, "scored.unknown_verdict", """
        source  | verdict | records
        audits  | shrug   | 1
        reviews | shrug   | 2
    """)


def test_task_verdict(warehouse: Warehouse) -> None:
    """A task has a category where the records of class verdict agree; records of other classes do not count."""
    given(warehouse, "evidence.record", """
        source_class | task_id  | verdict | score
        verdict      | agreed   | approve |
        verdict      | agreed   |         | 0.95
        verdict      | disputed | approve |
        verdict      | disputed | reject  |
        telemetry    | agreed   | reject  |
        telemetry    | unjudged | approve |
    """)
    gives(warehouse, "scored.task_verdict", """
        task_id  | category | verdicts
        agreed   | accepted | 2
        disputed |          | 2
    """)

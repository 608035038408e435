"""Scoring by example: records, and what is said of each."""

from conftest import set_settings
from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_attempt_override(warehouse: Warehouse) -> None:
    """The newest time replaces older ones; of it and of those without a time the lowest category holds."""
    given(warehouse, "evidence.record", """
        run_id | created_at | human_override
        run-1  | 2026-01-01 | rejected
        run-1  | 2026-01-02 | accepted
        run-2  | 2026-01-02 | accepted
        run-2  |            | needs_human_review
        run-3  | 2026-01-02 | accepted
        run-3  | 2026-01-02 | partially_accepted
        run-4  | 2026-01-02 |
    """)
    gives(warehouse, "scored.attempt_override", """
        run_id | category           | reasons
        run-1  | accepted           | ["human_override: accepted", "human_override: rejected"]
        run-2  | needs_human_review | ["human_override: accepted", "human_override: needs_human_review"]
        run-3  | partially_accepted | ["human_override: accepted", "human_override: partially_accepted"]
    """)


def test_constant_response(warehouse: Warehouse) -> None:
    """A long response to more than max_prompts_per_response prompts counts; prompts that differ in white space are one."""
    set_settings(warehouse, max_prompts_per_response=2)
    given(warehouse, "evidence.record", """
        prompt    | response
        Fix it.   | I am sorry, but I cannot help with this.
        Test it.  | I am sorry, but I cannot help  with this.
        Ship it.  | I am sorry, but I cannot help with this.
        Fix it.   | This is long too, and it answers only two prompts.
        Fix  it.  | This is long too, and it answers only two prompts.
        Test it.  | This is long too, and it answers only two prompts.
        Fix it.   | Done.
        Test it.  | Done.
        Ship it.  | Done.
    """)
    gives(warehouse, "scored.constant_response", """
        prompts
        3
    """)


def test_rejection(warehouse: Warehouse) -> None:
    """What is rejected counts in its whole attempt and for equal contents of its task, save where a person accepted it."""
    given(warehouse, "evidence.record", """
        record_key | item_number | task_id | run_id | response | verdict | human_override
        1          | 1           | task-1  | run-1  | Fixed.   | accept  |
        2          | 2           | task-1  | run-2  | Fixed.   | reject  |
        3          | 3           | task-2  | run-1  | Fixed.   | accept  |
        4          | 4           | task-3  | run-1  | One.     | accept  |
        5          | 5           | task-3  | run-1  | Two.     | reject  |
        6          | 6           | task-1  | run-6  | Fixed.   | accept  | accepted
        7          | 7           | task-4  | run-7  | No.      |         | rejected
        8          | 8           | task-4  | run-8  | No.      |         | accepted
    """)
    gives(warehouse, "scored.rejection", """
        record_key | defect           | detail
        1          | rejected_content | its content is rejected at evidence.jsonl:2
        4          | rejected_attempt | its attempt is rejected at evidence.jsonl:5
        8          | rejected_content | its content is rejected at evidence.jsonl:7
    """)


def test_shared_content(warehouse: Warehouse) -> None:
    """Records share a content where their prompts and their responses are alike, whatever their white space."""
    given(warehouse, "evidence.record", """
        task_id | prompt   | response
        task-1  | Fix it.  | Fixed.
        task-2  | Fix  it. | Fixed.
        task-1  | Fix it.  | Not fixed.
    """)
    gives(warehouse, "scored.shared_content", """
        records
        2
    """)


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
    """The first rule that has a signal decides, and reasons names all signals. A person's word holds for the attempt."""
    given(warehouse, "evidence.record", """
        item_number | source_class | task_id | run_id | verdict | score | human_override | infrastructure_error
        1           | verdict      | task-1  | run-1  | approve | 0.2   |                |
        2           | verdict      | task-2  | run-2  | approve |       | rejected       |
        3           | telemetry    | task-2  | run-3  |         |       |                |
        4           | extraction   | task-1  | run-4  |         |       |                |
        5           | extraction   | task-3  | run-5  |         |       |                |
        6           | telemetry    | task-2  | run-2  |         | 0.9   |                |
        7           | telemetry    | task-3  | run-7  | fail    |       |                | out of disk
    """)
    gives(warehouse, "scored.run", """
        item_number | category           | rule                 | reasons
        1           | accepted           | verdict              | ["verdict: approve", "score: 0.2"]
        2           | rejected           | human_override       | ["human_override: rejected", "verdict: approve"]
        3           | needs_human_review | no_signal            | []
        4           | accepted           | parent               | ["parent: accepted"]
        5           | needs_human_review | parent               | ["parent: none"]
        6           | rejected           | human_override       | ["human_override: rejected", "score: 0.9"]
        7           | needs_human_review | infrastructure_error | ["infrastructure_error: out of disk", "verdict: fail"]
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

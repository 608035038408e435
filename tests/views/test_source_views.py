"""Mappings by example: lines of a source, and the columns of evidence.record that they become."""

from tables import given_lines, gives

from etl.warehouse.connection import Warehouse


def test_alpaca_eval(warehouse: Warehouse) -> None:
    """A preference from 1 to 2 is a score from 0 to 1; any other preference leaves the record without a score."""
    given_lines(warehouse, "alpaca_eval.jsonl", """
        {"generator_2": "model-a", "annotator": "judge", "instruction": "Name a prime.", "output_2": "7", "preference": 1.75}
        {"generator_2": "model-b", "annotator": "judge", "instruction": "Name a prime.", "output_2": "9", "preference": 0}
    """)
    gives(warehouse, "sources.alpaca_eval", """
        item_number | source_class | run_id        | model   | prompt        | response | score | problem
        1           | verdict      | model-a/judge | model-a | Name a prime. | 7        | 0.75  |
        2           | verdict      | model-b/judge | model-b | Name a prime. | 9        |       |
    """)


def test_audit_facts(warehouse: Warehouse) -> None:
    """The file that a fact is about is the only path that it cites; without a file there is none."""
    given_lines(warehouse, "audit_facts.jsonl", """
        {"task_id": "audit-1", "created_at": "2026-01-31", "fact": "Retries are bounded.", "file": "src/retry.py"}
        {"task_id": "audit-1", "created_at": "2026-01-31", "fact": "There is no cache."}
    """)
    gives(warehouse, "sources.audit_facts", """
        item_number | source_class | task_id | response             | file         | cited_paths
        1           | extraction   | audit-1 | Retries are bounded. | src/retry.py | ["src/retry.py"]
        2           | extraction   | audit-1 | There is no cache.   |              |
    """)


def test_distilled_config_hints(warehouse: Warehouse) -> None:
    """The hint is the response; paths that are not a list of texts are a problem."""
    given_lines(warehouse, "distilled_config_hints.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "Set the timeout to 30 s.", "cited_paths": ["app.toml"]}
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "Set the timeout to 60 s.", "cited_paths": "app.toml"}
    """)
    gives(warehouse, "sources.distilled_config_hints", """
        item_number | source_class | task_id | response                 | cited_paths  | problem
        1           | extraction   | task-1  | Set the timeout to 30 s. | ["app.toml"] |
        2           | extraction   | task-1  | Set the timeout to 60 s. | []           | bad_cited_paths
    """)


def test_distilled_facts(warehouse: Warehouse) -> None:
    """The fact is the response; where one field is missing and another is bad, the problem names the missing one."""
    given_lines(warehouse, "distilled_facts.jsonl", """
        {"run_id": "run-1", "task_id": "task-1", "created_at": "2026-01-31", "text": "Times are in UTC."}
        {"run_id": 7, "task_id": "task-1", "text": "Times are in UTC."}
    """)
    gives(warehouse, "sources.distilled_facts", """
        item_number | source_class | run_id | task_id | response          | problem
        1           | extraction   | run-1  | task-1  | Times are in UTC. |
        2           | extraction   | 7      | task-1  | Times are in UTC. | missing_created_at
    """)


def test_distilled_procedures(warehouse: Warehouse) -> None:
    """A procedure is the response, and need not cite a path; a blank task counts as missing."""
    given_lines(warehouse, "distilled_procedures.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "Run the migrations, then deploy.", "cited_paths": []}
        {"task_id": " ", "created_at": "2026-01-31", "text": "Deploy."}
    """)
    gives(warehouse, "sources.distilled_procedures", """
        item_number | source_class | response                         | cited_paths | problem
        1           | extraction   | Run the migrations, then deploy. | []          |
        2           | extraction   | Deploy.                          |             | missing_task_id
    """)


def test_evidence(warehouse: Warehouse) -> None:
    """Fields have the names of columns; messages may be an array or its text, but a score must not be text."""
    given_lines(warehouse, "evidence.jsonl", """
        {"source_class": "verdict", "task_id": "task-1", "verdict": "accept", "messages": [{"role": "user"}]}
        {"source_class": "experiment", "task_id": "task-1", "score": 0.75, "messages": "[{}]"}
        {"source_class": "experiment", "task_id": "task-1", "score": "0.75"}
        {"task_id": "task-1"}
    """)
    gives(warehouse, "sources.evidence", """
        item_number | source_class | verdict | score | messages          | problem
        1           | verdict      | accept  |       | [{"role":"user"}] |
        2           | experiment   |         | 0.75  | [{}]              |
        3           | experiment   |         |       |                   | bad_score
        4           |              |         |       |                   | missing_source_class
    """)


def test_mode_experiments(warehouse: Warehouse) -> None:
    """The grounded fraction is taken from validation_results, where it may be null."""
    given_lines(warehouse, "mode_experiments.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "response": "Fixed.",
         "validation_results": {"grounded_fraction": 0.85}}
        {"task_id": "task-1", "created_at": "2026-01-31", "response": "Done.",
         "validation_results": {"grounded_fraction": null}}
        {"task_id": "task-1", "created_at": "2026-01-31", "response": "Did it.", "validation_results": 0.85}
    """)
    gives(warehouse, "sources.mode_experiments", """
        item_number | source_class | response | grounded_fraction | problem
        1           | experiment   | Fixed.   | 0.85              |
        2           | experiment   | Done.    |                   |
        3           | experiment   | Did it.  |                   | bad_validation_results
    """)


def test_observer_escalations(warehouse: Warehouse) -> None:
    """The reason for which a task went to a person is a failure marker; a blank reason gives none."""
    given_lines(warehouse, "observer_escalations.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "The tests hang.", "reason": "no progress"}
        {"task_id": "task-2", "created_at": "2026-01-31", "text": "The tests hang.", "reason": ""}
    """)
    gives(warehouse, "sources.observer_escalations", """
        item_number | source_class | task_id | response        | failure_markers
        1           | extraction   | task-1  | The tests hang. | ["no progress"]
        2           | extraction   | task-2  | The tests hang. | []
    """)


def test_observer_reviews(warehouse: Warehouse) -> None:
    """The review is the response, and the verdict stays as the observer wrote it; a review that is not text is a problem."""
    given_lines(warehouse, "observer_reviews.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "review": "Try again.", "verdict": "cycle", "file": "src/a.py"}
        {"task_id": "task-1", "created_at": "2026-01-31", "review": ["Try again."], "verdict": "cycle"}
    """)
    gives(warehouse, "sources.observer_reviews", """
        item_number | source_class | file     | response       | verdict | problem
        1           | verdict      | src/a.py | Try again.     | cycle   |
        2           | verdict      |          | ["Try again."] | cycle   | bad_review
    """)


def test_outcomes(warehouse: Warehouse) -> None:
    """A count above zero gives a marker, and zero or no count gives none; a count must be a number."""
    given_lines(warehouse, "outcomes.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "ok_events": 3, "error_events": 0, "cost_usd": 0.02}
        {"task_id": "task-2", "created_at": "2026-01-31", "error_events": 2, "gap_signals": 1}
        {"task_id": "task-3", "created_at": "2026-01-31", "ok_events": "3"}
    """)
    gives(warehouse, "sources.outcomes", """
        item_number | source_class | task_id | success_markers | failure_markers                 | cost_usd | problem
        1           | telemetry    | task-1  | ["ok_events"]   | []                              | 0.02     |
        2           | telemetry    | task-2  | []              | ["error_events", "gap_signals"] |          |
        3           | telemetry    | task-3  | []              | []                              |          | bad_ok_events
    """)


def test_scrum_reviews(warehouse: Warehouse) -> None:
    """The review is the response; cited paths are taken over unchecked, but the time must not be blank."""
    given_lines(warehouse, "scrum_reviews.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "review": "Good.", "verdict": "approve", "cited_paths": ["../a.py"]}
        {"task_id": "task-1", "created_at": "", "review": "Bad.", "verdict": "reject"}
    """)
    gives(warehouse, "sources.scrum_reviews", """
        item_number | source_class | response | verdict | cited_paths | problem
        1           | verdict      | Good.    | approve | ["../a.py"] |
        2           | verdict      | Bad.     | reject  |             | missing_created_at
    """)


def test_tau_bench(warehouse: Warehouse) -> None:
    """The file's name gives model and domain; the response is the last text of the assistant, null where there is none."""
    given_lines(warehouse, "tau_bench/model-a-airline.jsonl", """
        {"task_id": 7, "trial": 0, "reward": 1.0, "info": {"task": {"instruction": "Cancel my flight."}},
         "traj": [{"role": "assistant", "content": "It is done."}, {"role": "user", "content": "Thanks."}]}
        {"task_id": 7, "trial": 1, "reward": 0.0, "info": {"task": {"instruction": "Cancel my flight."}},
         "traj": [{"role": "assistant", "content": null}, {"role": "user", "content": "Hello?"}]}
    """)
    gives(warehouse, "sources.tau_bench", """
        item_number | run_id              | task_id   | model   | prompt            | response    | score
        1           | model-a-airline/7/0 | airline/7 | model-a | Cancel my flight. | It is done. | 1.0
        2           | model-a-airline/7/1 | airline/7 | model-a | Cancel my flight. |             | 0.0
    """)

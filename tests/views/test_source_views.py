"""Mappings by example: lines of a source, and the columns of evidence.record that they become."""

from tables import maps

from etl.warehouse.connection import Warehouse


def test_alpaca_eval(warehouse: Warehouse) -> None:
    """A preference from 1 to 2 gives both outputs a score; any other preference is no grade. Without output_1 there is one row."""
    maps(warehouse, "alpaca_eval.jsonl", """
        {"generator_1": "model-a", "generator_2": "model-b", "annotator": "judge", "instruction": "Name a prime.",
         "output_1": "7", "output_2": "11", "preference": 1.75}
        {"generator_2": "model-b", "annotator": "judge", "instruction": "Name a prime.", "output_2": "9", "preference": 0}
    """, """
        item_number | record_number | source_class | run_id        | model   | prompt        | response | score
        1           | 1             | verdict      | model-a/judge | model-a | Name a prime. | 7        | 0.25
        1           | 2             | verdict      | model-b/judge | model-b | Name a prime. | 11       | 0.75
        2           | 2             | verdict      | model-b/judge | model-b | Name a prime. | 9        |
    """)


def test_audit_facts(warehouse: Warehouse) -> None:
    """The file that a fact is about is the only path that it cites; without a file there is none."""
    maps(warehouse, "audit_facts.jsonl", """
        {"task_id": "audit-1", "created_at": "2026-01-31", "fact": "Retries are bounded.", "file": "src/retry.py"}
        {"task_id": "audit-1", "created_at": "2026-01-31", "fact": "There is no cache."}
    """, """
        item_number | source_class | task_id | response             | file         | cited_paths
        1           | extraction   | audit-1 | Retries are bounded. | src/retry.py | ["src/retry.py"]
        2           | extraction   | audit-1 | There is no cache.   |              |
    """)


def test_distilled_config_hints(warehouse: Warehouse) -> None:
    """The hint is the response; paths that are not a list of texts are a problem."""
    maps(warehouse, "distilled_config_hints.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "Set the timeout to 30 s.", "cited_paths": ["app.toml"]}
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "Set the timeout to 60 s.", "cited_paths": "app.toml"}
    """, """
        item_number | source_class | task_id | response                 | cited_paths  | problem
        1           | extraction   | task-1  | Set the timeout to 30 s. | ["app.toml"] |
        2           |              |         |                          |              | bad_cited_paths
    """)


def test_distilled_facts(warehouse: Warehouse) -> None:
    """The fact is the response; where one field is missing and another is bad, the problem names the missing one."""
    maps(warehouse, "distilled_facts.jsonl", """
        {"run_id": "run-1", "task_id": "task-1", "created_at": "2026-01-31", "text": "Times are in UTC."}
        {"run_id": 7, "task_id": "task-1", "text": "Times are in UTC."}
    """, """
        item_number | source_class | run_id | task_id | response          | problem
        1           | extraction   | run-1  | task-1  | Times are in UTC. |
        2           |              |        |         |                   | missing_created_at
    """)


def test_distilled_procedures(warehouse: Warehouse) -> None:
    """A procedure is the response, and need not cite a path; a blank task counts as missing."""
    maps(warehouse, "distilled_procedures.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "Run the migrations, then deploy.", "cited_paths": []}
        {"task_id": " ", "created_at": "2026-01-31", "text": "Deploy."}
    """, """
        item_number | source_class | response                         | cited_paths | problem
        1           | extraction   | Run the migrations, then deploy. | []          |
        2           |              |                                  |             | missing_task_id
    """)


def test_evidence(warehouse: Warehouse) -> None:
    """Fields have the names of columns; messages may be an array or its text, but a score must not be text."""
    maps(warehouse, "evidence.jsonl", """
        {"source_class": "verdict", "task_id": "task-1", "verdict": "accept",
         "messages": [{"role": "human", "content": "Hi"}, {"role": "ai", "content": ["Hello."]}]}
        {"source_class": "experiment", "task_id": "task-1", "score": 0.75, "messages": "[{}]"}
        {"source_class": "experiment", "task_id": "task-1", "score": "0.75"}
        {"task_id": "task-1"}
        {"source_class": "grade", "run_id": "run-1", "verdict": "reject"}
    """, """
        item_number | source_class | verdict | prompt | response | messages                                                                        | problem
        1           | verdict      | accept  | Hi     | Hello.   | [{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."}] |
        2           |              |         |        |          |                                                                                 | bad_messages
        3           |              |         |        |          |                                                                                 | bad_score
        4           |              |         |        |          |                                                                                 | missing_source_class
        5           | grade        | reject  |        |          |                                                                                 |
    """)


def test_mode_experiments(warehouse: Warehouse) -> None:
    """The grounded fraction is taken from validation_results, where it may be null or absent."""
    maps(warehouse, "mode_experiments.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "response": "Fixed.",
         "validation_results": {"grounded_fraction": 0.85}}
        {"task_id": "task-1", "created_at": "2026-01-31", "response": "Done.",
         "validation_results": {"grounded_fraction": null}}
        {"task_id": "task-1", "created_at": "2026-01-31", "response": "Did it.", "validation_results": 0.85}
    """, """
        item_number | source_class | response | grounded_fraction | problem
        1           | experiment   | Fixed.   | 0.85              |
        2           | experiment   | Done.    |                   |
        3           | experiment   | Did it.  |                   |
    """)


def test_observer_escalations(warehouse: Warehouse) -> None:
    """The reason for which a task went to a person is a failure marker; a blank reason gives none."""
    maps(warehouse, "observer_escalations.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "text": "The tests hang.", "reason": "no progress"}
        {"task_id": "task-2", "created_at": "2026-01-31", "text": "The tests hang.", "reason": ""}
    """, """
        item_number | source_class | task_id | response        | failure_markers
        1           | extraction   | task-1  | The tests hang. | ["no progress"]
        2           | extraction   | task-2  | The tests hang. | []
    """)


def test_observer_reviews(warehouse: Warehouse) -> None:
    """The review is the response, and the verdict stays as the observer wrote it; a review that is not text is a problem."""
    maps(warehouse, "observer_reviews.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "review": "Try again.", "verdict": "cycle", "file": "src/a.py"}
        {"task_id": "task-1", "created_at": "2026-01-31", "review": ["Try again."], "verdict": "cycle"}
    """, """
        item_number | source_class | file     | response       | verdict | problem
        1           | verdict      | src/a.py | Try again.     | cycle   |
        2           |              |          |                |         | bad_review
    """)


def test_outcomes(warehouse: Warehouse) -> None:
    """A count above zero gives a marker, and zero or no count gives none; a count must be a number."""
    maps(warehouse, "outcomes.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "ok_events": 3, "error_events": 0, "cost_usd": 0.02}
        {"task_id": "task-2", "created_at": "2026-01-31", "error_events": 2, "gap_signals": 1}
        {"task_id": "task-3", "created_at": "2026-01-31", "ok_events": "3"}
    """, """
        item_number | source_class | task_id | success_markers | failure_markers                 | cost_usd | problem
        1           | telemetry    | task-1  | ["ok_events"]   | []                              | 0.02     |
        2           | telemetry    | task-2  | []              | ["error_events", "gap_signals"] |          |
        3           |              |         |                 |                                 |          | bad_ok_events
    """)


def test_scrum_reviews(warehouse: Warehouse) -> None:
    """The review is the response; cited paths are taken over unchecked, but the time must be one."""
    maps(warehouse, "scrum_reviews.jsonl", """
        {"task_id": "task-1", "created_at": "2026-01-31", "review": "Good.", "verdict": "approve", "cited_paths": ["../a.py"]}
        {"task_id": "task-1", "created_at": "", "review": "Bad.", "verdict": "reject"}
    """, """
        item_number | source_class | response | verdict | cited_paths | problem
        1           | verdict      | Good.    | approve | ["../a.py"] |
        2           |              |          |         |             | bad_created_at
    """)


def test_sessions(warehouse: Warehouse) -> None:
    """All lines of a file are one attempt: their messages in order, and the model of the last line that names one. A file of two is none."""
    maps(warehouse, "sessions/s-1.jsonl", """
        {"run_id": "s-1", "task_id": "fix", "message": {"role": "user", "content": "Fix it."}}
        {"model": "model-a", "message": {"role": "assistant", "content": "Which one?"}}
        {"message": {"role": "user", "content": "The login."}}
        {"model": "model-b", "message": {"role": "assistant", "content": "Fixed."}}
        {"event": "closed"}
    """, """
        item_number | source_class | run_id | task_id | model   | prompt  | response
        1           | telemetry    | s-1    | fix     | model-b | Fix it. | Fixed.
    """)
    maps(warehouse, "sessions/s-2.jsonl", """
        {"run_id": "s-2", "task_id": "fix", "message": {"role": "user", "content": "Fix it."}}
        {"run_id": "s-3", "message": {"role": "assistant", "content": "Fixed."}}
    """, """
        item_number | problem
        1           | several_attempts
        2           | several_attempts
    """)
    maps(warehouse, "sessions/s-4.jsonl", """
        {"run_id": "s-4", "message": {"role": "user", "content": "Fix it."}}
        {"message": "Fixed."}
    """, """
        item_number | problem
        1           | bad_messages
        2           | bad_messages
    """)


def test_tau_bench(warehouse: Warehouse) -> None:
    """The file's name gives model and domain. The prompt is what the user said first; the user's script is not asked for."""
    maps(warehouse, "tau_bench/model-a-airline.jsonl", """
        {"task_id": 7, "trial": 0, "reward": 1.0, "info": {"task": {"instruction": "You are Mia. Cancel your flight."}},
         "traj": [{"role": "user", "content": "Cancel it."}, {"role": "assistant", "content": "It is done."},
                  {"role": "user", "content": "Thanks."}]}
        {"task_id": 7, "trial": 1, "reward": 0.0, "traj": [{"role": "user", "content": "Hello?"}]}
    """, """
        item_number | run_id              | task_id   | model   | prompt     | response    | score
        1           | model-a-airline/7/0 | airline/7 | model-a | Cancel it. | It is done. | 1.0
        2           | model-a-airline/7/1 | airline/7 | model-a | Hello?     |             | 0.0
    """)


def test_verdicts(warehouse: Warehouse) -> None:
    """A grade names a run, a task or both, and says something of it; who gave it and a note stay in the item."""
    maps(warehouse, "verdicts.jsonl", """
        {"run_id": "run-1", "task_id": "task-1", "verdict": "reject", "by": "mia", "note": "It deletes the tests."}
        {"run_id": "run-2", "score": 0.75}
        {"task_id": "task-3", "human_override": "rejected"}
        {"task_id": "task-3", "note": "I could not tell."}
        {"verdict": "pass"}
    """, """
        item_number | source_class | run_id | task_id | created_at | verdict | score | human_override | problem
        1           | grade        | run-1  | task-1  |            | reject  |       |                |
        2           | grade        | run-2  |         |            |         | 0.75  |                |
        3           | grade        |        | task-3  |            |         |       | rejected       |
        4           |              |        |         |            |         |       |                | missing_verdict
        5           |              |        |         |            |         |       |                | missing_task_id
    """)

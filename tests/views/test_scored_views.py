"""Scoring by example: records, and what is said of each."""

from conftest import set_settings
from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_attempt_override(warehouse: Warehouse) -> None:
    """The newest time replaces older ones; of it and of those without a time the lowest category holds. Grades count too."""
    given(warehouse, "evidence.record", """
        source_class | run_id | created_at | human_override     | record_key
        verdict      | run-1  | 2026-01-01 | rejected           | 1
        verdict      | run-1  | 2026-01-02 | accepted           | 2
        verdict      | run-2  | 2026-01-02 | accepted           | 3
        verdict      | run-2  |            | needs_human_review | 4
        verdict      | run-3  | 2026-01-02 | accepted           | 5
        verdict      | run-3  | 2026-01-02 | partially_accepted | 6
        verdict      | run-4  | 2026-01-02 |                    | 7
        verdict      |        |            | accepted           | 8
        grade        | run-1  | 2026-01-03 | rejected           | 9
        grade        | run-4  |            | accepted           | 10
    """)
    gives(warehouse, "scored.attempt_override", """
        run_id | lone_key | category           | is_by_grade | reasons
        run-1  |          | rejected           | true        | ["human_override: accepted", "human_override: rejected"]
        run-2  |          | needs_human_review | false       | ["human_override: accepted", "human_override: needs_human_review"]
        run-3  |          | partially_accepted | false       | ["human_override: accepted", "human_override: partially_accepted"]
        run-4  |          | accepted           | true        | ["human_override: accepted"]
               | 8        | accepted           | false       | ["human_override: accepted"]
    """)


def test_graded_attempt(warehouse: Warehouse) -> None:
    """A grade with both ids, a run of one task or a task of one attempt counts; of several only a person's rejection does."""
    given(warehouse, "evidence.record", """
        record_key | item_number | source_path    | source_class | task_id | run_id | verdict | score | human_override | comparison
        1          | 1           | evidence.jsonl | telemetry    | task-1  | run-1  |         |       |                |
        2          | 2           | evidence.jsonl | verdict      | task-1  | run-2  | accept  | 0.9   |                |
        3          | 3           | evidence.jsonl | telemetry    | task-2  |        |         |       |                |
        4          | 4           | evidence.jsonl | telemetry    | task-3  | run-1  |         |       |                |
        11         | 1           | verdicts.jsonl | grade        | task-1  | run-1  | pass    |       |                |
        12         | 2           | verdicts.jsonl | grade        |         | run-2  | reject  | 0.2   |                | judge-1
        13         | 3           | verdicts.jsonl | grade        | task-2  |        | accept  |       |                |
        14         | 4           | verdicts.jsonl | grade        |         | run-1  | pass    |       |                |
        15         | 5           | verdicts.jsonl | grade        | task-1  |        |         |       | rejected       |
        16         | 6           | verdicts.jsonl | grade        | task-9  | run-1  | pass    |       |                |
    """)
    gives(warehouse, "scored.graded_attempt", """
        grade_key | task_id | run_id | lone_key | attempts | counts
        11        | task-1  | run-1  |          | 1        | true
        12        | task-1  | run-2  |          | 1        | true
        13        | task-2  |        | 3        | 1        | true
        14        | task-1  | run-1  |          | 2        | false
        14        | task-3  | run-1  |          | 2        | false
        15        | task-1  | run-1  |          | 2        | true
        15        | task-1  | run-2  |          | 2        | true
    """)


def test_grade(warehouse: Warehouse) -> None:
    """A grade that meets several attempts is ambiguous, one that meets none is unmatched."""
    given(warehouse, "evidence.record", """
        record_key | item_number | source_path    | source_class | task_id | run_id | verdict | score | human_override | comparison
        1          | 1           | evidence.jsonl | telemetry    | task-1  | run-1  |         |       |                |
        2          | 2           | evidence.jsonl | verdict      | task-1  | run-2  | accept  | 0.9   |                |
        3          | 3           | evidence.jsonl | telemetry    | task-2  |        |         |       |                |
        4          | 4           | evidence.jsonl | telemetry    | task-3  | run-1  |         |       |                |
        11         | 1           | verdicts.jsonl | grade        | task-1  | run-1  | pass    |       |                |
        12         | 2           | verdicts.jsonl | grade        |         | run-2  | reject  | 0.2   |                | judge-1
        13         | 3           | verdicts.jsonl | grade        | task-2  |        | accept  |       |                |
        14         | 4           | verdicts.jsonl | grade        |         | run-1  | pass    |       |                |
        15         | 5           | verdicts.jsonl | grade        | task-1  |        |         |       | rejected       |
        16         | 6           | verdicts.jsonl | grade        | task-9  | run-1  | pass    |       |                |
    """)
    gives(warehouse, "scored.grade", """
        source_path    | item_number | attempts | outcome
        verdicts.jsonl | 1           | 1        | met
        verdicts.jsonl | 2           | 1        | met
        verdicts.jsonl | 3           | 1        | met
        verdicts.jsonl | 4           | 2        | ambiguous_grade
        verdicts.jsonl | 5           | 2        | ambiguous_grade
        verdicts.jsonl | 6           | 0        | unmatched_grade
    """)


def test_graded(warehouse: Warehouse) -> None:
    """Signals of one rule that lead to different categories need human review; the lowest score counts."""
    given(warehouse, "evidence.record", """
        record_key | item_number | source_path    | source_class | task_id | run_id | verdict | score | human_override | comparison
        1          | 1           | evidence.jsonl | telemetry    | task-1  | run-1  |         |       |                |
        2          | 2           | evidence.jsonl | verdict      | task-1  | run-2  | accept  | 0.9   |                |
        3          | 3           | evidence.jsonl | telemetry    | task-2  |        |         |       |                |
        4          | 4           | evidence.jsonl | telemetry    | task-3  | run-1  |         |       |                |
        11         | 1           | verdicts.jsonl | grade        | task-1  | run-1  | pass    |       |                |
        12         | 2           | verdicts.jsonl | grade        |         | run-2  | reject  | 0.2   |                | judge-1
        13         | 3           | verdicts.jsonl | grade        | task-2  |        | accept  |       |                |
        14         | 4           | verdicts.jsonl | grade        |         | run-1  | pass    |       |                |
        15         | 5           | verdicts.jsonl | grade        | task-1  |        |         |       | rejected       |
        16         | 6           | verdicts.jsonl | grade        | task-9  | run-1  | pass    |       |                |
    """)
    gives(warehouse, "scored.graded", """
        record_key | category           | rule    | is_by_grade | comparisons | decided_in | score | reasons
        1          | accepted           | verdict | true        | []          |            |       | ["verdict: pass at verdicts.jsonl:1"]
        2          | needs_human_review | verdict | true        | ["judge-1"] |            | 0.2   | ["verdict: reject at verdicts.jsonl:2", "score: 0.2 at verdicts.jsonl:2", "grades_disagree"]
        3          | accepted           | verdict | true        | []          |            |       | ["verdict: accept at verdicts.jsonl:3"]
    """)


def test_decided(warehouse: Warehouse) -> None:
    """What a person said in a grade holds for the attempt; a comparison comes from the grades that decided."""
    given(warehouse, "evidence.record", """
        record_key | item_number | source_path    | source_class | task_id | run_id | verdict | score | human_override | comparison
        1          | 1           | evidence.jsonl | telemetry    | task-1  | run-1  |         |       |                |
        2          | 2           | evidence.jsonl | verdict      | task-1  | run-2  | accept  | 0.9   |                |
        3          | 3           | evidence.jsonl | telemetry    | task-2  |        |         |       |                |
        4          | 4           | evidence.jsonl | telemetry    | task-3  | run-1  |         |       |                |
        11         | 1           | verdicts.jsonl | grade        | task-1  | run-1  | pass    |       |                |
        12         | 2           | verdicts.jsonl | grade        |         | run-2  | reject  | 0.2   |                | judge-1
        13         | 3           | verdicts.jsonl | grade        | task-2  |        | accept  |       |                |
        14         | 4           | verdicts.jsonl | grade        |         | run-1  | pass    |       |                |
        15         | 5           | verdicts.jsonl | grade        | task-1  |        |         |       |                |
        16         | 6           | verdicts.jsonl | grade        | task-9  | run-1  | pass    |       |                |
    """)
    gives(warehouse, "scored.decided", """
        item_number | category           | rule    | is_by_grade | comparison | decided_in | score
        1           | accepted           | verdict | true        |            |            |
        2           | needs_human_review | verdict | true        | judge-1    |            | 0.2
        3           | accepted           | verdict | true        |            |            |
        4           |                    |         | false       |            |            |
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


def test_shared_turn(warehouse: Warehouse) -> None:
    """A conversation and a text can have one turn, and then the same content; two conversations cannot, nor two texts."""
    given(warehouse, "evidence.record", """
        prompt | response | messages
               |          | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
        Hi     | Hello.   |
               |          | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Bye."}]
               |          | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Bye."}]
        Hi     | Good day |
        Hi     | Good day |
    """)
    gives(warehouse, "scored.shared_turn", """
        records
        2
    """)


def test_rejection_of_one_contest(warehouse: Warehouse) -> None:
    """What lost one comparison may ship from elsewhere; what a person rejected, or is rejected outside of one, may not."""
    given(warehouse, "evidence.record", """
        record_key | item_number | task_id | run_id | response | verdict | human_override | comparison
        1          | 1           | task-1  | run-1  | Fixed.   | reject  |                | a
        2          | 2           | task-1  | run-1  | Fixed.   | accept  |                | b
        3          | 3           | task-1  | run-1  | Fixed.   | accept  |                | a
        4          | 4           | task-1  | run-1  | Fixed.   | accept  |                |
        5          | 5           | task-2  | run-2  | Fixed.   |         | rejected       | a
        6          | 6           | task-2  | run-3  | Fixed.   | accept  |                | b
        7          | 7           | task-3  | run-4  | Fixed.   | reject  |                |
        8          | 8           | task-3  | run-4  | Fixed.   | accept  |                | a
    """)
    gives(warehouse, "scored.rejection", """
        record_key | defect
        3          | rejected_attempt
        3          | rejected_content
        6          | rejected_content
        8          | rejected_attempt
        8          | rejected_content
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
        2          | empty_answer      | response
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


def test_task_group(warehouse: Warehouse) -> None:
    """Tasks that share a prompt, as prompts are compared, are one group, also by way of a third; blank prompts join nothing."""
    set_settings(warehouse, test_share=0.5, holdout_sha256="0" * 64)
    given(warehouse, "policy.holdout", """
        line | task_id | prompt
        3    | task-6  |
        4    |         | Test  it.
    """)
    given(warehouse, "evidence.record", """
        task_id | prompt    | source_class
        task-1  | Fix it.   | verdict
        task-2  | Fix  it.  | verdict
        task-2  | Mend it.  | verdict
        task-3  | Mend it.  | verdict
        task-4  | Test it.  | verdict
        task-5  |           | verdict
        task-6  |           | verdict
        task-7  | Mend it.  | grade
    """)
    gives(warehouse, "scored.task_group", """
        task_id | group_hash                                                       | split | holdout_line
        task-1  | 1724980aa084bbaa16a8a69b664b783799bc75f8abe13ffc65b76843564fbbff | train |
        task-2  | 1724980aa084bbaa16a8a69b664b783799bc75f8abe13ffc65b76843564fbbff | train |
        task-3  | 1724980aa084bbaa16a8a69b664b783799bc75f8abe13ffc65b76843564fbbff | train |
        task-4  | 8f9ba36d8e59dd863b941cf6aba8709674901dba17f3e9c904e4da733538e38a | test  | 4
        task-5  | e7c08de777760acda054e9e20c19133287d1c245ef5efb6abaea6ec1ee3020e9 | test  |
        task-6  | 98c4ca9fa7207111d5816fe81f22b0e0cd27dc2b9d78ee9deb626d0a901f6921 | test  | 3
    """)


def test_holdout_task(warehouse: Warehouse) -> None:
    """A line names tasks by their id, or by a prompt as prompts are compared; a grade's task alone is none."""
    given(warehouse, "policy.holdout", """
        line | task_id | prompt
        1    | task-1  |
        2    |         | Test  it.
        3    | task-9  | Test it.
    """)
    given(warehouse, "evidence.record", """
        item_number | source_class | task_id | prompt
        1           | verdict      | task-1  | Fix it.
        2           | verdict      | task-2  | Test it.
        3           | verdict      | task-3  | Test it.
        4           | grade        | task-9  |
    """)
    gives(warehouse, "scored.holdout_task", """
        line | task_id
        1    | task-1
        2    | task-2
        2    | task-3
        3    | task-2
        3    | task-3
    """)


def test_holdout_match(warehouse: Warehouse) -> None:
    """A line names the tasks that have its task_id or its prompt; those that only share a prompt with them it does not name."""
    given(warehouse, "policy.holdout", """
        line | task_id | prompt
        1    | task-1  |
        2    |         | Fix it.
        3    | task-1  | Fix  it.
        5    | task-9  |
    """)
    given(warehouse, "evidence.record", """
        task_id | prompt    | source_class
        task-1  | Fix it.   | verdict
        task-2  | Fix it.   | verdict
        task-9  | Grade it. | grade
    """)
    gives(warehouse, "scored.holdout_match", """
        line | tasks
        1    | 1
        2    | 2
        3    | 2
        5    | 0
    """)


def test_reserved_task_is_not_eligible(warehouse: Warehouse) -> None:
    """All records of a group are reserved where the hold-out names one of its tasks."""
    given(warehouse, "policy.holdout", """
        line | task_id
        7    | task-1
    """)
    given(warehouse, "evidence.record", """
        record_key | task_id | prompt
        1          | task-1  | Fix it.
        2          | task-2  | Fix it.
        3          | task-3  | Test it.
    """)
    gives(warehouse, "scored.eligibility", """
        record_key | defect        | detail
        1          | reserved_task | line 7 of the hold-out
        2          | reserved_task | line 7 of the hold-out
    """)

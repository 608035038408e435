"""Pairs by example: records of one task, and which is preferred over which."""

from conftest import set_settings
from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_candidate(warehouse: Warehouse) -> None:
    """The task exports its two best clean pairs; a pair of one run is quarantined, and does not count against the two."""
    set_settings(warehouse, max_pairs_per_task=2)
    given(warehouse, "evidence.record", """
        run_id | response | verdict | score
        run-1  | better   | accept  | 1.0
        run-2  | good     | accept  | 0.9
        run-2  | bad      | partial | 0.4
        run-3  | worse    | partial | 0.1
    """)
    gives(warehouse, "pairs.candidate", """
        chosen_rank | chosen_run_id | rejected_rank | rejected_run_id | outcome     | detail
        1           | run-1         | 1             | run-2           | exported    |
        1           | run-1         | 2             | run-3           | exported    |
        2           | run-2         | 1             | run-2           | quarantined | both sides are of one run
        2           | run-2         | 2             | run-3           | over_cap    |
    """)


def test_eligible(warehouse: Warehouse) -> None:
    """Of equal contents in one group and category the first stands for all; what is contradicted is never chosen."""
    given(warehouse, "evidence.record", """
        item_number | run_id | prompt  | response | verdict
        1           | run-1  | Fix it. | Fixed.   | accept
        2           | run-2  | Fix it. | Fixed. . | accept
        3           | run-3  | Fix it. | Fixed.   | accept
        4           | run-4  | Fix it. | Half.    | partial
        5           | run-5  | Fix it. | Half.    | reject
        6           | run-6  | Fix it. | No.      | accept
        7           | run-6  | Fix it. | Never.   | reject
        8           | run-8  | Fix it. |          | accept
    """)
    gives(warehouse, "pairs.eligible", """
        item_number | category
        1           | accepted
        2           | accepted
        4           | partially_accepted
        5           | rejected
        7           | rejected
    """)


def test_ranked(warehouse: Warehouse) -> None:
    """Score decides the rank, then time; a partially accepted record has a side where no rejected one shares its prompt."""
    given(warehouse, "evidence.record", """
        item_number | prompt   | verdict  | score | created_at
        1           | Fix it.  | accept   |       |
        2           | Fix it.  | accept   | 0.95  | 2026-01-02
        3           | Fix it.  | accept   | 0.95  | 2026-01-01
        4           | Fix it.  | partial  |       |
        5           | Fix it.  | reject   |       |
        6           | Test it. | partial  |       |
        7           | Fix it.  | escalate |       |
    """)
    gives(warehouse, "pairs.ranked", """
        item_number | category           | side     | rank
        1           | accepted           | chosen   | 3
        2           | accepted           | chosen   | 2
        3           | accepted           | chosen   | 1
        5           | rejected           | rejected | 1
        6           | partially_accepted | rejected | 1
    """)


def test_pairs_of_conversations(warehouse: Warehouse) -> None:
    """Pairs share the messages of the prompt and the tools exactly, and the comparison."""
    given(warehouse, "evidence.record", """
        item_number | messages                           | tools           | comparison | verdict
        1           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}, {"role": "assistant", "content": "One"}] |                 | a          | accept
        2           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}, {"role": "assistant", "content": "Two"}] |                 | a          | reject
        3           | [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}, {"role": "assistant", "content": "No"}] |                 | a          | reject
        4           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}, {"role": "assistant", "content": "Not"}] | [{"name":"f"}] | a          | reject
        5           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}, {"role": "assistant", "content": "Nor"}] |                 | b          | reject
    """)
    gives(warehouse, "pairs.record", """
        item_number | outcome
        1           | paired
        2           | paired
        3           | prompt_differs
        4           | prompt_differs
        5           | not_comparable
    """)


def test_unparsed_calls_are_never_chosen(warehouse: Warehouse) -> None:
    """A call whose arguments are no JSON object may be the worse answer, not the better one."""
    given(warehouse, "evidence.record", """
        item_number | messages                             | verdict
        1           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "oops"}}]}, {"role": "assistant", "content": "One"}] | accept
        2           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}, {"role": "assistant", "content": "Two"}]   | accept
        3           | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "oops"}}]}, {"role": "assistant", "content": "No"}]  | reject
    """)
    gives(warehouse, "pairs.record", """
        item_number | outcome
        1           | ineligible
        2           | paired
        3           | paired
    """)


def test_record(warehouse: Warehouse) -> None:
    """Each record is in an exported pair, or its outcome says what kept it out."""
    given(warehouse, "evidence.record", """
        item_number | task_id | run_id | prompt   | verdict
        1           | task-1  | run-1  | Fix it.  | accept
        2           | task-1  | run-2  | Fix it.  | reject
        3           | task-1  |        | Fix it.  | reject
        4           | task-1  | run-4  | Fix it.  | escalate
        5           | task-1  | run-5  | Test it. | accept
        6           | task-2  | run-6  | Fix it.  | accept
        7           | task-3  | run-7  | Fix it.  | accept
        8           | task-3  | run-7  | Fix it.  | partial
    """)
    gives(warehouse, "pairs.record", """
        item_number | category           | outcome
        1           | accepted           | paired
        2           | rejected           | paired
        3           | rejected           | ineligible
        4           | needs_human_review | not_a_side
        5           | accepted           | prompt_differs
        6           | accepted           | no_counterpart
        7           | accepted           | refused
        8           | partially_accepted | refused
    """)

"""Datasets by example: records, the rows that they become, and why a row does not ship."""

from conftest import set_settings
from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_decision(warehouse: Warehouse) -> None:
    """A row without reasons ships; where it has several, the first in the order of policy.reason is its quarantine_reason."""
    given(warehouse, "evidence.record", """
        item_number | run_id | prompt  | verdict
        1           | run-1  | Fix it. | accept
        2           | run-2  |         | partial
        3           |        | Fix it. | reject
    """)
    gives(warehouse, "datasets.decision", """
        dataset | item_number | quarantine_reason     | quarantine_reasons                               | detail
        rag     | 1           |                       | []                                               |
        rag     | 2           |                       | []                                               |
        rag     | 3           | missing_source_run_id | ["missing_source_run_id", "unsafe_rag_category"] | run_id
        sft     | 1           |                       | []                                               |
        sft     | 2           | empty_prompt          | ["empty_prompt", "category_disallowed"]          | prompt
        sft     | 3           | missing_source_run_id | ["missing_source_run_id", "unsafe_sft_category"] | run_id
    """)


def test_duplicate(warehouse: Warehouse) -> None:
    """Of equal contents the best category ships, then the first, whatever the task. The others are duplicates of it."""
    set_settings(warehouse, include_partial=True)
    given(warehouse, "evidence.record", """
        record_key | item_number | task_id | run_id | prompt   | response | verdict
        1          | 1           | task-1  | run-1  | Fix it.  | Fixed.   | partial
        2          | 2           | task-1  | run-2  | Fix  it. | Fixed.   | accept
        3          | 3           | task-2  | run-3  | Fix it.  | Fixed.   | accept
        4          | 4           | task-3  |        | Fix it.  | Fixed.   | accept
        5          | 5           | task-1  | run-5  | Test it. | Fixed.   | accept
    """)
    gives(warehouse, "datasets.duplicate", """
        dataset | record_key | detail
        rag     | 1          | same content as evidence.jsonl:2
        rag     | 3          | same content as evidence.jsonl:2
        rag     | 4          | same content as evidence.jsonl:2
        sft     | 1          | same content as evidence.jsonl:2
        sft     | 3          | same content as evidence.jsonl:2
        sft     | 4          | same content as evidence.jsonl:2
    """)


def test_equal_content(warehouse: Warehouse) -> None:
    """Of each content that several records have, or of which a text and a conversation share the turn, one ships, if any can."""
    set_settings(warehouse, include_partial=True)
    given(warehouse, "evidence.record", """
        record_key | item_number | prompt  | response | verdict | messages
        1          | 1           | Fix it. | Fixed.   | partial |
        2          | 2           | Fix it. | Fixed.   | accept  |
        3          | 3           | Fix it. | No.      | reject  |
        4          | 4           | Fix it. | No.      | reject  |
        5          | 5           | Test it | Tested.  | accept  |
        6          | 6           |         |          | accept  | [{"role": "user", "content": "Fix it."}, {"role": "assistant", "content": "Fixed."}]
    """)
    gives(warehouse, "datasets.equal_content", """
        dataset | record_key | has_conversation | best_key
        rag     | 1          | false            | 6
        rag     | 2          | false            | 6
        rag     | 3          | false            |
        rag     | 4          | false            |
        rag     | 6          | true             | 6
        sft     | 1          | false            | 6
        sft     | 2          | false            | 6
        sft     | 3          | false            |
        sft     | 4          | false            |
        sft     | 6          | true             | 6
    """)


def test_duplicate_turn(warehouse: Warehouse) -> None:
    """A text gives way to a conversation with the same turn, even one of a lower category; two conversations are two contents."""
    set_settings(warehouse, include_partial=True)
    given(warehouse, "evidence.record", """
        record_key | item_number | prompt | response | verdict | messages
        1          | 1           | Hi     | Hello.   | accept  |
        2          | 2           |        |          | partial | [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
        3          | 3           |        |          | accept  | [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
        4          | 4           |        |          | accept  | [{"role": "system", "content": "Be  kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
        5          | 5           | Hi     | Hello.   | accept  |
    """)
    gives(warehouse, "datasets.duplicate", """
        dataset | record_key | detail
        rag     | 1          | same content as evidence.jsonl:2
        rag     | 4          | same content as evidence.jsonl:3
        rag     | 5          | same content as evidence.jsonl:2
        sft     | 1          | same content as evidence.jsonl:2
        sft     | 4          | same content as evidence.jsonl:3
        sft     | 5          | same content as evidence.jsonl:2
    """)


def test_lineage(warehouse: Warehouse) -> None:
    """A record has a row for each dataset of records, with its line, its category, and what the dataset decides."""
    given(warehouse, "evidence.record", """
        source_path    | item_number | task_id | score
        evidence.jsonl | 1           | task-1  | 0.6
    """)
    gives(warehouse, "datasets.lineage", """
        dataset | source_path    | item_number | category           | rule  | pairing_outcome | quarantine_reasons
        rag     | evidence.jsonl | 1           | partially_accepted | score | no_counterpart  | []
        sft     | evidence.jsonl | 1           | partially_accepted | score | no_counterpart  | ["category_disallowed"]
    """)


def test_pair_decision(warehouse: Warehouse) -> None:
    """The task may export two pairs; a third clean one is skipped, and one with the same text on both sides is quarantined."""
    set_settings(warehouse, max_pairs_per_task=2)
    given(warehouse, "evidence.record", """
        run_id | response | verdict | score
        run-1  | good     | accept  | 1.0
        run-2  | hello    | accept  | 0.9
        run-3  | bad      | partial | 0.2
        run-4  | hello    | partial | 0.1
    """)
    gives(warehouse, "datasets.pair_decision", """
        dataset    | chosen_run_id | rejected_run_id | quarantine_reason | skip_reason | detail
        preference | run-1         | run-3           |                   |             |
        preference | run-1         | run-4           |                   |             |
        preference | run-2         | run-3           |                   | over_cap    |
        preference | run-2         | run-4           | self_pairing      |             | both sides have one answer
    """)


def test_preference(warehouse: Warehouse) -> None:
    """A row has the texts of both sides and the later of their times; without a time on either side it has none."""
    given(warehouse, "evidence.record", """
        task_id | prompt   | response | verdict | created_at
        task-1  | Fix it.  | Fixed.   | accept  | 2026-01-01
        task-1  | Fix it.  | Almost.  | partial | 2026-01-02
        task-2  | Test it. | Tested.  | accept  |
        task-2  | Test it. | No.      | reject  |
    """)
    gives(warehouse, "datasets.preference", """
        task_id | prompt   | chosen  | rejected | reason                           | created_at
        task-1  | Fix it.  | Fixed.  | Almost.  | accepted_over_partially_accepted | 2026-01-02
        task-2  | Test it. | Tested. | No.      | accepted_over_rejected           |
    """)


def test_task_prompt(warehouse: Warehouse) -> None:
    """Each prompt of a task is there once, with its accepted answers, each once; one without any is there too."""
    given(warehouse, "policy.holdout", """
        line | task_id
        1    | task-2
    """)
    given(warehouse, "evidence.record", """
        record_key | item_number | task_id | run_id | prompt   | response | verdict
        1          | 1           | task-1  | run-1  | Fix it.  | No.      | reject
        2          | 2           | task-1  | run-2  | Fix it.  | Fixed.   | accept
        3          | 3           | task-1  | run-3  | Fix it.  | Fixed.   | accept
        4          | 4           | task-1  | run-4  | Fix it.  | Mended.  | accept
        5          | 5           | task-1  | run-5  | Fix  it. | Fixed.   | escalate
        6          | 6           | task-2  | run-6  | Test it. | Tested.  | accept
        7          | 7           | task-3  | run-7  |          | Done.    | accept
    """)
    gives(warehouse, "datasets.task_prompt", """
        task_id | record_key | answer_keys | split | is_reserved | item_number
        task-1  | 1          | [2, 4]      | train | false       | 1
        task-1  | 5          | []          | train | false       | 5
        task-2  | 6          | [6]         | train | true        | 6
    """)


def test_prompt(warehouse: Warehouse) -> None:
    """A prompt has its messages, also without a conversation, and the texts of its accepted answers."""
    given(warehouse, "evidence.record", """
        item_number | task_id | run_id | prompt  | response | verdict | messages
        1           | task-1  | run-1  | Fix it. | No.      | reject  |
        2           | task-1  | run-2  | Fix it. | Fixed.   | accept  |
        3           | task-2  | run-3  |         |          | accept  | [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Test it."}, {"role": "assistant", "content": "Tested."}]
    """)
    gives(warehouse, "datasets.prompt", """
        task_id | prompt   | answers     | prompt_characters | prompt_messages
        task-1  | Fix it.  | ["Fixed."]  | 7                 | [{"role":"user","content":"Fix it."}]
        task-2  | Test it. | ["Tested."] | 17                | [{"role":"system","content":"Be brief."},{"role":"user","content":"Test it."}]
    """)


def test_rag(warehouse: Warehouse) -> None:
    """The title comes from the prompt; a record without a prompt ships without a title, and a rejected record does not ship."""
    given(warehouse, "evidence.record", """
        run_id | prompt  | response | verdict
        run-1  | Fix it. | Fixed.   | accept
        run-2  |         | Fixed.   | partial
        run-3  | Fix it. | No.      | reject
    """)
    gives(warehouse, "datasets.rag", """
        source_run_id | source_category    | title   | content | quarantine_reason
        run-1         | accepted           | Fix it. | Fixed.  |
        run-2         | partially_accepted |         | Fixed.  |
        run-3         | rejected           | Fix it. | No.     | unsafe_rag_category
    """)


def test_sft(warehouse: Warehouse) -> None:
    """A row names the record that it is made from; a partially accepted record does not ship unless include_partial is on."""
    given(warehouse, "evidence.record", """
        source_path | item_number | record_number | item_sha256 | prompt   | response | verdict
        a.json      | 1           | 1             | a           | Fix it.  | Fixed.   | accept
        a.json      | 1           | 2             | a           | Test it. | Tested.  | partial
    """)
    gives(warehouse, "datasets.sft", """
        provenance                                                                          | quarantine_reason
        {"source_path": "a.json", "item_number": 1, "record_number": 1, "item_sha256": "a"} |
        {"source_path": "a.json", "item_number": 1, "record_number": 2, "item_sha256": "a"} | category_disallowed
    """)


def test_lengths_of_sft(warehouse: Warehouse) -> None:
    """Characters are those of texts and of the names and arguments of calls; what comes after the last answer is cut off."""
    given(warehouse, "evidence.record", """
        run_id | prompt  | response | verdict | messages
        run-1  | Fix it. | Fixed.   | accept  |
        run-2  |         |          | accept  | [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Fix it."}, {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "open", "arguments": {"a": 1}}}]}, {"role": "tool", "content": "x"}, {"role": "assistant", "content": "Fixed."}, {"role": "user", "content": "Bye."}]
    """)
    gives(warehouse, "datasets.sft", """
        source_run_id | prompt_characters | answer_characters | turns | tool_calls
        run-1         | 7                 | 6                 | 1     | 0
        run-2         | 16                | 18                | 2     | 1
    """)
    gives(warehouse, "datasets.rag", """
        source_run_id | prompt_characters | answer_characters | turns | tool_calls
        run-1         | 7                 | 6                 | 1     | 0
        run-2         | 16                | 18                | 2     | 1
    """)


def test_lengths_of_preference(warehouse: Warehouse) -> None:
    """Each side of a pair has its own lengths; a text beside a conversation is one message of it."""
    given(warehouse, "evidence.record", """
        run_id | prompt  | response | verdict | messages
        run-1  |         |          | accept  | [{"role": "user", "content": "Fix it."}, {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "open", "arguments": {}}}]}, {"role": "tool", "content": "x"}, {"role": "assistant", "content": "Fixed."}]
        run-2  | Fix it. | No.      | reject  |
    """)
    gives(warehouse, "datasets.preference", """
        prompt_characters | chosen_characters | rejected_characters | chosen_turns | rejected_turns | chosen_tool_calls | rejected_tool_calls
        7                 | 13                | 3                   | 2            | 1              | 1                 | 0
    """)

"""What is decided, by example: these views read nothing but settings."""

from conftest import set_settings
from tables import gives

from etl.warehouse.connection import Warehouse


def test_admission(warehouse: Warehouse) -> None:
    """A setting admits only what is opt_in: here partially accepted records enter sft; no setting admits rejected ones."""
    set_settings(warehouse, include_partial=True)
    gives(warehouse, "policy.admission", """
        dataset | category           | admission | setting         | is_admitted | reason
        rag     | accepted           | always    |                 | true        |
        rag     | needs_human_review | opt_in    | include_review  | false       | category_disallowed
        rag     | partially_accepted | always    |                 | true        |
        rag     | rejected           | never     |                 | false       | unsafe_rag_category
        sft     | accepted           | always    |                 | true        |
        sft     | needs_human_review | never     |                 | false       | unsafe_sft_category
        sft     | partially_accepted | opt_in    | include_partial | true        |
        sft     | rejected           | never     |                 | false       | unsafe_sft_category
    """)


def test_category(warehouse: Warehouse) -> None:
    """Where people disagree about one attempt the lowest holds; of equal contents the highest ships."""
    gives(warehouse, "policy.category", """
        standing | category
        1        | rejected
        2        | needs_human_review
        3        | partially_accepted
        4        | accepted
    """)


def test_dataset(warehouse: Warehouse) -> None:
    """Two datasets are made from records, and one from pairs of records."""
    gives(warehouse, "policy.dataset", """
        position | dataset    | stem                       | grain
        1        | rag        | rag/playbooks              | record
        2        | sft        | sft/instruction_response   | record
        3        | preference | preference/chosen_rejected | pair
    """)


def test_pairing(warehouse: Warehouse) -> None:
    """An accepted record is preferred over a rejected and over a partially accepted one; no other gap makes a preference."""
    gives(warehouse, "policy.pairing", """
        chosen_category | rejected_category  | reason
        accepted        | partially_accepted | accepted_over_partially_accepted
        accepted        | rejected           | accepted_over_rejected
    """)


def test_reason(warehouse: Warehouse) -> None:
    """A row that lacks a run id and whose prompt is blank is quarantined as missing_source_run_id, which comes first."""
    gives(warehouse, "policy.reason", """
        precedence | name
        1          | missing_provenance
        2          | missing_source_run_id
        3          | empty_content
        4          | empty_prompt
        5          | schema_violation
        6          | unsafe_sft_category
        7          | unsafe_rag_category
        8          | contradicted
        9          | invalid_preference_pairing
        10         | hallucinated_file_path
        11         | duplicate_id
        12         | duplicate_content
        13         | repeated_response
        14         | reserved_holdout
        15         | self_pairing
        16         | category_disallowed
    """)


def test_requirement(warehouse: Warehouse) -> None:
    """A blank prompt keeps a record out of sft alone, an answer of calls out of rag alone; a rejected attempt or content keeps it from being chosen in pairs."""
    gives(warehouse, "policy.requirement", """
        defect             | dataset    | side   | reason
        absent_path        | preference |        | hallucinated_file_path
        absent_path        | rag        |        | hallucinated_file_path
        absent_path        | sft        |        | hallucinated_file_path
        empty_answer       | preference |        | empty_content
        empty_answer       | sft        |        | empty_content
        empty_prompt       | sft        |        | empty_prompt
        empty_response     | rag        |        | empty_content
        missing_column     | preference |        | schema_violation
        missing_column     | rag        |        | schema_violation
        missing_column     | sft        |        | schema_violation
        missing_provenance | preference |        | missing_provenance
        missing_provenance | rag        |        | missing_provenance
        missing_provenance | sft        |        | missing_provenance
        missing_run_id     | preference |        | missing_source_run_id
        missing_run_id     | rag        |        | missing_source_run_id
        missing_run_id     | sft        |        | missing_source_run_id
        rejected_attempt   | preference | chosen | contradicted
        rejected_attempt   | rag        |        | contradicted
        rejected_attempt   | sft        |        | contradicted
        rejected_content   | preference | chosen | contradicted
        rejected_content   | rag        |        | contradicted
        rejected_content   | sft        |        | contradicted
        repeated_evidence  | preference |        | duplicate_id
        repeated_evidence  | rag        |        | duplicate_id
        repeated_evidence  | sft        |        | duplicate_id
        repeated_response  | preference |        | repeated_response
        repeated_response  | rag        |        | repeated_response
        repeated_response  | sft        |        | repeated_response
        reserved_task      | preference |        | reserved_holdout
        reserved_task      | rag        |        | reserved_holdout
        reserved_task      | sft        |        | reserved_holdout
        unparsed_call      | preference | chosen | schema_violation
        unparsed_call      | sft        |        | schema_violation
    """)


def test_stage(warehouse: Warehouse) -> None:
    """After collect and score there is one stage for each dataset."""
    gives(warehouse, "policy.stage", """
        position | stage             | dataset
        1        | collect           |
        2        | score             |
        3        | export-rag        | rag
        4        | export-sft        | sft
        5        | export-preference | preference
    """)


def test_verdict(warehouse: Warehouse) -> None:
    """Several words of the sources mean one category."""
    gives(warehouse, "policy.verdict", """
        category           | verdict
        accepted           | accept
        accepted           | accepted
        accepted           | approve
        accepted           | approved
        accepted           | correct
        accepted           | lgtm
        accepted           | pass
        accepted           | passed
        accepted           | resolved
        accepted           | succeeded
        accepted           | success
        accepted           | true
        needs_human_review | escalate
        needs_human_review | needs_human_review
        needs_human_review | review
        partially_accepted | cycle
        partially_accepted | partial
        partially_accepted | partially_accepted
        partially_accepted | request_changes
        rejected           | block
        rejected           | blocked
        rejected           | fail
        rejected           | failed
        rejected           | failure
        rejected           | false
        rejected           | incorrect
        rejected           | reject
        rejected           | rejected
        rejected           | unresolved
    """)

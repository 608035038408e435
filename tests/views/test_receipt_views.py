"""Receipts by example: rows of documents, counts of what is in the warehouse now, and how runs treat rows."""

from conftest import set_settings
from tables import given, given_document, gives

from etl.warehouse.connection import Warehouse


def test_decision_count(warehouse: Warehouse) -> None:
    """Each dataset of records takes in every record; a quarantined one is counted under its first reason alone."""
    given(warehouse, "evidence.record", """
        run_id | verdict
        run-1  | accept
        run-2  | reject
               | reject
    """)
    gives(warehouse, "receipts.decision_count", """
        stage      | stat        | reason                | records
        export-rag | accepted    |                       | 1
        export-rag | in          |                       | 3
        export-rag | quarantined | missing_source_run_id | 1
        export-rag | quarantined | unsafe_rag_category   | 1
        export-sft | accepted    |                       | 1
        export-sft | in          |                       | 3
        export-sft | quarantined | missing_source_run_id | 1
        export-sft | quarantined | unsafe_sft_category   | 1
    """)


def test_evidence_count(warehouse: Warehouse) -> None:
    """What went in is counted by files, and what became of it by records and skipped lines; blank lines count apart."""
    given(warehouse, "evidence.file", """
        source   | source_path    | record_count | blank_count
        evidence | evidence.jsonl | 2            | 1
        outcomes | outcomes.jsonl | 1            | 0
    """)
    given(warehouse, "evidence.record", """
        source_path    | item_number
        evidence.jsonl | 1
        evidence.jsonl | 3
    """)
    given(warehouse, "evidence.skipped", """
        source   | source_path    | item_number | reason
        outcomes | outcomes.jsonl | 1           | malformed_json
    """)
    gives(warehouse, "receipts.evidence_count", """
        stage   | stat     | reason         | records
        collect | accepted |                | 2
        collect | blank    |                | 1
        collect | in       |                | 3
        collect | skipped  | malformed_json | 1
    """)


def test_item_count(warehouse: Warehouse) -> None:
    """An item with several records counts once; a part counts once, and not where it has records of its own or is skipped."""
    given(warehouse, "evidence.file", """
        source | source_path | record_count | blank_count
        s      | s           | 5            | 1
    """)
    given(warehouse, "evidence.record", """
        source_path | item_number | record_number | parts
        s           | 1           | 1             | [{"source_path": "s", "item_number": 3}]
        s           | 1           | 2             | [{"source_path": "s", "item_number": 4}]
        s           | 1           | 3             | [{"source_path": "s", "item_number": 5}]
        s           | 2           | 1             | [{"source_path": "s", "item_number": 1}]
    """)
    given(warehouse, "evidence.skipped", """
        source | source_path | item_number | reason
        s      | s           | 5           | bad_text
    """)
    gives(warehouse, "receipts.item_count", """
        mapped | part | skipped | blank | records
        2      | 2    | 1       | 1     | 4
    """)


def test_file(warehouse: Warehouse) -> None:
    """A receipt names what its stage read and wrote; a relation has a hash and no size."""
    given_document(warehouse, "run-1/collect.json", """
        {
            "run_id": "run-1",
            "stage": "collect",
            "inputs": {"files": [
                {"path": "outcomes.jsonl", "sha256": "aa", "bytes": 512, "record_count": 3, "carried": true}
            ]},
            "outputs": {"files": [
                {"path": "evidence.record", "sha256": "bb", "bytes": null, "record_count": 3, "carried": false}
            ]}
        }
    """)
    gives(warehouse, "receipts.file", """
        run_id | stage   | direction | path            | sha256 | bytes | record_count | carried
        run-1  | collect | input     | outcomes.jsonl  | aa     | 512   | 3            | true
        run-1  | collect | output    | evidence.record | bb     |       | 3            | false
    """)


def test_file_column(warehouse: Warehouse) -> None:
    """Each column of a Parquet file has a row; a JSONL file gives none."""
    given_document(warehouse, "run-1/export-sft.json", """
        {
            "run_id": "run-1",
            "stage": "export-sft",
            "outputs": {"files": [
                {"path": "exports/sft/instruction_response/part-00001.jsonl", "columns": null},
                {"path": "exports/sft/instruction_response/part-00001.parquet", "columns": ["id: string", "task_id: string"]}
            ]}
        }
    """)
    gives(warehouse, "receipts.file_column", """
        run_id | stage      | path                                     | position | field
        run-1  | export-sft | exports/sft/instruction_response | 1        | id: string
        run-1  | export-sft | exports/sft/instruction_response | 2        | task_id: string
    """)


def test_funnel(warehouse: Warehouse) -> None:
    """The newest run comes first, its stages in the order in which they run; where nothing went in, the percentage is null."""
    given(warehouse, "receipts.run", """
        run_id  | seq
        monday  | 1
        tuesday | 2
    """)
    given(warehouse, "receipts.stage", """
        run_id  | stage   | position | status | records_in | accepted | rejected
        monday  | collect | 1        | ok     | 8          | 8        | 0
        monday  | score   | 2        | ok     | 8          | 5        | 3
        tuesday | collect | 1        | failed | 0          | 0        | 0
    """)
    gives(warehouse, "receipts.funnel", """
        run_id  | stage   | status | records_in | accepted | rejected | accepted_percent
        tuesday | collect | failed | 0          | 0        | 0        |
        monday  | collect | ok     | 8          | 8        | 0        | 100.0
        monday  | score   | ok     | 8          | 5        | 3        | 62.5
    """)


def test_message(warehouse: Warehouse) -> None:
    """Errors and warnings are numbered apart."""
    given_document(warehouse, "run-1/collect.json", """
        {
            "run_id": "run-1",
            "stage": "collect",
            "validation": {
                "errors": ["outcomes: 1 skipped as malformed_json.", "outcomes: 2 skipped as bad_model."],
                "warnings": ["reviews: no line."]
            }
        }
    """)
    gives(warehouse, "receipts.message", """
        run_id | stage   | level   | position | message
        run-1  | collect | error   | 1        | outcomes: 1 skipped as malformed_json.
        run-1  | collect | error   | 2        | outcomes: 2 skipped as bad_model.
        run-1  | collect | warning | 1        | reviews: no line.
    """)


def test_outcome(warehouse: Warehouse) -> None:
    """The stage that exports pairs also counts the scored records, by what pairing did with them."""
    given_document(warehouse, "run-1/export-preference.json", """
        {
            "run_id": "run-1",
            "stage": "export-preference",
            "records": {"in": 5, "by_outcome": {"paired": 4, "no_counterpart": 1}}
        }
    """)
    gives(warehouse, "receipts.outcome", """
        run_id | stage             | outcome        | records
        run-1  | export-preference | no_counterpart | 1
        run-1  | export-preference | paired         | 4
    """)


def test_outcome_count(warehouse: Warehouse) -> None:
    """Each record counts once, in a pair or not."""
    given(warehouse, "evidence.record", """
        task_id | verdict
        task-1  | accept
        task-1  | reject
        task-2  | accept
        task-2  | escalate
    """)
    gives(warehouse, "receipts.outcome_count", """
        stage             | outcome        | records
        export-preference | no_counterpart | 1
        export-preference | not_a_side     | 1
        export-preference | paired         | 2
    """)


def test_pair_decision_count(warehouse: Warehouse) -> None:
    """Two records on each side make four pairs, of which this task may export two."""
    set_settings(warehouse, max_pairs_per_task=2)
    given(warehouse, "evidence.record", """
        run_id | verdict | score
        run-1  | accept  | 1.0
        run-2  | accept  | 0.9
        run-2  | partial | 0.2
        run-3  | partial | 0.1
    """)
    gives(warehouse, "receipts.pair_decision_count", """
        stage             | stat        | reason       | records
        export-preference | accepted    |              | 2
        export-preference | in          |              | 4
        export-preference | quarantined | self_pairing | 1
        export-preference | skipped     | over_cap     | 1
    """)


def test_reason(warehouse: Warehouse) -> None:
    """A receipt has a map for each stat; an empty one gives no row."""
    given_document(warehouse, "run-1/export-sft.json", """
        {
            "run_id": "run-1",
            "stage": "export-sft",
            "counts_by_reason": {
                "quarantined": {"unsafe_sft_category": 7, "duplicate_id": 2},
                "rejected": {},
                "skipped": {}
            }
        }
    """)
    gives(warehouse, "receipts.reason", """
        run_id | stage      | stat        | reason              | records
        run-1  | export-sft | quarantined | duplicate_id        | 2
        run-1  | export-sft | quarantined | unsafe_sft_category | 7
    """)


def test_reason_count(warehouse: Warehouse) -> None:
    """One accepted record is counted at each stage that took it in; export-preference takes in pairs, and there are none."""
    given(warehouse, "evidence.file", """
        source   | source_path    | record_count | blank_count
        evidence | evidence.jsonl | 1            | 0
    """)
    given(warehouse, "evidence.record", """
        verdict
        accept
    """)
    gives(warehouse, "receipts.reason_count", """
        stage             | stat     | reason         | records
        collect           | accepted |                | 1
        collect           | blank    |                | 0
        collect           | in       |                | 1
        export-preference | in       |                | 0
        export-rag        | accepted |                | 1
        export-rag        | in       |                | 1
        export-sft        | accepted |                | 1
        export-sft        | in       |                | 1
        score             | accepted |                | 1
        score             | in       |                | 1
    """)


def test_row_change(warehouse: Warehouse) -> None:
    """A setting admits a row, one leaves with its line, a new line is refused, one moved; the way back is compared too."""
    given(warehouse, "receipts.run", """
        run_id | seq
        mon    | 1
        tue    | 2
    """)
    given(warehouse, "receipts.stage", """
        run_id | stage      | settings_hash
        mon    | export-sft | plain
        tue    | export-sft | include_partial
    """)
    given(warehouse, "receipts.row_history", """
        dataset | evidence_id | nth | item_number | category           | reason              | first_seq | last_seq
        sft     | aa          | 1   | 1           | accepted           |                     | 1         |
        sft     | bb          | 1   | 2           | partially_accepted | category_disallowed | 1         | 1
        sft     | bb          | 1   | 2           | partially_accepted |                     | 2         |
        sft     | cc          | 1   | 3           | accepted           |                     | 1         | 1
        sft     | dd          | 1   | 4           | rejected           | unsafe_sft_category | 2         |
        sft     | ee          | 1   | 5           | accepted           |                     | 1         | 1
        sft     | ee          | 1   | 4           | accepted           |                     | 2         |
    """)
    gives(warehouse, "receipts.row_change", """
        from_run_id | item_number_before | item_number | change  | cause      | reason_before       | reason_now
        mon         | 2                  | 2           | entered | setting    | category_disallowed |
        mon         | 3                  | 3           | left    | line_gone  |                     |
        mon         | 5                  | 4           | moved   | line_moved |                     |
        mon         |                    | 4           | refused | line_new   |                     | unsafe_sft_category
        tue         | 2                  | 2           | left    | setting    |                     | category_disallowed
        tue         | 4                  | 4           | dropped | line_gone  | unsafe_sft_category |
        tue         | 4                  | 5           | moved   | line_moved |                     |
        tue         |                    | 3           | entered | line_new   |                     |
    """)


def test_row_state(warehouse: Warehouse) -> None:
    """Identical lines are numbered in nth; a pair names both of its records, and the lines of both."""
    given(warehouse, "evidence.record", """
        evidence_id | item_number | response | verdict
        aa          | 1           | Fixed.   | accept
        aa          | 2           | Fixed.   | accept
        bb          | 3           | No.      | reject
    """)
    gives(warehouse, "receipts.row_state", """
        dataset    | evidence_id | other_evidence_id | nth | item_number | other_item_number | category | reason
        preference | aa          | bb                | 1   | 1           | 3                 | rejected |
        rag        | aa          |                   | 1   | 1           |                   | accepted |
        rag        | aa          |                   | 2   | 2           |                   | accepted | duplicate_id
        rag        | bb          |                   | 1   | 3           |                   | rejected | unsafe_rag_category
        sft        | aa          |                   | 1   | 1           |                   | accepted |
        sft        | aa          |                   | 2   | 2           |                   | accepted | duplicate_id
        sft        | bb          |                   | 1   | 3           |                   | rejected | unsafe_sft_category
    """)


def test_run(warehouse: Warehouse) -> None:
    """A summary gives one row, also that of a run that did not publish; previous is the hash of the summary before it."""
    given_document(warehouse, "run-2/summary.json", """
        {
            "run_id": "run-2",
            "seq": 2,
            "previous": "aa",
            "started_at": "2026-01-31T12:00:00.500000Z",
            "published": false,
            "overall_passed": false,
            "run_hash": "bb"
        }
    """)
    gives(warehouse, "receipts.run", """
        run_id | seq | previous | started_at            | published | overall_passed | run_hash
        run-2  | 2   | aa       | 2026-01-31 12:00:00.5 | false     | false          | bb
    """)


def test_score_count(warehouse: Warehouse) -> None:
    """Score quarantines what is neither accepted nor rejected; its reasons are categories."""
    given(warehouse, "evidence.record", """
        verdict
        accept
        reject
        partial
        escalate
    """)
    gives(warehouse, "receipts.score_count", """
        stage | stat        | reason             | records
        score | accepted    |                    | 1
        score | in          |                    | 4
        score | quarantined | needs_human_review | 1
        score | quarantined | partially_accepted | 1
        score | rejected    | rejected           | 1
    """)


def test_stage(warehouse: Warehouse) -> None:
    """A receipt gives one row, and a summary none; score passes on all records, whatever it accepts."""
    given_document(warehouse, "run-1/score.json", """
        {
            "run_id": "run-1",
            "stage": "score",
            "status": "ok",
            "inputs": {"record_count": 4, "hash": "aa"},
            "outputs": {"record_count": 4, "hash": "bb"},
            "stats": {"accepted": 1, "rejected": 1, "quarantined": 2, "skipped": 0},
            "validation": {"passed": true}
        }
    """)
    given_document(warehouse, "run-1/summary.json", """
        {"run_id": "run-1", "seq": 1}
    """)
    gives(warehouse, "receipts.stage", """
        run_id | stage | position | status | records_in | records_out | accepted | rejected | quarantined | passed
        run-1  | score | 2        | ok     | 4          | 4           | 1        | 1        | 2           | true
    """)


def test_stage_count(warehouse: Warehouse) -> None:
    """Stages come in the order in which they run; records_in is the sum of accepted, rejected, quarantined and skipped."""
    given(warehouse, "evidence.file", """
        source   | source_path    | record_count | blank_count
        evidence | evidence.jsonl | 3            | 1
    """)
    given(warehouse, "evidence.skipped", """
        source   | source_path    | item_number | reason
        evidence | evidence.jsonl | 4           | malformed_json
    """)
    given(warehouse, "evidence.record", """
        verdict
        accept
        reject
    """)
    gives(warehouse, "receipts.stage_count", """
        stage             | records_in | accepted | rejected | quarantined | skipped | blank
        collect           | 3          | 2        | 0        | 0           | 1       | 1
        score             | 2          | 1        | 1        | 0           | 0       | 0
        export-rag        | 2          | 1        | 0        | 1           | 0       | 0
        export-sft        | 2          | 1        | 0        | 1           | 0       | 0
        export-preference | 1          | 1        | 0        | 0           | 0       | 0
    """)


def test_unbalanced(warehouse: Warehouse) -> None:
    """On Monday all counts add up; on Tuesday a record was lost between two stages, and a skipped line has no reason."""
    given(warehouse, "receipts.stage", """
        run_id  | stage   | records_in | records_out | accepted | skipped
        monday  | collect | 9          | 8           | 8        | 1
        monday  | score   | 8          | 8           | 8        | 0
        tuesday | collect | 9          | 8           | 8        | 1
        tuesday | score   | 7          | 7           | 7        | 0
    """)
    given(warehouse, "receipts.reason", """
        run_id | stage   | stat    | reason         | records
        monday | collect | skipped | malformed_json | 1
    """)
    gives(warehouse, "receipts.unbalanced", """
        run_id  | stage   | problem
        tuesday | collect | collect: 1 skipped, but the reasons sum to 0.
        tuesday | score   | score: 7 records in and 0 grades, but collect passed on 8.
    """)


def test_moved_task(warehouse: Warehouse) -> None:
    """A task that the version before did not have has not moved."""
    given(warehouse, "receipts.task_split", """
        task_id | split
        task-1  | test
        task-2  | train
    """)
    given(warehouse, "evidence.record", """
        task_id
        task-1
        task-2
        task-3
    """)
    gives(warehouse, "receipts.moved_task", """
        task_id | split_before | split_now
        task-1  | test         | train
    """)


def test_split_count(warehouse: Warehouse) -> None:
    """Rows that ship are counted by their side, and those of tasks that were on another side before."""
    given(warehouse, "receipts.task_split", """
        task_id | split
        task-1  | test
    """)
    given(warehouse, "evidence.record", """
        task_id | verdict | prompt
        task-1  | accept  | Fix it.
        task-1  | reject  | Fix it.
        task-2  | accept  | Test it.
    """)
    gives(warehouse, "receipts.split_count", """
        stage      | split | records | moved
        export-rag | train | 2       | 1
        export-sft | train | 2       | 1
    """)


def test_pair_split_count(warehouse: Warehouse) -> None:
    """Pairs that ship are counted likewise."""
    given(warehouse, "receipts.task_split", """
        task_id | split
        task-1  | test
    """)
    given(warehouse, "evidence.record", """
        task_id | verdict | prompt
        task-1  | accept  | Fix it.
        task-1  | reject  | Fix it.
        task-2  | accept  | Test it.
        task-2  | reject  | Test it.
    """)
    gives(warehouse, "receipts.pair_split_count", """
        stage             | split | records | moved
        export-preference | train | 2       | 1
    """)

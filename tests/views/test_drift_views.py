"""Drift by example: the receipts of a few runs, and what has changed between them."""

from tables import given, gives

from etl.warehouse.connection import Warehouse


def test_baseline(warehouse: Warehouse) -> None:
    """A run is compared with the newest earlier run that published; runs after the pinned one are compared with that one."""
    given(warehouse, "policy.baseline", """
        run_id
        wednesday
    """)
    given(warehouse, "receipts.run", """
        run_id    | seq | published
        monday    | 1   | true
        tuesday   | 2   | false
        wednesday | 3   | true
        thursday  | 4   | true
        friday    | 5   | true
    """)
    gives(warehouse, "drift.baseline", """
        seq | run_id    | prior_run_id
        1   | monday    |
        2   | tuesday   | monday
        3   | wednesday | monday
        4   | thursday  | wednesday
        5   | friday    | wednesday
    """)


def test_comparison(warehouse: Warehouse) -> None:
    """Two reasons double: from 2 to 4 can be chance, from 198 to 396 cannot, and that also explains why fewer are accepted."""
    given(warehouse, "receipts.run", """
        run_id  | seq
        monday  | 1
        tuesday | 2
    """)
    given(warehouse, "receipts.stage", """
        run_id  | stage   | records_in | accepted | skipped
        monday  | collect | 1000       | 800      | 200
        tuesday | collect | 1000       | 600      | 400
    """)
    given(warehouse, "receipts.reason", """
        run_id  | stage   | stat    | reason         | records
        monday  | collect | skipped | bad_model      | 2
        monday  | collect | skipped | malformed_json | 198
        tuesday | collect | skipped | bad_model      | 4
        tuesday | collect | skipped | malformed_json | 396
    """)
    gives(warehouse, "drift.comparison", """
        counter        | prior_records | records | change | is_above_threshold | is_no_chance | is_told_by_parts | severity
        accepted       | 800           | 600     | -0.25  | true               | true         | true             | warn
        bad_model      | 2             | 4       | 1.0    | true               | false        | false            | ok
        malformed_json | 198           | 396     | 1.0    | true               | true         | false            | alert
        records in     | 1000          | 1000    | 0.0    | false              | false        | false            | ok
    """)


def test_flag(warehouse: Warehouse) -> None:
    """The first run has nothing to be compared with; the second one has more records, and a new column in a file."""
    given(warehouse, "receipts.run", """
        run_id  | seq
        monday  | 1
        tuesday | 2
    """)
    given(warehouse, "receipts.stage", """
        run_id  | stage      | position | records_in | accepted
        monday  | collect    | 1        | 1000       | 1000
        tuesday | collect    | 1        | 1300       | 1300
        tuesday | export-sft | 4        | 1300       | 1300
    """)
    given(warehouse, "receipts.file_column", """
        run_id  | stage      | path        | position | field
        monday  | export-sft | sft.parquet | 1        | id: string
        tuesday | export-sft | sft.parquet | 1        | id: string
        tuesday | export-sft | sft.parquet | 2        | model: string
    """)
    gives(warehouse, "drift.flag", """
        run_id  | severity | position | flag
        monday  | ok       | 0        | no prior; baseline established
        tuesday | warn     | 1        | collect: records in went from 1,000 to 1,300 (+30.0 %, p = 4e-10; threshold 20 %).
        tuesday | warn     | 4        | export-sft: sft.parquet has a new column, model: string.
    """)


def test_history(warehouse: Warehouse) -> None:
    """A run that did not publish has figures too, of the stages that were done; a volume has no share."""
    given(warehouse, "receipts.run", """
        run_id  | seq | published
        monday  | 1   | true
        tuesday | 2   | false
    """)
    given(warehouse, "receipts.stage", """
        run_id  | stage   | status | records_in | accepted
        monday  | collect | ok     | 40         | 38
        tuesday | collect | ok     | 50         | 45
        tuesday | score   | failed | 45         | 0
    """)
    gives(warehouse, "drift.history", """
        seq | published | stage   | counter    | records | records_in | share
        1   | true      | collect | accepted   | 38      | 40         | 0.95
        1   | true      | collect | records in | 40      |            |
        2   | false     | collect | accepted   | 45      | 50         | 0.9
        2   | false     | collect | records in | 50      |            |
    """)


def test_metric(warehouse: Warehouse) -> None:
    """A share is counted out of what its stage took in, a volume out of 1, and pairs out of the records that were scored."""
    given(warehouse, "receipts.stage", """
        run_id | stage             | position | records_in | accepted | rejected | skipped
        monday | collect           | 1        | 10         | 8        | 0        | 2
        monday | score             | 2        | 8          | 5        | 3        | 0
        monday | export-preference | 5        | 4          | 4        | 0        | 0
    """)
    given(warehouse, "receipts.file", """
        run_id | stage   | direction | path                | record_count
        monday | collect | input     | outcomes/mon.jsonl  | 6
        monday | collect | input     | outcomes/tue.jsonl  | 3
        monday | collect | input     | audit_facts.jsonl   | 1
    """)
    given(warehouse, "receipts.reason", """
        run_id | stage   | stat     | reason         | records
        monday | collect | skipped  | malformed_json | 2
        monday | score   | rejected | rejected       | 3
    """)
    gives(warehouse, "drift.metric", """
        position | stage             | kind     | counter        | records | exposure
        1        | collect           | accepted | accepted       | 8       | 10
        1        | collect           | reason   | malformed_json | 2       | 10
        1        | collect           | source   | audit_facts    | 1       | 1
        1        | collect           | source   | outcomes       | 9       | 1
        1        | collect           | volume   | records in     | 10      | 1
        2        | score             | category | accepted       | 5       | 8
        2        | score             | category | rejected       | 3       | 8
        5        | export-preference | accepted | accepted       | 4       | 4
        5        | export-preference | pairs    | pairs in       | 4       | 8
    """)


def test_report(warehouse: Warehouse) -> None:
    """A run is as severe as the worst of its findings; a run without findings has a row too."""
    given(warehouse, "receipts.run", """
        run_id    | seq
        monday    | 1
        tuesday   | 2
        wednesday | 3
    """)
    given(warehouse, "receipts.stage", """
        run_id    | stage
        monday    | export-sft
        tuesday   | export-sft
        wednesday | export-sft
    """)
    given(warehouse, "receipts.file_column", """
        run_id    | stage      | path      | position | field
        monday    | export-sft | a.parquet | 1        | id: int64
        tuesday   | export-sft | a.parquet | 1        | id: int64
        wednesday | export-sft | a.parquet | 1        | id: int64
        wednesday | export-sft | a.parquet | 2        | model: string
    """)
    gives(warehouse, "drift.report", """
        seq | severity | flags
        1   | ok       | [{"stage": "", "flag": "no prior; baseline established"}]
        2   | ok       | []
        3   | warn     | [{"stage": "export-sft", "flag": "export-sft: a.parquet has a new column, model: string."}]
    """)


def test_schema_change(warehouse: Warehouse) -> None:
    """A column whose type changed counts as one gone and one new; a file that only one of the runs wrote is not compared."""
    given(warehouse, "receipts.run", """
        run_id  | seq
        monday  | 1
        tuesday | 2
    """)
    given(warehouse, "receipts.file_column", """
        run_id  | stage      | path        | position | field
        monday  | export-rag | rag.parquet | 1        | id: string
        monday  | export-rag | rag.parquet | 2        | score: double
        tuesday | export-rag | rag.parquet | 1        | id: string
        tuesday | export-rag | rag.parquet | 2        | score: string
        tuesday | export-sft | sft.parquet | 1        | id: string
    """)
    gives(warehouse, "drift.schema_change", """
        run_id  | prior_run_id | path        | field         | is_new
        tuesday | monday       | rag.parquet | score: double | false
        tuesday | monday       | rag.parquet | score: string | true
    """)


def test_stage_delta(warehouse: Warehouse) -> None:
    """On Wednesday everything that the stage depends on is as on Monday, but its output differs: a violation."""
    given(warehouse, "receipts.run", """
        run_id    | seq
        monday    | 1
        tuesday   | 2
        wednesday | 3
    """)
    given(warehouse, "receipts.stage", """
        run_id    | stage   | records_out | inputs_hash | outputs_hash
        monday    | collect | 100         | aa          | bb
        tuesday   | collect | 110         | cc          | dd
        wednesday | collect | 99          | aa          | ee
    """)
    gives(warehouse, "drift.stage_delta", """
        run_id    | delta_records_out | pct_change_out | input_hash_match | deterministic_violation | differs_from
        monday    |                   |                |                  | false                   |
        tuesday   | 10                | 10.0           | false            | false                   |
        wednesday | -11               | -10.0          | false            | true                    | monday
    """)

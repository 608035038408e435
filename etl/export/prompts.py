"""Fetches the prompts of tasks with their accepted answers, with the texts of some prompts at a time.

They are no dataset that a run writes: an export reads them from the published warehouse.
"""

from collections.abc import Iterator

import pyarrow as pa

from etl.context import Run
from etl.export.rows import cut, define_over_wanted
from etl.warehouse.connection import BATCH, Warehouse
from etl.warehouse.statements import read_sql

#: The view of prompts, and the one that says without text which there are.
PROMPTS, NARROW = "datasets.prompt", "datasets.task_prompt"

#: Prompts of about so many bytes of text are fetched at once, and of so many at most.
BYTES_PER_BATCH = 32 << 20
PROMPTS_PER_BATCH = 2_048


def stream_prompts(run: Run, are_reserved: bool) -> Iterator[pa.Table]:
    """Stream the prompts that are held out, or those that are not, in the order of the evidence."""
    order = "source_path, item_number, record_number, record_key"
    narrow = run.warehouse.arrow(f"from {NARROW} where is_reserved = ? order by {order}", [are_reserved])
    own, stored = run.warehouse.apart(BATCH)
    _want(own, narrow.slice(0, 0))
    define_over_wanted(run, own, stored, PROMPTS)
    own.execute(f"create or replace view {NARROW} as from temp.task_prompt")
    for start, end in cut(narrow["text_bytes"].to_pylist(), PROMPTS_PER_BATCH, BYTES_PER_BATCH):
        _want(own, narrow.slice(start, end - start))
        yield own.arrow(read_sql(__file__, "prompts"))
    own.close()


def _want(own: Warehouse, narrow: pa.Table) -> None:
    """Let a cursor have these prompts alone, and the records that they and their answers are from."""
    numbered = narrow.append_column("position", pa.array(range(narrow.num_rows), pa.int64()))
    with own.lent("task_prompts", numbered):
        own.execute("create or replace temp table task_prompt as from task_prompts")
    keys = "select unnest([record_key] || answer_keys) as record_key from temp.task_prompt"
    own.execute(f"create or replace temp table wanted as {keys}")

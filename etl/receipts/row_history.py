"""The state of every row of the datasets in each published run, kept so that two runs can be compared row by row.

Only what changes is written: a state is a row with the first and the last published run that saw it.
"""

from etl.warehouse.connection import Warehouse

TABLE = "receipts.row_history"

_END = """
update receipts.row_history as history set last_seq = $before
where history.last_seq is null and not exists (
    from receipts.row_state as state
    where
        state.dataset = history.dataset
        and state.evidence_id = history.evidence_id
        and state.other_evidence_id is not distinct from history.other_evidence_id
        and state.nth = history.nth
        and state.category = history.category
        and state.reason is not distinct from history.reason
)
"""
_BEGIN = """
insert into receipts.row_history by name
select state.*, $seq as first_seq
from receipts.row_state as state
anti join (from receipts.row_history where last_seq is null) as history
    on
        state.dataset = history.dataset
        and state.evidence_id = history.evidence_id
        and state.other_evidence_id is not distinct from history.other_evidence_id
        and state.nth = history.nth
"""
#: The first of the last so many published runs; whatever ended before it is forgotten.
OLDEST_KEPT = """
select min(seq) from (
    select seq from receipts.run where published order by seq desc limit $runs
)
"""


def carry_row_history(old: Warehouse, new: Warehouse) -> None:
    """Put the states of one warehouse in place of those of another; there may be millions, so they are never all at hand."""
    with old.batches(TABLE, new.columns(TABLE)) as states:
        new.replace(TABLE, states)


def keep_row_history(warehouse: Warehouse, seq: int, before: int | None) -> None:
    """Write down which states run ``seq`` ends and begins; ``before`` is the last run that published, if one did."""
    warehouse.materialise("receipts.row_state")
    warehouse.execute(_END, {"before": before})
    warehouse.execute(_BEGIN, {"seq": seq})


def forget_row_history(warehouse: Warehouse, runs: int) -> None:
    """Forget the states that the last ``runs`` published runs, as ``receipts.run`` knows them, never saw."""
    oldest = warehouse.one(OLDEST_KEPT, {"runs": runs})
    warehouse.execute(f"delete from {TABLE} where last_seq < $oldest", {"oldest": oldest})

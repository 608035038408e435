"""Keeps the state of each row of each dataset in each published run, so that two runs can be compared row by row.

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
#: The oldest of the last so many published runs; states that ended before it are deleted.
OLDEST_KEPT = """
select min(seq) from (
    select seq from receipts.run where published order by seq desc limit $runs
)
"""


def carry_row_history(old: Warehouse, new: Warehouse) -> None:
    """Replace the states of one warehouse by those of another, as a stream: there may be millions."""
    with old.batches(TABLE, new.columns(TABLE)) as states:
        new.replace(TABLE, states)


def keep_row_history(warehouse: Warehouse, seq: int, before: int | None) -> None:
    """Write which states end and begin with run ``seq``; ``before`` is the last run that published, if one did."""
    warehouse.materialise("receipts.row_state")
    warehouse.execute(_END, {"before": before})
    warehouse.execute(_BEGIN, {"seq": seq})


def forget_row_history(warehouse: Warehouse, runs: int) -> None:
    """Delete the states that ended before the last ``runs`` published runs."""
    oldest = warehouse.one(OLDEST_KEPT, {"runs": runs})
    warehouse.execute(f"delete from {TABLE} where last_seq < $oldest", {"oldest": oldest})

"""The state of every record and pair in each published run, kept so that two runs can be compared row by row.

Only what changes is written: a state is a row with the first and the last published run that saw it.
"""

from etl.warehouse import Warehouse

TABLES = ("record_state", "pair_state")

_END_RECORDS = """
update receipts.record_state as state set last_seq = $before
where state.last_seq is null and not exists (
    from receipts.record_now as now
    where
        now.evidence_id = state.evidence_id
        and now.nth = state.nth
        and now.category = state.category
        and now.rag_reason is not distinct from state.rag_reason
        and now.sft_reason is not distinct from state.sft_reason
)
"""
_BEGIN_RECORDS = """
insert into receipts.record_state by name
select now.*, $seq as first_seq
from receipts.record_now as now
anti join (from receipts.record_state where last_seq is null) as state
    on now.evidence_id = state.evidence_id and now.nth = state.nth
"""
_END_PAIRS = """
update receipts.pair_state as state set last_seq = $before
where state.last_seq is null and not exists (
    from receipts.pair_now as now
    where
        now.id = state.id
        and now.rejected_category = state.rejected_category
        and now.reason is not distinct from state.reason
)
"""
_BEGIN_PAIRS = """
insert into receipts.pair_state by name
select now.*, $seq as first_seq
from receipts.pair_now as now
anti join (from receipts.pair_state where last_seq is null) as state on now.id = state.id
"""
#: The first of the last so many published runs; whatever ended before it is forgotten.
OLDEST_KEPT = """
select min(seq) from (
    select seq from receipts.run where published order by seq desc limit $runs
)
"""


def carry_states(old: Warehouse, new: Warehouse) -> None:
    """Put the states of one warehouse in place of those of another; there may be millions, so they are never all at hand."""
    for table in TABLES:
        columns = new.columns(f"receipts.{table}")
        with old.batches(f"receipts.{table}", columns) as states:
            new.replace(f"receipts.{table}", states)


def keep_states(warehouse: Warehouse, seq: int, before: int | None) -> None:
    """Write down which states run ``seq`` ends and begins; ``before`` is the last run that published, if one did."""
    warehouse.materialise("receipts.record_now")
    warehouse.materialise("receipts.pair_now")
    for end, begin in ((_END_RECORDS, _BEGIN_RECORDS), (_END_PAIRS, _BEGIN_PAIRS)):
        warehouse.execute(end, {"before": before})
        warehouse.execute(begin, {"seq": seq})


def forget_states(warehouse: Warehouse, runs: int) -> None:
    """Forget the states that the last ``runs`` published runs, as ``receipts.run`` knows them, never saw."""
    oldest = warehouse.one(OLDEST_KEPT, {"runs": runs})
    for table in TABLES:
        warehouse.execute(f"delete from receipts.{table} where last_seq < $oldest", {"oldest": oldest})

"""The state of every row of the datasets in each published run, kept so that two runs can be compared row by row.

Only what changes is written: a state is a row with the first and the last published run that saw it.
"""

from etl.warehouse.connection import Warehouse
from etl.warehouse.statements import read_sql

TABLE = "receipts.row_history"


def carry_row_history(old: Warehouse, new: Warehouse) -> None:
    """Put the states of one warehouse in place of those of another; there may be millions, so they are never all at hand."""
    with old.batches(TABLE, new.columns(TABLE)) as states:
        new.replace(TABLE, states)


def keep_row_history(warehouse: Warehouse, seq: int, before: int | None) -> None:
    """Write down which states run ``seq`` ends and begins; ``before`` is the last run that published, if one did."""
    warehouse.materialise("receipts.row_state")
    warehouse.execute(read_sql(__file__, "end_states"), {"before": before})
    warehouse.execute(read_sql(__file__, "begin_states"), {"seq": seq})


def forget_row_history(warehouse: Warehouse, runs: int) -> None:
    """Forget the states that the last ``runs`` published runs, as ``receipts.run`` knows them, never saw."""
    warehouse.execute(read_sql(__file__, "forget_states"), {"runs": runs})

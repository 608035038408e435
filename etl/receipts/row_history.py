"""Keeps the state of each row of each dataset in each published run, so that two runs can be compared row by row.

Only what changes is written: a state is a row with the first and the last published run that saw it.
"""

from etl.warehouse.connection import Warehouse
from etl.warehouse.statements import read_sql

TABLE = "receipts.row_history"


def carry_row_history(old: Warehouse, new: Warehouse) -> None:
    """Replace the states of one warehouse by those of another, as a stream: there may be millions."""
    with old.batches(TABLE, new.columns(TABLE)) as states:
        new.replace(TABLE, states)


def keep_row_history(warehouse: Warehouse, seq: int, before: int | None) -> None:
    """Write which states end and begin with run ``seq``; ``before`` is the last run that published, if one did."""
    warehouse.materialise("receipts.row_state")
    warehouse.execute(read_sql(__file__, "end_states"), {"before": before})
    warehouse.execute(read_sql(__file__, "begin_states"), {"seq": seq})


def forget_row_history(warehouse: Warehouse, runs: int) -> None:
    """Forget the states that the last ``runs`` published runs, as ``receipts.run`` knows them, never saw."""
    warehouse.execute(read_sql(__file__, "forget_states"), {"runs": runs})

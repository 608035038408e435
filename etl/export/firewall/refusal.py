"""Refuses rows: each record that a written row names is looked up, and what the row says of itself is not trusted."""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from etl.base.datasets import Dataset
from etl.base.errors import FirewallError
from etl.context import Run
from etl.warehouse.statements import read_sql

#: The columns of ``evidence.record`` that a row can carry.
CARRIED = ("prompt", "response", "run_id")

#: For each record of a pair: which columns of the pair carry which columns of the record.
PAIR = {side: {"prompt": "prompt", side: "response", f"{side}_run_id": "run_id"} for side in ("chosen", "rejected")}

#: Which category a pair may set over which.
PREFERENCES = ["accepted over partially_accepted", "accepted over rejected"]


def refuse_forbidden(run: Run, dataset: Dataset, written: Iterable[pa.Table], file: str) -> None:
    """Read the written rows of a dataset, and raise FirewallError for the first one, by id, that must not ship.

    Such a row is of a category that may never be there, is not what it says it is, or is there twice. The error names
    the ``file``.
    """
    sides = PAIR if dataset.grain == "pair" else {"record": dataset.carries}
    run.warehouse.execute(read_sql(__file__, "written"))
    for rows in written:
        for side, carries in sides.items():
            with run.warehouse.lent("written_rows", _select_records(rows, side, carries)):
                run.warehouse.execute(read_sql(__file__, "note"), {"side": side})
    carried = {column for carries in sides.values() for column in carries.values()}
    run.warehouse.execute(read_sql(__file__, "named"), {"carried": sorted(carried)})
    law = {"preferences": PREFERENCES} if dataset.grain == "pair" else {"never": sorted(dataset.never)}
    for row, problem in run.warehouse.execute(read_sql(__file__, dataset.grain), {"dataset": dataset.name, **law}):
        raise FirewallError(f"{file}: the row {row} {problem}; the views under sql/6_datasets should have kept it out.")
    for table in ("written", "named"):
        run.warehouse.execute(f"drop table raw.main.{table}")


def _select_records(rows: pa.Table, side: str, carries: Mapping[str, str]) -> pa.Table:
    """Return what rows say of one of their records, in the record's own columns; null in those that they do not carry."""
    carried = dict.fromkeys(CARRIED, pa.nulls(rows.num_rows, pa.string()))
    carried |= {record: rows[column] for column, record in carries.items()}
    place = rows["provenance"] if side == "record" else pc.struct_field(rows["provenance"], side)
    return pa.table({"id": rows["id"], "provenance": place, **carried})

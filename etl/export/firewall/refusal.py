"""Refuses rows: looks up each record that a written row names, and trusts nothing that the row says about itself."""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from etl.base.datasets import Dataset
from etl.base.errors import FirewallError
from etl.context import Run
from etl.warehouse.statements import read_sql

#: The columns of ``evidence.record`` that a row can carry.
CARRIED = ("prompt", "response", "run_id")

#: For each record of a pair: the columns of the pair that carry it, and the columns of ``evidence.record`` in them.
PAIR = {side: {"prompt": "prompt", side: "response", f"{side}_run_id": "run_id"} for side in ("chosen", "rejected")}

#: The categories that a pair may prefer one over the other.
PREFERENCES = ["accepted over partially_accepted", "accepted over rejected"]


def refuse_forbidden(run: Run, dataset: Dataset, written: Iterable[pa.Table], file: str) -> None:
    """Read the written rows of a dataset, and raise FirewallError for the first row, by id, that must not ship.

    A row must not ship if its category may never enter the dataset, if it does not match the records that it names, or if
    its id occurs twice. The error names the ``file``.
    """
    sides = PAIR if dataset.grain == "pair" else {"record": dataset.carries}
    run.warehouse.execute(read_sql(__file__, "written"))
    for rows in written:
        for side, carries in sides.items():
            with run.warehouse.lent("written_rows", _select_records(rows, side, carries)):
                run.warehouse.execute(read_sql(__file__, "note"), {"side": side, "carried": [*carries.values()]})
    run.warehouse.execute(read_sql(__file__, "named"))
    law = {"preferences": PREFERENCES} if dataset.grain == "pair" else {"never": sorted(dataset.never)}
    for row, problem in run.warehouse.execute(read_sql(__file__, dataset.grain), {"dataset": dataset.name, **law}):
        raise FirewallError(f"{file}: row {row} {problem}; the views in sql/6_datasets should have kept it out.")
    run.warehouse.execute("drop table raw.main.written")


def _select_records(rows: pa.Table, side: str, carries: Mapping[str, str]) -> pa.Table:
    """Return what rows carry of one of their records, in the record's columns; a column that they do not carry is null."""
    carried = dict.fromkeys(CARRIED, pa.nulls(rows.num_rows, pa.string()))
    carried |= {record: rows[column] for column, record in carries.items()}
    place = rows["provenance"] if side == "record" else pc.struct_field(rows["provenance"], side)
    return pa.table({"id": rows["id"], "provenance": place, **carried})

"""Explains an id: its file and line, its rule and category, and what each dataset decides about it."""

from typing import Any

from etl.base.errors import NotFoundError
from etl.base.project import Project
from etl.inspect.sql import as_json_holds
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.statements import read_sql


def explain(project: Project, wanted: str) -> dict[str, Any]:
    """Return everything known about an id: the records, pairs and skipped lines that it names, with their text.

    ``wanted`` is an evidence_id, an id of a dataset or quarantine, an item_sha256, the unique beginning of one of these
    (eight digits or more), or ``path:line``. Raises NotFoundError where nothing has that id, or several have.
    """
    with PublishedWarehouse.open(project.warehouse) as warehouse:
        wanted = _complete(warehouse, wanted)
        pairs = _read(warehouse, "pair", id=wanted)
        sides = [place for pair in pairs for place in pair["provenance"].values()]
        places = [f"{side['source_path']}:{side['item_number']}:{side['record_number']}" for side in sides]
        records = _read(warehouse, "record", places=places, id=wanted)
        skipped = as_json_holds(_read(warehouse, "skipped", id=wanted))
        if not pairs and not records and not skipped:
            raise NotFoundError(
                f"Nothing here has the id {wanted!r}; give an evidence_id, the id of an exported or quarantined row, "
                "an item_sha256, or path:line."
            )
        for record in records:
            record["pairs"] = _read(warehouse, "pair_of_record", id=record["evidence_id"])
        return {"id": wanted, "records": records, "pairs": pairs, "skipped": skipped}


def _complete(warehouse: Warehouse, wanted: str) -> str:
    """Return the only id that begins with ``wanted``, or ``wanted`` itself where none does."""
    found = _read(warehouse, "id", prefix=wanted)
    if len(found) > 1:
        raise NotFoundError(f"{len(found)} ids begin with {wanted!r}; give more digits.")
    return str(found[0]["id"]) if found else wanted


def _read(warehouse: Warehouse, name: str, **values: Any) -> list[dict[str, Any]]:
    """Return the rows of one of the statements beside this module."""
    return warehouse.dicts(read_sql(__file__, name), values)

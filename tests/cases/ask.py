"""What a case asks of a root: rows by SQL, and values of receipts. ``python ask.py query ROOT SQL`` prints rows for a shell."""

import json
import sys
from pathlib import Path
from typing import Any

import duckdb

#: The folder of each dataset below exports/, or its file without the ending.
PLACES = {
    "rag": "rag/playbooks",
    "sft": "sft/instruction_response",
    "preference": "preference/chosen_rejected",
    "quarantine/rag": "quarantine/rag",
    "quarantine/sft": "quarantine/sft",
    "quarantine/preference": "quarantine/preference",
}

_EXPORT_ROW = """
create temp table export_row (
    dataset varchar, reason varchar, source_path varchar, item_number bigint, record_number bigint, json json
)
"""


def query(root: Path, sql: str) -> list[list[str]]:
    """Return rows of the warehouse, a null as ``null``.

    ``export_row`` holds all exported and quarantined rows: ``reason`` is ``ships`` or the first reason, ``json`` the row, and a
    pair stands at the place of its chosen side.
    """
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as connection:
        if "export_row" in sql:
            connection.execute(_EXPORT_ROW)
            rows = [row for dataset in PLACES for row in _export_rows(root, dataset)]
            for row in rows:
                connection.execute("insert into export_row values (?, ?, ?, ?, ?, ?)", row)
        return [["null" if value is None else str(value) for value in row] for row in connection.execute(sql).fetchall()]


def _export_rows(root: Path, dataset: str) -> list[list[Any]]:
    rows = []
    for line in exported(root, dataset):
        row = json.loads(line)
        place = row["provenance"].get("chosen", row["provenance"])
        reason = row["quarantine_reason"] if "/" in dataset else "ships"
        names = ("source_path", "item_number", "record_number")
        rows.append([dataset.rpartition("/")[2], reason, *(place[name] for name in names), line.decode()])
    return rows


def exported(root: Path, dataset: str) -> list[bytes]:
    """Return the lines of all JSONL files of a dataset."""
    place = root / "exports" / PLACES[dataset]
    files = [place.with_name(f"{place.name}.jsonl"), *sorted(place.rglob("*.jsonl"))]
    return [line for file in files if file.is_file() for line in file.read_bytes().split(b"\n") if line]


def receipt(root: Path, name: str, keys: str = "") -> str:
    """Return a value of the newest run's document ``name``, by keys joined by dots."""
    folder = max(path for path in (root / "reports" / "distillation").iterdir() if path.is_dir())
    value = json.loads((folder / f"{name}.json").read_bytes())
    for key in filter(None, keys.split(".")):
        value = value[key]
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    what, at, *arguments = sys.argv[1:]
    if what == "query":
        print("\n".join(" ".join(row) for row in query(Path(at), *arguments)))
    else:
        print(receipt(Path(at), *arguments))

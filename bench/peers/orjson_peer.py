"""Writes the same rows in plain Python with orjson, and pyarrow for Parquet: python orjson_peer.py EVIDENCE OUT."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from itertools import islice, product
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from sums import write_sums
from titles import title_of

Row = dict[str, Any]

CATEGORIES = {"accept": "accepted", "partial": "partially_accepted", "reject": "rejected"}
REFUSED = {
    "rag": {"rejected": "unsafe_rag_category", "needs_human_review": "category_disallowed"},
    "sft": {
        "partially_accepted": "category_disallowed",
        "rejected": "unsafe_sft_category",
        "needs_human_review": "unsafe_sft_category",
    },
}
TIME = pa.timestamp("us", tz="UTC")
SIDE = pa.struct(
    {"source_path": pa.string(), "item_number": pa.int64(), "record_number": pa.int64(), "item_sha256": pa.string()}
)
TYPES = {"created_at": TIME, "quarantine_reasons": pa.list_(pa.string()), "provenance": SIDE}
ROWS_PER_GROUP = 10_000


def record_of(number: int, line: bytes) -> Row | None:
    """Return the record of a line; None for a bad line."""
    try:
        record: Row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if line.count(b'"source_class"') != 1 or record.get("task_id") is None:
        return None
    digest = sha256(line).hexdigest()
    return record | {
        "id": digest,
        "category": CATEGORIES.get(record.get("verdict", ""), "needs_human_review"),
        "time": datetime.fromisoformat(record["created_at"]),
        "provenance": {"source_path": "evidence.jsonl", "item_number": number, "record_number": 1, "item_sha256": digest},
    }


def records(evidence: Path) -> Iterator[Row]:
    """Yield the good lines as records."""
    with (evidence / "evidence.jsonl").open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if record := record_of(number, line.removesuffix(b"\n")):
                yield record


def rag(record: Row) -> Row:
    """Return a row of the rag dataset."""
    return {
        "id": record["id"],
        "source_run_id": record["run_id"],
        "task_id": record["task_id"],
        "source": "evidence",
        "source_category": record["category"],
        "title": title_of(record["prompt"]),
        "content": record["response"],
        "model": record["model"],
        "created_at": record["time"],
        "provenance": record["provenance"],
    }


def sft(record: Row) -> Row:
    """Return a row of the sft dataset."""
    return {
        "id": record["id"],
        "source_run_id": record["run_id"],
        "task_id": record["task_id"],
        "source": "evidence",
        "quality_score": record["category"],
        "instruction": record["prompt"],
        "response": record["response"],
        "model": record["model"],
        "created_at": record["time"],
        "provenance": record["provenance"],
    }


def refused(record: Row, reason: str) -> Row:
    """Return a row of a quarantine."""
    return {
        "id": record["id"],
        "source_run_id": record["run_id"],
        "task_id": record["task_id"],
        "category": record["category"],
        "quarantine_reason": reason,
        "quarantine_reasons": [reason],
        "detail": record["category"],
        "provenance": record["provenance"],
    }


def preference(chosen: Row, rejected: Row) -> Row:
    """Return a row of the preference dataset."""
    return {
        "id": chosen["id"] + rejected["id"],
        "task_id": chosen["task_id"],
        "prompt": chosen["prompt"],
        "chosen": chosen["response"],
        "rejected": rejected["response"],
        "chosen_run_id": chosen["run_id"],
        "rejected_run_id": rejected["run_id"],
        "chosen_category": chosen["category"],
        "rejected_category": rejected["category"],
        "reason": f"accepted_over_{rejected['category']}",
        "created_at": max(chosen["time"], rejected["time"]),
        "provenance": {"chosen": chosen["provenance"], "rejected": rejected["provenance"]},
    }


def pairs(found: list[Row]) -> Iterator[Row]:
    """Yield the pairs: at most five for a task."""
    tasks: dict[str, dict[tuple[str, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for record in found:
        tasks[record["task_id"]][record["prompt"], record["category"]].append(record)
    for sides in tasks.values():
        for side in sides.values():
            side.sort(key=itemgetter("time", "id"))
        window = [
            (max(i, j), i + j, i, chosen, rejected)
            for prompt, category in sides
            if category == "accepted"
            for (i, chosen), (j, rejected) in product(
                enumerate(sides[prompt, "accepted"][:5]),
                enumerate((sides.get((prompt, "rejected")) or sides.get((prompt, "partially_accepted"), []))[:5]),
            )
            if chosen["run_id"] != rejected["run_id"] and chosen["response"] != rejected["response"]
        ]
        window.sort(key=itemgetter(0, 1, 2))
        yield from (preference(chosen, rejected) for *_, chosen, rejected in window[:5])


def schema_of(row: Row) -> pa.Schema:
    """Return the types of a row's columns."""
    types = TYPES | ({"provenance": pa.struct({"chosen": SIDE, "rejected": SIDE})} if "chosen" in row else {})
    return pa.schema({name: types.get(name, pa.string()) for name in row})


def outputs(records: Iterable[Row]) -> Iterator[tuple[str, Iterable[Row]]]:
    """Yield the name and the rows of each output, ordered by id."""
    found = sorted(records, key=itemgetter("id"))
    yield "rag", (rag(record) for record in found if record["category"] in {"accepted", "partially_accepted"})
    yield "sft", (sft(record) for record in found if record["category"] == "accepted")
    yield "preference", sorted(pairs(found), key=itemgetter("id"))
    for dataset, reasons in REFUSED.items():
        refusals = (refused(record, reasons[record["category"]]) for record in found if record["category"] in reasons)
        yield f"quarantine_{dataset}", refusals


def in_json(row: Row) -> Row:
    """Return a row with its time as text."""
    return row | {"created_at": f"{row['created_at']:%Y-%m-%dT%H:%M:%S.%fZ}"} if "created_at" in row else row


def write(out: Path, name: str, rows: Iterable[Row]) -> None:
    """Write rows as JSONL and as Parquet."""
    waiting = iter(rows)
    batch = list(islice(waiting, ROWS_PER_GROUP))
    schema = schema_of(batch[0])
    with (
        (out / f"{name}.jsonl").open("wb") as lines,
        pq.ParquetWriter(out / f"{name}.parquet", schema, compression="zstd", compression_level=3) as groups,
    ):
        while batch:
            lines.writelines(orjson.dumps(in_json(row), option=orjson.OPT_APPEND_NEWLINE) for row in batch)
            groups.write_table(pa.Table.from_pylist(batch, schema))
            batch = list(islice(waiting, ROWS_PER_GROUP))


def main(evidence: Path, out: Path) -> None:
    """Read, sort, and write each output."""
    for name, rows in outputs(records(evidence)):
        write(out, name, rows)
    write_sums(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Writes the same rows with Hugging Face datasets: python datasets_peer.py EVIDENCE OUT."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, Features, List, Value, concatenate_datasets, disable_progress_bars, load_dataset
from sums import write_sums
from titles import title_of

Batch = dict[str, list[Any]]

CATEGORIES = {"accept": "accepted", "partial": "partially_accepted", "reject": "rejected"}
ROWS_PER_GROUP = 10_000
TEXT, TIME = Value("string"), Value("timestamp[us, tz=UTC]")
SIDE = {"source_path": TEXT, "item_number": Value("int64"), "record_number": Value("int64"), "item_sha256": TEXT}
RECORD = Features(
    dict.fromkeys(("id", "run_id", "task_id", "category", "model", "prompt", "response"), TEXT)
    | {"created_at": TIME, "provenance": SIDE}
)
RAG = Features(
    dict.fromkeys(("id", "source_run_id", "task_id", "source", "source_category", "title", "content", "model"), TEXT)
    | {"created_at": TIME, "provenance": SIDE}
)
SFT = Features(
    dict.fromkeys(("id", "source_run_id", "task_id", "source", "quality_score", "instruction", "response", "model"), TEXT)
    | {"created_at": TIME, "provenance": SIDE}
)
QUARANTINE = Features(
    dict.fromkeys(("id", "source_run_id", "task_id", "category", "quarantine_reason"), TEXT)
    | {"quarantine_reasons": List(TEXT), "detail": TEXT, "provenance": SIDE}
)
PREFERENCE = Features(
    dict.fromkeys(("id", "task_id", "prompt", "chosen", "rejected", "chosen_run_id", "rejected_run_id"), TEXT)
    | dict.fromkeys(("chosen_category", "rejected_category", "reason"), TEXT)
    | {"created_at": TIME, "provenance": {"chosen": SIDE, "rejected": SIDE}}
)


def records(batch: Batch, indices: list[int]) -> Batch:
    """Return the good lines of a batch as records."""
    found: Batch = {name: [] for name in RECORD}
    for index, line in zip(indices, batch["text"], strict=True):
        if "NaN" in line or "\ufffd" in line or line.count('"source_class"') != 1 or not line.endswith("}"):
            continue
        fields = json.loads(line)
        if "task_id" not in fields:
            continue
        digest = sha256(line.encode()).hexdigest()
        fields |= {
            "id": digest,
            "category": CATEGORIES.get(fields.get("verdict"), "needs_human_review"),
            "created_at": datetime.fromisoformat(fields["created_at"]),
            "provenance": {
                "source_path": "evidence.jsonl",
                "item_number": index + 1,
                "record_number": 1,
                "item_sha256": digest,
            },
        }
        for name, values in found.items():
            values.append(fields[name])
    return found


def rag(batch: Batch) -> Batch:
    """Return the rows of rag."""
    return {
        "source_run_id": batch["run_id"],
        "source": ["evidence"] * len(batch["id"]),
        "source_category": batch["category"],
        "title": [title_of(prompt) for prompt in batch["prompt"]],
        "content": batch["response"],
    }


def sft(batch: Batch) -> Batch:
    """Return the rows of sft."""
    return {
        "source_run_id": batch["run_id"],
        "source": ["evidence"] * len(batch["id"]),
        "quality_score": batch["category"],
        "instruction": batch["prompt"],
    }


def quarantine(batch: Batch, reasons: dict[str, str]) -> Batch:
    """Return the rows of a quarantine, each with the reason for its category."""
    reason = [reasons[category] for category in batch["category"]]
    return {
        "source_run_id": batch["run_id"],
        "quarantine_reason": reason,
        "quarantine_reasons": [[each] for each in reason],
        "detail": batch["category"],
    }


def preference(batch: Batch) -> Batch:
    """Return the rows of preference."""
    return {
        "id": [chosen + rejected for chosen, rejected in zip(batch["id"], batch["other_id"], strict=True)],
        "chosen": batch["response"],
        "rejected": batch["other_response"],
        "chosen_run_id": batch["run_id"],
        "rejected_run_id": batch["other_run_id"],
        "chosen_category": batch["category"],
        "rejected_category": batch["other_category"],
        "reason": [f"accepted_over_{category}" for category in batch["other_category"]],
        "created_at": [max(times) for times in zip(batch["created_at"], batch["other_created_at"], strict=True)],
        "provenance": [
            {"chosen": chosen, "rejected": rejected}
            for chosen, rejected in zip(batch["provenance"], batch["other_provenance"], strict=True)
        ],
    }


def pairs(record: Dataset) -> Iterator[tuple[int, int]]:
    """Yield the row numbers of both sides of each pair: at most five pairs for a task."""
    run_ids, responses, times = record["run_id"][:], record["response"][:], record["created_at"][:]
    tasks: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    sides = zip(record["task_id"][:], record["prompt"][:], record["category"][:], strict=True)
    for at, (task, prompt, category) in enumerate(sides):
        tasks[task][prompt, category].append(at)
    for sided in tasks.values():
        for side in sided.values():
            side.sort(key=lambda at: (times[at], at))
        window = [
            (max(i, j), i + j, i, chosen, rejected)
            for prompt, category in sided
            if category == "accepted"
            for (i, chosen), (j, rejected) in product(
                enumerate(sided[prompt, "accepted"][:5]),
                enumerate((sided.get((prompt, "rejected")) or sided.get((prompt, "partially_accepted"), []))[:5]),
            )
            if run_ids[chosen] != run_ids[rejected] and responses[chosen] != responses[rejected]
        ]
        yield from ((chosen, rejected) for *_, chosen, rejected in sorted(window)[:5])


def of_category(record: Dataset, *admitted: str) -> Dataset:
    """Return the records of the admitted categories."""
    return record.filter(
        lambda categories: [category in admitted for category in categories], input_columns="category", batched=True
    )


def paired(record: Dataset) -> Dataset:
    """Return the chosen records beside the rejected ones, ordered by both ids."""
    chosen, rejected = zip(*sorted(pairs(record)), strict=True)
    other = record.select(rejected)
    other = other.rename_columns({name: f"other_{name}" for name in other.column_names})
    return concatenate_datasets([record.select(chosen), other], axis=1)


def write(out: Path, name: str, rows: Dataset) -> None:
    """Write rows as JSONL and as Parquet; pyarrow writes Parquet, as to_parquet has no option for the compression."""
    schema = rows.features.arrow_schema
    with pq.ParquetWriter(out / f"{name}.parquet", schema, compression="zstd", compression_level=3) as groups:
        for table in rows.with_format("arrow").iter(batch_size=ROWS_PER_GROUP):
            groups.write_table(table)
    rows.to_json(out / f"{name}.jsonl", date_format="iso", date_unit="us")


def shaped(rows: Dataset, shape: Any, features: Features, **arguments: Any) -> Dataset:
    """Return rows with the columns of an output."""
    unwanted = [name for name in rows.column_names if name not in features]
    return rows.map(shape, batched=True, remove_columns=unwanted, features=features, fn_kwargs=arguments).select_columns(
        list(features)
    )


def main(evidence: Path, out: Path) -> None:
    """Read, sort, and write each output."""
    disable_progress_bars()
    lines = load_dataset(
        "text",
        data_files=str(evidence / "evidence.jsonl"),
        split="train",
        encoding_errors="replace",
        cache_dir=str(out / "cache"),
    )
    record = lines.map(records, batched=True, with_indices=True, remove_columns=["text"], features=RECORD).sort("id")
    write(out, "rag", shaped(of_category(record, "accepted", "partially_accepted"), rag, RAG))
    write(out, "sft", shaped(of_category(record, "accepted"), sft, SFT))
    write(out, "preference", shaped(paired(record), preference, PREFERENCE))
    reasons = {"rejected": "unsafe_rag_category", "needs_human_review": "category_disallowed"}
    write(out, "quarantine_rag", shaped(of_category(record, *reasons), quarantine, QUARANTINE, reasons=reasons))
    reasons = {
        "partially_accepted": "category_disallowed",
        "rejected": "unsafe_sft_category",
        "needs_human_review": "unsafe_sft_category",
    }
    write(out, "quarantine_sft", shaped(of_category(record, *reasons), quarantine, QUARANTINE, reasons=reasons))
    write_sums(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

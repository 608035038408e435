"""Writes the same rows with pandas: python pandas_peer.py EVIDENCE OUT."""

import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from sums import write_sums
from titles import title_of

CATEGORIES = {"accept": "accepted", "partial": "partially_accepted", "reject": "rejected"}
RAG = {
    "id": "id",
    "source_run_id": "run_id",
    "task_id": "task_id",
    "source": "source",
    "source_category": "category",
    "title": "title",
    "content": "response",
    "model": "model",
    "created_at": "created_at",
    "provenance": "provenance",
}
SFT = {
    "id": "id",
    "source_run_id": "run_id",
    "task_id": "task_id",
    "source": "source",
    "quality_score": "category",
    "instruction": "prompt",
    "response": "response",
    "model": "model",
    "created_at": "created_at",
    "provenance": "provenance",
}
QUARANTINE = {
    "id": "id",
    "source_run_id": "run_id",
    "task_id": "task_id",
    "category": "category",
    "quarantine_reason": "reason",
    "quarantine_reasons": "reasons",
    "detail": "category",
    "provenance": "provenance",
}
PREFERENCE = {
    "id": "id",
    "task_id": "task_id",
    "prompt": "prompt",
    "chosen": "response_chosen",
    "rejected": "response_rejected",
    "chosen_run_id": "run_id_chosen",
    "rejected_run_id": "run_id_rejected",
    "chosen_category": "category_chosen",
    "rejected_category": "category_rejected",
    "reason": "reason",
    "created_at": "created_at",
    "provenance": "provenance",
}


def is_good(line: bytes) -> bool:
    """Return whether a line is whole, UTF-8 and JSON, and has each key once; read_json stops at the first line that is not."""
    return line.endswith(b"}\n") and b"NaN" not in line and b"\xff" not in line and line.count(b'"source_class"') == 1


def records(evidence: Path) -> pd.DataFrame:
    """Return the good lines as records, in the order of their ids."""
    with (evidence / "evidence.jsonl").open("rb") as stream:
        good = [(number, line) for number, line in enumerate(stream, start=1) if is_good(line)]
    record = pd.read_json(BytesIO(b"".join(line for _, line in good)), lines=True, dtype=False)
    record["id"] = [sha256(line[:-1]).hexdigest() for _, line in good]
    record["source"] = "evidence"
    record["provenance"] = [
        {"source_path": "evidence.jsonl", "item_number": number, "record_number": 1, "item_sha256": digest}
        for (number, _), digest in zip(good, record["id"], strict=True)
    ]
    record["created_at"] = pd.to_datetime(record["created_at"], utc=True).astype("datetime64[us, UTC]")
    record["category"] = record["verdict"].map(CATEGORIES).fillna("needs_human_review")
    return record[record["task_id"].notna()].sort_values("id")


def shaped(frame: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Return the columns of an output: ``columns`` has the name of each, and the column that it comes from."""
    return pd.DataFrame({name: frame[origin] for name, origin in columns.items()})


def rag(record: pd.DataFrame) -> pd.DataFrame:
    """Return the rag dataset."""
    admitted = record["category"].isin(["accepted", "partially_accepted"])
    return shaped(record.assign(title=record["prompt"].map(title_of))[admitted], RAG)


def sft(record: pd.DataFrame) -> pd.DataFrame:
    """Return the sft dataset."""
    return shaped(record[record["category"] == "accepted"], SFT)


def quarantine(record: pd.DataFrame, reasons: dict[str, str]) -> pd.DataFrame:
    """Return the rows that a dataset refuses, each with the reason for its category."""
    refused = record[record["category"].isin(list(reasons))]
    reason = refused["category"].map(reasons)
    return shaped(refused.assign(reason=reason, reasons=[[each] for each in reason]), QUARANTINE)


def preference(record: pd.DataFrame) -> pd.DataFrame:
    """Return the preference dataset: at most five pairs for a task."""
    prompt = ["task_id", "prompt"]
    side = record[record["category"] != "needs_human_review"].sort_values(["created_at", "id"])
    is_rejected = side["category"] == "rejected"
    has_rejected = is_rejected.groupby([side["task_id"], side["prompt"]]).transform("any")
    side["place"] = side.groupby([*prompt, "category"]).cumcount()
    stands_in = (side["category"] == "partially_accepted") & ~has_rejected
    in_window = side["place"] < 5
    chosen = side[in_window & (side["category"] == "accepted")]
    rejected = side[in_window & (is_rejected | stands_in)]
    pair = chosen.merge(rejected, on=prompt, suffixes=("_chosen", "_rejected"))
    differ = (pair["run_id_chosen"] != pair["run_id_rejected"]) & (pair["response_chosen"] != pair["response_rejected"])
    i, j = pair["place_chosen"], pair["place_rejected"]
    pair = pair.assign(far=np.maximum(i, j), both=i + j)[differ].sort_values(["far", "both", "place_chosen"])
    pair = pair[pair.groupby("task_id").cumcount() < 5]
    pair["id"] = pair["id_chosen"] + pair["id_rejected"]
    pair["reason"] = "accepted_over_" + pair["category_rejected"]
    pair["created_at"] = pair[["created_at_chosen", "created_at_rejected"]].max(axis=1)
    pair["provenance"] = [
        {"chosen": chosen, "rejected": rejected}
        for chosen, rejected in zip(pair["provenance_chosen"], pair["provenance_rejected"], strict=True)
    ]
    return shaped(pair.sort_values("id"), PREFERENCE)


def write(out: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a frame as JSONL and as Parquet."""
    frame.to_parquet(out / f"{name}.parquet", compression="zstd", compression_level=3, index=False)
    frame.to_json(out / f"{name}.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")


def main(evidence: Path, out: Path) -> None:
    """Read, sort, and write each output."""
    record = records(evidence)
    write(out, "rag", rag(record))
    write(out, "sft", sft(record))
    write(out, "preference", preference(record))
    refused_by_rag = {"rejected": "unsafe_rag_category", "needs_human_review": "category_disallowed"}
    write(out, "quarantine_rag", quarantine(record, refused_by_rag))
    refused_by_sft = {
        "partially_accepted": "category_disallowed",
        "rejected": "unsafe_sft_category",
        "needs_human_review": "unsafe_sft_category",
    }
    write(out, "quarantine_sft", quarantine(record, refused_by_sft))
    write_sums(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Writes the same rows with polars: python polars_peer.py EVIDENCE OUT."""

import sys
from hashlib import sha256
from pathlib import Path

import polars as pl
from polars import col, lit
from sums import write_sums

FIELDS = pl.Struct(dict.fromkeys(("run_id", "task_id", "created_at", "model", "prompt", "response", "verdict"), pl.String))
CATEGORIES = {"accept": "accepted", "partial": "partially_accepted", "reject": "rejected"}


def hashes(lines: pl.Series) -> pl.Series:
    """Return the sha256 of each line, which polars cannot compute itself."""
    return pl.Series([sha256(line.encode()).hexdigest() for line in lines], dtype=pl.String)


def records(evidence: Path) -> pl.DataFrame:
    """Return the good lines as records, in the order of their ids."""
    lines = pl.scan_csv(
        evidence / "evidence.jsonl",
        separator="\x1f",
        quote_char=None,
        has_header=False,
        encoding="utf8-lossy",
        new_columns=["line"],
        row_index_name="item_number",
        row_index_offset=1,
    )
    line = col("line")
    is_good = (
        line.str.ends_with("}")
        & ~line.str.contains_any(["NaN", "\ufffd"])
        & (line.str.count_matches('"source_class"', literal=True) == 1)
    )
    return (
        lines.filter(is_good)
        .select(
            line.map_batches(hashes, return_dtype=pl.String).alias("id"),
            col("item_number").cast(pl.Int64),
            line.str.json_decode(FIELDS).alias("field"),
        )
        .unnest("field")
        .filter(col("task_id").is_not_null())
        .with_columns(
            col("created_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"),
            col("verdict").replace_strict(CATEGORIES, default="needs_human_review").alias("category"),
            pl.struct(
                lit("evidence.jsonl").alias("source_path"),
                "item_number",
                lit(1, pl.Int64).alias("record_number"),
                col("id").alias("item_sha256"),
            ).alias("provenance"),
        )
        .sort("id")
        .collect()
    )


def rag(record: pl.DataFrame) -> pl.DataFrame:
    """Return the rag dataset."""
    first_line = col("prompt").str.strip_chars().str.extract(r"^([^\n\r]*)")
    beginning = first_line.str.head(121)
    title = (
        pl.when(first_line.str.len_chars() <= 120)
        .then(first_line)
        .when(beginning.str.contains(r"\s"))
        .then(beginning.str.replace(r"\s\S*$", "").str.strip_chars())
        .otherwise(first_line.str.head(120))
    )
    return record.filter(col("category").is_in(["accepted", "partially_accepted"])).select(
        "id",
        col("run_id").alias("source_run_id"),
        "task_id",
        lit("evidence").alias("source"),
        col("category").alias("source_category"),
        pl.when(title != "").then(title).alias("title"),
        col("response").alias("content"),
        "model",
        "created_at",
        "provenance",
    )


def sft(record: pl.DataFrame) -> pl.DataFrame:
    """Return the sft dataset."""
    return record.filter(col("category") == "accepted").select(
        "id",
        col("run_id").alias("source_run_id"),
        "task_id",
        lit("evidence").alias("source"),
        col("category").alias("quality_score"),
        col("prompt").alias("instruction"),
        "response",
        "model",
        "created_at",
        "provenance",
    )


def quarantine(record: pl.DataFrame, reasons: dict[str, str]) -> pl.DataFrame:
    """Return the rows that a dataset refuses, each with the reason for its category."""
    return (
        record.filter(col("category").is_in(list(reasons)))
        .with_columns(col("category").replace_strict(reasons).alias("reason"))
        .select(
            "id",
            col("run_id").alias("source_run_id"),
            "task_id",
            "category",
            col("reason").alias("quarantine_reason"),
            pl.concat_list("reason").alias("quarantine_reasons"),
            col("category").alias("detail"),
            "provenance",
        )
    )


def preference(record: pl.DataFrame) -> pl.DataFrame:
    """Return the preference dataset: at most five pairs for a task."""
    prompt = ["task_id", "prompt"]
    side = (
        record.lazy()
        .filter(col("category") != "needs_human_review")
        .sort("created_at", "id")
        .with_columns(
            pl.int_range(pl.len()).over([*prompt, "category"]).alias("place"),
            (col("category") == "rejected").any().over(prompt).alias("has_rejected"),
        )
        .filter(col("place") < 5)
    )
    stands_in = (col("category") == "partially_accepted") & ~col("has_rejected")
    chosen = side.filter(col("category") == "accepted")
    rejected = side.filter((col("category") == "rejected") | stands_in)
    i, j = col("place"), col("place_rejected")
    return (
        chosen.join(rejected, on=prompt, suffix="_rejected", nulls_equal=True)
        .filter(col("run_id") != col("run_id_rejected"), col("response") != col("response_rejected"))
        .sort(pl.max_horizontal(i, j), i + j, i)
        .filter(pl.int_range(pl.len()).over("task_id") < 5)
        .select(
            (col("id") + col("id_rejected")).alias("id"),
            "task_id",
            "prompt",
            col("response").alias("chosen"),
            col("response_rejected").alias("rejected"),
            col("run_id").alias("chosen_run_id"),
            col("run_id_rejected").alias("rejected_run_id"),
            col("category").alias("chosen_category"),
            col("category_rejected").alias("rejected_category"),
            ("accepted_over_" + col("category_rejected")).alias("reason"),
            pl.max_horizontal("created_at", "created_at_rejected").alias("created_at"),
            pl.struct(col("provenance").alias("chosen"), col("provenance_rejected").alias("rejected")).alias("provenance"),
        )
        .sort("id")
        .collect()
    )


def write(out: Path, name: str, frame: pl.DataFrame) -> None:
    """Write a frame as JSONL and as Parquet."""
    frame.write_parquet(out / f"{name}.parquet", compression="zstd", compression_level=3)
    frame.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_ndjson(out / f"{name}.jsonl")


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

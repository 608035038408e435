"""The datasets: their names, their files, and what the re-read of the files must know of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset, as ``policy.dataset`` names it too; ``etl.checks`` has the contract of its rows.

    ``stem`` is the path of the folder of its parts under exports/, or of its files without their endings, where it is not in
    parts. A row is made from one record or from a pair.
    ``carries`` says of each column of a row that is made from one record, but for id and provenance, what of the record it
    holds: a column of ``evidence.record``, its category or its title. A record of a category in ``never`` must not be found
    in its files, whatever the views and the contract let through: the third layer of the firewall.
    """

    name: str
    stem: str
    grain: Literal["record", "pair"] = "record"
    carries: Mapping[str, str] = field(default_factory=dict)
    never: frozenset[str] = frozenset({"rejected", "needs_human_review"})

    @property
    def stage(self) -> str:
        """The stage that exports it."""
        return f"export-{self.name}"

    @property
    def relation(self) -> str:
        """The view of its candidate rows."""
        return f"datasets.{self.name}"

    @property
    def decisions(self) -> str:
        """The view that decides which candidate rows ship, for all datasets of this grain; it holds no text."""
        return "datasets.decision" if self.grain == "record" else "datasets.pair_decision"

    @property
    def reads(self) -> str:
        """The relation whose rows are its candidates."""
        return "scored.run" if self.grain == "record" else "pairs.candidate"

    @property
    def counts(self) -> tuple[str, ...]:
        """The relations that its receipt counts: how many rows shipped or not, and outcomes of records at the pairing."""
        if self.grain == "record":
            return ("receipts.decision_count",)
        return ("receipts.pair_decision_count", "receipts.outcome_count")

    @property
    def splits(self) -> str:
        """The relation that its receipt asks how many rows shipped on each side of the split."""
        return "receipts.split_count" if self.grain == "record" else "receipts.pair_split_count"

    @property
    def relations(self) -> tuple[str, ...]:
        """All relations that its export and its receipt read."""
        return (self.reads, self.relation, self.decisions, *self.counts)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns, of its relation and its decisions, that name the records of a row."""
        return ("record_key",) if self.grain == "record" else ("chosen_key", "rejected_key")

    @property
    def order(self) -> tuple[str, ...]:
        """The columns of its decisions that order its rows: their place in the evidence, that of a chosen record first."""
        place = ("source_path", "item_number", "record_number")
        return place if self.grain == "record" else (*place, *(f"rejected_{name}" for name in place))

    @property
    def ships(self) -> str:
        """The condition, in SQL, for a row to ship."""
        return "quarantine_reason is null" + ("" if self.grain == "record" else " and skip_reason is null")

    @property
    def quarantine_stem(self) -> str:
        """The stem of what holds its refused rows."""
        return f"quarantine/{self.name}"


#: What rows of most datasets hold of their record, by their columns.
OF_RECORD = {name: name for name in ("task_id", "source", "model", "created_at")} | {"source_run_id": "run_id"}

#: The datasets in the order of policy.dataset.
DATASETS = (
    Dataset(
        "rag",
        "rag/playbooks",
        carries=OF_RECORD | {"source_category": "category", "title": "title", "content": "response"},
        never=frozenset({"rejected"}),
    ),
    Dataset(
        "sft",
        "sft/instruction_response",
        carries=OF_RECORD
        | {
            "quality_score": "category",
            "instruction": "prompt",
            "response": "response",
            "messages": "messages",
            "tools": "tools",
        },
    ),
    Dataset("preference", "preference/chosen_rejected", grain="pair"),
)

#: The stems of all datasets, and of what they refuse.
STEMS = tuple(stem for dataset in DATASETS for stem in (dataset.stem, dataset.quarantine_stem))

#: The endings of the files of a dataset: each holds the same rows in two formats.
ENDINGS = (".jsonl", ".parquet")

_EXPORTED = re.compile(rf"({'|'.join(map(re.escape, STEMS))})(/part-[0-9]{{5,}})?({'|'.join(map(re.escape, ENDINGS))})")


def part_of(stem: str, number: int) -> str:
    """Return the path of a part of a dataset without its ending; the names of parts have the order of their numbers."""
    return f"{stem}/part-{number:05}"


def is_exported(path: str) -> bool:
    """Return whether a run writes a file of this path below exports/."""
    return _EXPORTED.fullmatch(path) is not None


def exported_files(exports: Path, stem: str) -> list[Path]:
    """Return the files of a dataset that are there, sorted."""
    files = [*exports.glob(f"{stem}/*"), *(exports / f"{stem}{ending}" for ending in ENDINGS)]
    return sorted(file for file in files if file.is_file() and is_exported(file.relative_to(exports).as_posix()))

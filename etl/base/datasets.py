"""The datasets: their names, their files, and what the re-read of the files must know of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset, as ``policy.dataset`` names it too; ``etl.checks`` has the contract of its rows.

    ``stem`` is the path of its files under exports/, without their endings. A row is made from one record or from a pair.
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
    def relations(self) -> tuple[str, ...]:
        """All relations that its export and its receipt read."""
        return (self.reads, self.relation, self.decisions, *self.counts)

    @property
    def ships(self) -> str:
        """The condition, in SQL, for a row to ship."""
        return "quarantine_reason is null" + ("" if self.grain == "record" else " and skip_reason is null")

    @property
    def quarantine_stem(self) -> str:
        """The stem of the files that hold its refused rows."""
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

#: Every file that a run writes, by its path below exports/.
EXPORTED_FILES = frozenset(
    f"{stem}{ending}"
    for dataset in DATASETS
    for stem in (dataset.stem, dataset.quarantine_stem)
    for ending in (".jsonl", ".parquet")
)

"""What the documents of a run say that a dataset card tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from msgspec import Struct, field
from msgspec.json import decode

from etl.export.formats.format import Origin


class Stats(Struct):
    """What became of the records of a stage."""

    accepted: int
    rejected: int
    quarantined: int
    skipped: int


class Side(Struct):
    """The files that a stage read, or wrote."""

    hash: str
    record_count: int


class Receipt(Struct):
    """What a card tells of a receipt."""

    stage: str
    stats: Stats
    counts_by_reason: dict[str, dict[str, int]]
    inputs: Side
    outputs: Side
    code_hash: str


class Request(Struct):
    """What a run was asked for."""

    settings: dict[str, bool | int | float | str | None]


class Summary(Struct):
    """What a card tells of the summary of a run."""

    run_id: str
    seq: int
    started_at: str
    request: Request
    overlay: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """The summary of a run, its sha256, its receipts, and the licence of each source, None where etl.toml gives none."""

    origin: Origin
    summary: Summary
    summary_sha256: str
    receipts: tuple[Receipt, ...]
    licenses: Mapping[str, str | None]

    @classmethod
    def of(cls, origin: Origin) -> "Facts":
        """Return the facts of the run that published the rows; sources are those whose texts are in them."""
        first, *others = origin.documents.values()
        summary = decode(first, type=Summary)
        given = summary.request.settings
        licenses = {source: given.get(f"sources.{source}.license") for source in sorted({a.source for a in origin.authors})}
        return cls(
            origin=origin,
            summary=summary,
            summary_sha256=sha256(first.encode()).hexdigest(),
            receipts=tuple(decode(text, type=Receipt) for text in others),
            licenses={source: None if value is None else str(value) for source, value in licenses.items()},
        )

    @property
    def license(self) -> str | None:
        """The licence of all sources, ``other`` where they have several, None where one has none."""
        found = {*self.licenses.values()}
        if not found or None in found:
            return None
        return "other" if len(found) > 1 else found.pop()

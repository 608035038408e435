"""The documents that a run leaves: their fields, types and meaning, each defined here and validated before it is written."""

import hashlib
import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from jiter import from_json
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

#: The id of a run: when it began (UTC), and its number. It names the run's folder, so it holds nothing that leads elsewhere.
RunId = Annotated[str, Field(pattern=r"^\d{8}T\d{6}Z-\d{4,}$")]


def _is_real(time: str) -> str:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        raise PydanticCustomError("time", "this time does not exist") from None
    return time


Time = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"), AfterValidator(_is_real)]
Count = Annotated[int, Field(ge=0)]
Status = Literal["ok", "reused", "failed", "not_run"]
Severity = Literal["ok", "warn", "alert"]

#: The states of a stage whose output counts.
DONE: tuple[Status, ...] = ("ok", "reused")

#: How the error of a stage begins whose counts do not add up: its receipt keeps them as they were counted.
UNBALANCED = "The books do not balance:"


class Document(BaseModel):
    """A frozen document with no field beyond those it names."""

    # a document is written with every field, so a schema may promise them all
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, json_schema_serialization_defaults_required=True
    )

    @classmethod
    def of_json(cls, content: bytes) -> Self:
        """Return the document that stands in these bytes, read strictly: no other types, no field more, no key twice.

        Raises ValueError (as pydantic's is).
        """
        from_json(content, allow_inf_nan=False, catch_duplicate_keys=True)
        return cls.model_validate_json(content, strict=True)

    def to_json(self) -> str:
        """Return the document as it is written: validated once more, indented, ending in a line feed."""
        written = self.model_dump_json(by_alias=True, indent=2)
        type(self).model_validate_json(written)
        return written + "\n"

    def to_line(self) -> str:
        """Return the document as one line of JSON Lines, validated once more, without the line feed.

        It is ASCII, so that whatever splits lines or shows them sees the same line.
        """
        return json.dumps(json.loads(self.to_json()), separators=(",", ":"))


class FileEntry(Document):
    """A file or relation that a stage read or wrote.

    ``path`` is relative to the evidence folder (inputs) or the root (outputs), or the name of a relation, which has no
    ``bytes``. ``sha256`` is null for a file that could not be read. ``columns`` are the names and types in a Parquet file
    (``id: string``), null for all others. ``carried`` says that the hash is an earlier run's: the file was not read again,
    as nothing that the file system says of it has changed.
    """

    path: str
    sha256: Sha256 | None
    bytes: Count | None
    record_count: Count
    columns: list[str] | None = None
    carried: bool = False


class Side(Document):
    """What went in, or came out: entries, how many records pass here, and the hash over the entries."""

    files: list[FileEntry]
    record_count: Count
    hash: Sha256

    @classmethod
    def of(cls, files: Iterable[FileEntry], record_count: int) -> "Side":
        """Return the side with its entries sorted by path, and their aggregate hash."""
        entries = sorted(files, key=lambda entry: entry.path)
        return cls(files=entries, record_count=record_count, hash=aggregate_hash(entries))


class Stats(Document):
    """What became of the records; together they are the records in."""

    accepted: Count = 0
    rejected: Count = 0
    quarantined: Count = 0
    skipped: Count = 0


class CountsByReason(Document):
    """How many records each first reason set aside; the counts of each map add up to its stat."""

    rejected: dict[str, Count] = Field(default_factory=dict)
    quarantined: dict[str, Count] = Field(default_factory=dict)
    skipped: dict[str, Count] = Field(default_factory=dict)


class Records(Document):
    """The second count of a stage that exports pairs: every scored record, by its outcome at the pairing."""

    in_: Count = Field(alias="in")
    by_outcome: dict[str, Count]


class Grades(Document):
    """The second count of score: grades of attempts that others tell of, by how many they meet, see scored.grade."""

    met: Count = 0
    ambiguous_grade: Count = 0
    unmatched_grade: Count = 0


class HoldoutMatches(Document):
    """What score found of the hold-out: how many of its lines name a task of the evidence, and which lines name none.

    ``records`` are those that it reserves, with those of tasks in the same group, see scored.task_group.
    """

    matched: Count
    unmatched: list[Count]
    records: Count


class Splits(Document):
    """How many rows of a dataset ship on each side of the split.

    ``moved`` are those among them whose tasks the version before had on another side.
    """

    train: Count = 0
    validation: Count = 0
    test: Count = 0
    moved: Count = 0


class Items(Document):
    """The second count of collect: what became of the items of the evidence; mapped and part are those accepted."""

    mapped: Count
    part: Count
    skipped: Count
    blank: Count


class Files(Document):
    """How many files of the evidence folder were read, and how many are ignored, by the rule that says so.

    ``ignored_members`` are those of archives that were read.
    """

    read: Count
    ignored: dict[str, Count] = Field(default_factory=dict)
    ignored_members: dict[str, Count] = Field(default_factory=dict)


class Validation(Document):
    """Whether the stage did all it should, and sentences about what it did not."""

    passed: bool
    errors: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class Engine(Document):
    """The versions of the programs that computed it."""

    etl: str
    duckdb: str
    python: str


class StageReceipt(Document):
    """StageReceipt v1: one stage of one run."""

    schema_version: Literal[1] = 1
    run_id: str
    stage: str
    status: Status
    timestamp: Time
    git_commit: str | None
    inputs: Side
    outputs: Side
    stats: Stats
    counts_by_reason: CountsByReason
    blank: Count = 0
    items: Items | None = None
    records: Records | Count | None = None
    grades: Grades | None = None
    holdout: HoldoutMatches | None = None
    splits: Splits | None = None
    files: Files | None = None
    validation: Validation
    duration_ms: Count
    code_hash: Sha256
    settings_hash: Sha256
    engine: Engine
    made_by: str | None = None

    @property
    def outcomes(self) -> dict[str, int]:
        """How many records have which outcome at the pairing; none where the stage does not export pairs."""
        return self.records.by_outcome if isinstance(self.records, Records) else {}

    def reused(self, run_id: str, timestamp: str, carried: Collection[str]) -> "StageReceipt":
        """Return the receipt of this stage in a later run that does not do it again; ``carried`` are files not read again."""

        def mark(side: Side) -> Side:
            files = [entry.model_copy(update={"carried": entry.path in carried}) for entry in side.files]
            return side.model_copy(update={"files": files})

        now: dict[str, object] = {"run_id": run_id, "timestamp": timestamp, "duration_ms": 0, "status": "reused"}
        now |= {"made_by": self.made_by or self.run_id, "inputs": mark(self.inputs), "outputs": mark(self.outputs)}
        if self.splits:
            now["splits"] = self.splits.model_copy(update={"moved": 0})
        return self.model_copy(update=now)


class StageSummary(Document):
    """One stage in the summary of its run."""

    name: str
    status: Status
    records_in: Count
    records_out: Count
    stats: Stats
    inputs_hash: Sha256
    outputs_hash: Sha256
    passed: bool

    @classmethod
    def of(cls, receipt: StageReceipt) -> "StageSummary":
        """Return what the summary says of a receipt."""
        inputs, outputs = receipt.inputs, receipt.outputs
        counts = {"records_in": inputs.record_count, "records_out": outputs.record_count, "stats": receipt.stats}
        hashes = {"inputs_hash": inputs.hash, "outputs_hash": outputs.hash}
        whole = {"name": receipt.stage, "status": receipt.status, "passed": receipt.validation.passed}
        return cls.model_validate(whole | counts | hashes)


class RunRequest(Document):
    """What the user asked a run for: enough to ask for the same again.

    ``evidence``, ``known_paths`` and ``holdout`` are relative to the root where they lie under it. ``settings`` are all of
    them, as they were in force; those of a source are named ``sources.NAME.KEY``, and their values are texts.
    """

    stages: list[str]
    evidence: str
    known_paths: str | None
    holdout: str | None
    settings: dict[str, bool | int | float | str | None]
    fail_fast: bool
    force: bool
    rehash: bool = False


class Named(Document):
    """A file, or a bundle of files, by its name and the sha256 of its bytes."""

    path: str
    sha256: Sha256


class RunSummary(Document):
    """RunSummary v1: one run. The totals are sums over its stages, ``datasets`` the rows shipped in each dataset.

    ``previous`` is the sha256 of the summary.json of the run before it, and ``documents`` binds every other file in the
    run's folder: whoever knows the newest summary's hash can tell whether any document of any run was changed.
    ``materials`` are what computed the run: the SQL bundle, and the lock file where it is known. ``overlay`` names the
    files of the root's own sql/ folder that replace rules of the product, and so decide in its place.
    """

    schema_version: Literal[1] = 1
    run_id: str
    seq: Annotated[int, Field(ge=1)]
    previous: Sha256 | None
    started_at: Time
    published: bool
    stages: list[StageSummary]
    datasets: dict[str, Count]
    total_records_in: Count
    total_records_out: Count
    total_accepted: Count
    total_rejected: Count
    total_quarantined: Count
    total_skipped: Count
    overall_passed: bool
    run_hash: Sha256
    request: RunRequest
    materials: list[Named]
    overlay: list[str] = Field(default_factory=list)
    documents: list[Named]


class ReleasedRows(Document):
    """What became of published rows in a dataset of a trainer.

    ``read`` are the rows, ``written`` the lines that they gave; ``left_out`` counts by reason what the trainer
    cannot take, and what ``where`` and ``max_chars`` leave out.
    """

    read: Count
    written: Count
    left_out: dict[str, Count] = Field(default_factory=dict)


class ReleaseReceipt(Document):
    """ReleaseReceipt v1: published datasets, written as files for a trainer.

    ``run_id`` and ``summary_sha256`` name the run that published them, ``previous`` is the sha256 of the receipt of the
    export before. Prompts of tasks are an input by the name ``datasets.prompt``; their hash is over them as lines of JSON.
    ``out`` is the folder of the files, relative to the root where it lies there. ``where`` and ``max_chars``
    are the options that chose rows. ``rows`` are by the trainer's datasets.
    """

    schema_version: Literal[1] = 1
    seq: Annotated[int, Field(ge=1)]
    previous: Sha256 | None
    run_id: RunId
    summary_sha256: Sha256
    timestamp: Time
    trainer: str
    out: str
    where: str | None
    max_chars: Count | None
    inputs: Side
    outputs: Side
    rows: dict[str, ReleasedRows]
    code_hash: Sha256
    engine: Engine


class Head(Document):
    """The newest run of a root: all that must be known to check the whole chain."""

    schema_version: Literal[1] = 1
    seq: Annotated[int, Field(ge=1)]
    run_id: str
    sha256: Sha256


class DriftStage(Document):
    """How a stage differs from the prior run; null where there is nothing to compare with."""

    stage: str
    delta_records_in: int | None
    delta_records_out: int | None
    delta_accepted: int | None
    delta_quarantined: int | None
    pct_change_out: float | None
    input_hash_match: bool | None
    output_hash_match: bool | None
    deterministic_violation: bool
    notes: list[str]


class DriftReport(Document):
    """DriftReport v1: one run against the prior one that published."""

    schema_version: Literal[1] = 1
    run_id: str
    prior_run_id: str | None
    severity: Severity
    flags: list[str]
    stages: list[DriftStage]


class Pin(Document):
    """The pinned run: drift compares later runs with it, and not each with the one before."""

    schema_version: Literal[1] = 1
    run_id: str


class Check(Document):
    """One thing that was checked, its state, and what to do if it is not well.

    ``unchecked`` does not count as a failure: a file is gone, has grown, was replaced by a newer run, or is somebody else's.
    """

    what: str
    status: Literal["ok", "warn", "failed", "unchecked"]
    detail: str

    def __init__(self, what: str, status: str, detail: str, **more: object) -> None:
        fields: dict[str, Any] = {"what": what, "status": status, "detail": detail}
        super().__init__(**fields, **more)


def aggregate_hash(entries: Iterable[FileEntry]) -> str:
    """Return the sha256 hex over entries sorted by path: each path and each digest after its length as 8 bytes, big-endian.

    The lengths keep apart what plain joining would confuse. A missing digest counts as empty.
    """
    ordered = sorted(entries, key=lambda entry: entry.path)
    return _hash_over(text for entry in ordered for text in (entry.path, entry.sha256 or ""))


def run_hash(stages: Iterable[StageReceipt]) -> str:
    """Return the sha256 hex over stage, inputs.hash and outputs.hash of each stage in order, each after its length."""
    return _hash_over(text for stage in stages for text in (stage.stage, stage.inputs.hash, stage.outputs.hash))


def _hash_over(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for encoded in map(str.encode, texts):
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()

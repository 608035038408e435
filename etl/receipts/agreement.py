"""What the documents of a run claim, held against what follows from its other documents.

Most fields of a document follow from others: sums, hashes over lists, what one stage handed to the next, what a reused stage
took over. Each such field is a :class:`Claim`. Whoever edits a document and computes all hashes of the chain anew breaks a
claim, or has changed a field that nothing else determines.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from etl.base.terminal import short
from etl.context import IGNORE_FILE
from etl.receipts.models import (
    DONE,
    UNBALANCED,
    CountsByReason,
    Document,
    DriftReport,
    FileEntry,
    Records,
    RunSummary,
    Side,
    StageReceipt,
    Stats,
    aggregate_hash,
)
from etl.receipts.report import totals
from etl.receipts.store import SUMMARY

T = TypeVar("T")

DRIFT, PAGE = "drift.json", "summary.md"

#: The stages that export nothing, each with the stats that it never has.
NEVER: Mapping[str, Sequence[str]] = {"collect": ("rejected", "quarantined"), "score": ("skipped",)}

#: What the receipt of a stage holds that was not run, beside who made it, when and with what.
NOTHING: Mapping[str, object] = {"inputs": Side.of([], 0), "outputs": Side.of([], 0), "stats": Stats()} | {
    **dict.fromkeys(("items", "records", "grades", "holdout", "splits", "files", "made_by")),
    "counts_by_reason": CountsByReason(),
    "blank": 0,
    "duration_ms": 0,
}


class Claim(NamedTuple):
    """A field of a document: what stands there, and what follows from ``source``."""

    document: str
    field: str
    stands: object
    follows: object
    source: str

    def __str__(self) -> str:
        stands, follows = short(str(self.stands)), short(str(self.follows))
        return f"{short(self.field)} is {stands}, but {follows} follows from {self.source}"


@dataclass(frozen=True, slots=True)
class RunDocuments:
    """The documents of a run; its receipts by the stages that their files are named after, in the order of the summary."""

    summary: RunSummary
    receipts: Mapping[str, StageReceipt]
    drift: DriftReport
    page: str


def read_run(folder: Path, summary: RunSummary) -> tuple[RunDocuments | None, dict[str, str]]:
    """Return the documents in a run's folder, or None, and for each document that cannot be read a sentence, by its name."""
    receipts, damaged = read_receipts(folder, summary)
    drift, problem = _read(folder / DRIFT, DriftReport.of_json)
    page, problem_of_page = _read(folder / PAGE, bytes.decode)
    damaged |= {name: why for name, why in ((DRIFT, problem), (PAGE, problem_of_page)) if why}
    run = RunDocuments(summary, receipts, drift, page) if drift and page is not None and not damaged else None
    return run, damaged


def read_receipts(folder: Path, summary: RunSummary) -> tuple[dict[str, StageReceipt], dict[str, str]]:
    """Return the receipts in a run's folder by stage, and a sentence for each that cannot be read, by its file's name."""
    receipts, damaged = {}, {}
    for stage in summary.stages:
        receipt, problem = _read(folder / f"{stage.name}.json", StageReceipt.of_json)
        if receipt:
            receipts[stage.name] = receipt
        else:
            damaged[f"{stage.name}.json"] = problem
    return receipts, damaged


def _read(file: Path, parse: Callable[[bytes], T]) -> tuple[T | None, str]:
    """Return what stands in a file, or None and a sentence."""
    try:
        return parse(file.read_bytes()), ""
    except (OSError, ValueError) as error:
        return None, f"it is missing or damaged: {str(error).splitlines()[0]}"


def contradictions(run: RunDocuments, before: RunDocuments | None) -> Iterator[Claim]:
    """Yield each field of a run's documents that is not what follows from the others.

    ``before`` is the last run before it that published, from which stages are reused; None where there is none, or where its
    documents cannot be read: then nothing is said of what they hold.
    """
    claims = [*_of_summary(run), *_of_drift(run)]
    for name in run.receipts:
        claims += _of_receipt(run, name)
        claims += _of_books(run, name)
    if before:
        claims += _of_before(run, before)
    yield from (claim for claim in claims if claim.stands != claim.follows)


def unlike(document: str, stands: Document, follows: Document, source: str) -> Iterator[Claim]:
    """Yield a claim for each field in which a document differs from the one that follows from ``source``."""
    if stands != follows:
        left, right = dict(_fields(stands.model_dump(by_alias=True))), dict(_fields(follows.model_dump(by_alias=True)))
        for field in left | right:
            if left.get(field, "absent") != right.get(field, "absent"):
                yield Claim(document, field, left.get(field, "absent"), right.get(field, "absent"), source)


def _fields(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield each field that holds no others, with its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner:
        yield path, value
    for key, item in inner:
        yield from _fields(item, f"{path}.{key}" if path else str(key))


def _of_summary(run: RunDocuments) -> Iterator[Claim]:
    """Yield what a summary says of the receipts, and of its own stages."""
    summary, receipts, claim = run.summary, list(run.receipts.values()), partial(Claim, SUMMARY)
    names = [stage.name for stage in summary.stages]
    yield claim("run_id", summary.run_id.rpartition("-")[2], f"{summary.seq:04d}", "seq")
    yield claim("stages", names, list(dict.fromkeys([*NEVER, *names])), "the rule that each stage has one receipt")
    yield claim("published", summary.published, {receipt.status for receipt in receipts} <= {*DONE}, "the receipts")
    follows = summary.model_copy(update=totals(receipts, summary.published))
    yield from unlike(SUMMARY, summary, follows, "the receipts")
    bound = [document.path for document in summary.documents]
    yield claim("documents", bound, sorted([DRIFT, PAGE, *(f"{name}.json" for name in names)]), "stages")


def _of_drift(run: RunDocuments) -> Iterator[Claim]:
    """Yield what a drift report says of the run; the rest of it follows by views, see etl.receipts.remake."""
    done = [name for name, receipt in run.receipts.items() if receipt.status in DONE]
    yield Claim(DRIFT, "run_id", run.drift.run_id, run.summary.run_id, SUMMARY)
    yield Claim(DRIFT, "stages", [stage.stage for stage in run.drift.stages], done, SUMMARY)


def _of_receipt(run: RunDocuments, name: str) -> Iterator[Claim]:
    """Yield what must hold for a receipt of any stage in any state."""
    receipt, claim = run.receipts[name], partial(Claim, f"{name}.json")
    yield claim("run_id", receipt.run_id, run.summary.run_id, SUMMARY)
    yield claim("stage", receipt.stage, name, "its name")
    for side, files in (("inputs", receipt.inputs.files), ("outputs", receipt.outputs.files)):
        paths = [entry.path for entry in files]
        yield claim(f"{side}.files", paths, sorted({*paths}), "the order of paths, each once")
        yield claim(f"{side}.hash", getattr(receipt, side).hash, aggregate_hash(files), f"{side}.files")
        for at, entry in enumerate(files):
            yield claim(f"{side}.files.{at}.carried", entry.carried, entry.carried and entry.bytes is not None, "bytes")
    first_name, first = next(iter(run.receipts.items()))
    yield claim("code_hash", receipt.code_hash, first.code_hash, f"{first_name}.json")
    for program, version in receipt.engine:
        yield claim(f"engine.{program}", version, getattr(first.engine, program), f"{first_name}.json")
    own = {other: made for other, made in run.receipts.items() if made.made_by is None}
    if receipt.made_by is None:
        maker = next(iter(own))
        yield claim("git_commit", receipt.git_commit, own[maker].git_commit, f"{maker}.json")
    errors = receipt.validation.errors
    passed = receipt.status in DONE and not errors
    yield claim("validation.passed", receipt.validation.passed, passed, "status and validation.errors")
    if receipt.status in DONE:
        yield claim("status", receipt.status, "reused" if receipt.made_by else "ok", "made_by")
    elif receipt.status == "failed":
        yield claim("status", "failed", "failed" if errors else "not_run", "validation.errors")
    else:
        validation = receipt.validation.model_copy(update={"errors": [], "warnings": []})
        empty = receipt.model_copy(update={**NOTHING, "validation": validation})
        yield from unlike(f"{name}.json", receipt, empty, "status")


def _of_books(run: RunDocuments, name: str) -> Iterator[Claim]:
    """Yield what must hold for the counts of a receipt, and for what it took over from the stages before it.

    Nothing, where the run itself failed because of its counts.
    """
    receipt, claim = run.receipts[name], partial(Claim, f"{name}.json")
    if receipt.status == "failed" and any(error.startswith(UNBALANCED) for error in receipt.validation.errors):
        return
    stats, inputs, outputs = receipt.stats, receipt.inputs, receipt.outputs
    yield claim("inputs.record_count", inputs.record_count, sum(dict(stats).values()), "stats")
    side, files = ("outputs", outputs.files) if name == "score" else ("inputs", inputs.files)
    yield claim("inputs.record_count", inputs.record_count, _records(files), f"{side}.files")
    for stat, reasons in receipt.counts_by_reason:
        yield claim(f"stats.{stat}", getattr(stats, stat), sum(reasons.values()), f"counts_by_reason.{stat}")
    of_records, of_pairs = ("rejected", "skipped"), ("rejected",)
    for stat in NEVER.get(name, of_pairs if isinstance(receipt.records, Records) else of_records):
        yield claim(f"stats.{stat}", getattr(stats, stat), 0, "the stage")
    yield from _of_items(receipt, claim)
    if receipt.grades:
        grades = _records(inputs.files) - inputs.record_count
        yield claim("grades", sum(dict(receipt.grades).values()), grades, "inputs.files and inputs.record_count")
    if name in NEVER:
        yield claim("outputs.record_count", outputs.record_count, _records(outputs.files), "outputs.files")
    else:
        yield from _of_export(receipt, claim)
    if isinstance(receipt.records, Records) and "score" in run.receipts:
        scored = run.receipts["score"].outputs.record_count
        yield claim("records.in", receipt.records.in_, scored, "outputs.record_count of score.json")
        yield claim("records.in", receipt.records.in_, sum(receipt.outcomes.values()), "records.by_outcome")
    yield from _of_handed_on(run, name, claim)


def _of_items(receipt: StageReceipt, claim: Callable[..., Claim]) -> Iterator[Claim]:
    """Yield what collect says of items and files."""
    items, stats, files = receipt.items, receipt.stats, receipt.inputs.files
    yield claim("blank", receipt.blank, items.blank if items else 0, "items")
    if items:
        yield claim("stats.accepted", stats.accepted, items.mapped + items.part, "items.mapped and items.part")
        yield claim("stats.skipped", stats.skipped, items.skipped, "items.skipped")
        yield claim("records", receipt.records, receipt.outputs.record_count, "outputs.record_count")
    if items and receipt.status in DONE:
        yield claim("validation.passed", receipt.validation.passed, stats.skipped == 0, "stats.skipped")
    if receipt.files:
        read = sum(entry.path != IGNORE_FILE for entry in files)
        yield claim("files.read", receipt.files.read, read, "inputs.files")


def _of_export(receipt: StageReceipt, claim: Callable[..., Claim]) -> Iterator[Claim]:
    """Yield what an export says of its files: all parts of a format have a row for each record that shipped, or was refused."""
    yield claim("outputs.record_count", receipt.outputs.record_count, receipt.stats.accepted, "stats.accepted")
    if splits := receipt.splits:
        yield claim("splits", splits.train + splits.validation + splits.test, receipt.stats.accepted, "stats.accepted")
        yield claim("splits.moved", splits.moved, min(splits.moved, receipt.stats.accepted), "stats.accepted")
    rows = Counter[tuple[str, str]]()
    for entry in receipt.outputs.files:
        rows[_kind_of(entry)] += entry.record_count
    for at, entry in enumerate(receipt.outputs.files):
        stat, others = _kind_of(entry)[0], rows[_kind_of(entry)] - entry.record_count
        follows = max(getattr(receipt.stats, stat) - others, 0)
        yield claim(f"outputs.files.{at}.record_count", entry.record_count, follows, f"stats.{stat}")


def _kind_of(entry: FileEntry) -> tuple[str, str]:
    """Return which stat counts the rows of a file, and its format."""
    return "quarantined" if entry.path.startswith("exports/quarantine/") else "accepted", PurePosixPath(entry.path).suffix


def _of_handed_on(run: RunDocuments, name: str, claim: Callable[..., Claim]) -> Iterator[Claim]:
    """Yield what a stage says of relations that an earlier one made."""
    made: dict[str, tuple[str, FileEntry]] = {}
    for stage, receipt in run.receipts.items():
        if stage == name:
            break
        made |= {entry.path: (stage, entry) for entry in receipt.outputs.files}
    for at, entry in enumerate(run.receipts[name].inputs.files):
        if entry.path in made:
            stage, handed = made[entry.path]
            for field in ("sha256", "bytes", "record_count"):
                stands, follows = getattr(entry, field), getattr(handed, field)
                yield claim(f"inputs.files.{at}.{field}", stands, follows, f"{stage}.json")


def _of_before(run: RunDocuments, before: RunDocuments) -> Iterator[Claim]:
    """Yield what follows from the receipts of the published run before: reused stages, and files that are the same."""
    for name, receipt in run.receipts.items():
        made = before.receipts.get(name)
        if made is None:
            continue
        claim, source = partial(Claim, f"{name}.json"), f"{name}.json of {before.summary.run_id}"
        sides = (("inputs", receipt.inputs.files), ("outputs", receipt.outputs.files))
        if receipt.made_by is not None:
            carried = [entry.path for _, files in sides for entry in files if entry.carried]
            taken = made.reused(receipt.run_id, receipt.timestamp, carried)
            if receipt.status == "failed":  # what failed came after it, or is that it had skipped something
                taken = taken.model_copy(update={"status": "failed", "validation": receipt.validation})
            yield from unlike(f"{name}.json", receipt, taken, source)
        known = {(entry.path, entry.sha256): entry.bytes for entry in (*made.inputs.files, *made.outputs.files)}
        exported = {entry.sha256 for entry in made.outputs.files}  # a part may have another number now
        for side, files in sides:
            for at, entry in enumerate(files):
                content = (entry.path, entry.sha256)
                yield claim(f"{side}.files.{at}.bytes", entry.bytes, known.get(content, entry.bytes), source)
                can_be = content in known or (side == "outputs" and entry.sha256 in exported)
                yield claim(f"{side}.files.{at}.carried", entry.carried, entry.carried and can_be, source)


def _records(files: Sequence[FileEntry]) -> int:
    return sum(entry.record_count for entry in files)

"""Which stages must run, and why; the others keep what the published run made.

A stage is reused where the evidence, the code, the settings and the engine are those that made it, and what it made is
still there, byte for byte. The evidence counts as an input of every stage: line numbers reach the datasets.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from etl.documents import FileEntry, Plan, RunSummary, StageReceipt, Step
from etl.errors import NotFoundError
from etl.evidence import EvidenceFile, find_evidence
from etl.files import is_as_left, sha256_of
from etl.history import newest, read_documents
from etl.ledger import RunHeader
from etl.pipeline import STAGES, Stage
from etl.project import Project
from etl.settings import can_change
from etl.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Published:
    """The documents of the published run."""

    summary: RunSummary
    receipts: dict[str, StageReceipt]


class _UnusableError(Exception):
    """Why nothing published can be reused."""


def make_plan(
    project: Project, header: RunHeader, history: Warehouse, forced: Collection[Stage] = ()
) -> tuple[Plan, Published | None]:
    """Return what a run with this header would do, and the published run that it would reuse stages of, if there is one.

    Raises NotFoundError where there is no evidence folder.
    """
    try:
        published = _published(project, history)
    except _UnusableError as error:
        return Plan(published_run_id=None, steps=[_step(stage, str(error)) for stage in STAGES]), None
    common = next(_differences(project, header, published), None)
    steps: list[Step] = []
    for stage in STAGES:
        receipt = published.receipts[stage.name]
        why = (
            common
            or _changed_settings(stage, receipt, header, published.summary)
            or _spoiled(project, stage, receipt)
            or ("--force was given" if stage in forced else None)
        )
        steps.append(_step(stage, why, receipt))
    return Plan(published_run_id=published.summary.run_id, steps=steps), published


def _step(stage: Stage, why: str | None, receipt: StageReceipt | None = None) -> Step:
    if why:
        return Step(stage=stage.name, action="run", reason=f"{why}.")
    made_by = (receipt.made_by or receipt.run_id) if receipt else None
    return Step(stage=stage.name, action="reuse", reason=f"nothing changed since run {made_by}.", made_by=made_by)


def _published(project: Project, history: Warehouse) -> Published:
    """Return the published run. Raises _UnusableError where there is none, or it is not as it was left."""
    try:
        run_id = newest(history, published=True)
    except NotFoundError:
        raise _UnusableError("nothing is published yet") from None
    if project.write_ahead_log.exists() or not is_as_left(project.warehouse, project.signature):
        raise _UnusableError("the warehouse is not as it was published")
    folder = project.reports / run_id
    try:
        summary, receipts = read_documents(folder)
        known = history.one("select summary_sha256 from receipts.run where run_id = ?", [run_id])
        are_whole = sha256((folder / "summary.json").read_bytes()).hexdigest() == known and all(
            sha256_of(folder / document.path) == document.sha256 for document in summary.documents
        )
    except (OSError, ValueError):
        are_whole = False
    if not are_whole:
        raise _UnusableError(f"the receipts of the published run {run_id} are damaged")
    return Published(summary, {receipt.stage: receipt for receipt in receipts})


def _differences(project: Project, header: RunHeader, published: Published) -> Iterator[str]:
    """Yield what is not as it was when the published run was made, and concerns every stage."""
    collected = published.receipts["collect"]
    if collected.code_hash != header.code_hash:
        yield f"the code or the SQL is not that of run {published.summary.run_id}"
    before, now = collected.engine.model_dump(), header.engine.model_dump()
    for name in now:
        if before[name] != now[name]:
            yield f"{name} is {now[name]}, and was {before[name]}"
    files = find_evidence(project.evidence, bool(header.request.settings["follow_links"]))
    yield from _changed_evidence(files, collected.inputs.files)


def _changed_settings(stage: Stage, receipt: StageReceipt, header: RunHeader, summary: RunSummary) -> str | None:
    """Return the settings that can change what a stage writes and are not as they were, if there are any."""
    if receipt.settings_hash == header.settings_hashes[stage.name]:
        return None
    before, now = summary.request.settings, header.request.settings
    changed = [name for name in now if can_change(name, None) and before.get(name) != now[name]]
    mine = [
        name for name in changed if can_change(name, stage.name)
    ] or changed  # an overlay's views may read any setting
    changes = [f"{name} is {now[name]}, and was {before.get(name)}" for name in mine]
    return "settings changed: " + (", ".join(changes) or "another version made the published run")


def _changed_evidence(files: Sequence[EvidenceFile], entries: Sequence[FileEntry]) -> Iterator[str]:
    """Yield each file that is new, gone or another than it was; sizes are compared first, as they cost nothing."""
    found = {file.source_path: file for file in files}
    known = {entry.path: entry for entry in entries}
    yield from (f"{path} is new evidence" for path in found if path not in known)
    yield from (f"{path} is gone from the evidence" for path in known if path not in found)
    both = [(found[path], known[path]) for path in found if path in known]
    for file, entry in both:
        if file.problem is None and entry.sha256 is not None and file.size != entry.bytes:
            yield f"{entry.path} has {file.size:,} bytes, and had {entry.bytes or 0:,}"
    for file, entry in both:
        if entry.sha256 is None or file.problem is not None:
            yield f"{entry.path} could not be read"
        elif not _has_content(file.path, entry):
            yield f"{entry.path} has other bytes than it had"


def _spoiled(project: Project, stage: Stage, receipt: StageReceipt) -> str | None:
    """Return which of the stage's files is not what the receipt says, if one is."""
    if stage.exports:
        for entry in receipt.outputs.files:
            if not _has_content(project.root / entry.path, entry):
                return f"{entry.path} is gone, or is not what was published"
    return None


def _has_content(file: Path, entry: FileEntry) -> bool:
    try:
        return file.stat().st_size == entry.bytes and sha256_of(file) == entry.sha256
    except OSError:
        return False

"""Holds the documents of runs, and the files that they name, against what is on disk now.

Each summary names the hash of the one before it and binds every other document of its run; the receipts name the
outputs; ``head`` names the newest summary. What is changed, removed, added or exchanged breaks a link. For the chain nothing
but the files is asked, so a stranger can do the same.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from etl.base.datasets import EXPORTED_FILES
from etl.base.errors import EtlError, StageError
from etl.base.files import sha256_of, sha256_of_first
from etl.base.project import Project
from etl.context import name_on_disk
from etl.receipts.models import (
    Check,
    DriftReport,
    FileEntry,
    Head,
    RunSummary,
    StageReceipt,
    StageSummary,
    aggregate_hash,
    run_hash,
)
from etl.receipts.report import summary_page
from etl.receipts.store import SUMMARY, as_texts, forget, newest, read_documents, require_run, summary_hash, take_in
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

#: What may lie beside the runs' folders.
BESIDE_RUNS = frozenset({"head", "latest.md", "pin.json", "README.md", ".gitkeep"})

#: The folders of the datasets below exports/, and the endings by which whoever trains takes a file there for a part of one.
DATASET_FOLDERS = frozenset(path.split("/")[0] for path in EXPORTED_FILES)
DATA_ENDINGS = (".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Link:
    """One run of the chain: its summary, and the hash of the summary's bytes."""

    summary: RunSummary
    sha256: str

    def __str__(self) -> str:
        return f"run {self.summary.seq} ({self.summary.run_id})"


def verify(project: Project, sql: Sql, history: Warehouse, run_id: str | None, evidence: Path | None = None) -> list[Check]:
    """Return a check for each document of a run and each file that its receipts name; the published run unless one is named.

    ``evidence`` is where the run's evidence is now, if not where the run read it.
    Raises NotFoundError for an unknown run, or where nothing is published.
    """
    if run_id is None:
        run_id = newest(history, published=True)
    elif run_id not in {folder.name for folder in project.reports.glob("*/")}:  # one with damaged documents is there
        require_run(history, run_id)
    folder = project.reports / run_id
    try:
        summary, receipts = read_documents(folder)
    except (OSError, ValueError) as error:
        return [_damaged(str(folder), "a document", error)]
    link = Link(summary, sha256_of(folder / SUMMARY))
    is_newest = summary.published and newest(history, published=True) == run_id
    return [
        *_contents(project, sql, history, link, receipts),
        *_documents(folder, link),
        *_files(project, summary, receipts, evidence, is_newest),
    ]


def verify_all(project: Project, pinned: str | None = None, evidence: Path | None = None) -> list[Check]:
    """Return the checks of the whole chain, and whether the warehouse knows a run that the chain lacks."""
    checks = check_chain(project, pinned, evidence)
    try:
        known = _known_to_warehouse(project)
    except EtlError as error:
        return [*checks, Check("warehouse", "unchecked", f"its receipts cannot be read: {error}")]
    changed = [run_id for run_id, digest in known.items() if not _is_whole(project.reports / run_id / SUMMARY, digest)]
    otherwise = f"its summaries of these runs are not those of the files, or the files are gone: {', '.join(changed)}"
    return [*checks, _passed_or("warehouse", not changed, otherwise, f"{len(known)} runs are known by the same hashes")]


def check_chain(project: Project, pinned: str | None = None, evidence: Path | None = None) -> list[Check]:
    """Return a check for each run, each document, the head, and each file that the published run names.

    ``evidence`` is where the published run's evidence is now, if not where that run read it.
    ``pinned`` is the hash of a summary that somebody wrote down elsewhere: it must be in the chain. Without it, runs that
    were cut off at the end together with the head cannot be missed.
    """
    links, checks = _links(project.reports)
    checks += _order(links)
    for link in links:
        folder = project.reports / link.summary.run_id
        checks += _documents(folder, link, f"{folder.name}/")
    checks.append(_head(project.reports / "head", links))
    if pinned is not None:
        checks.append(_pin(pinned, links))
    receipts: list[StageReceipt] = []
    published = next((link.summary for link in reversed(links) if link.summary.published), None)
    if published:
        for stage in published.stages:
            document = f"{published.run_id}/{stage.name}.json"
            try:
                content = (project.reports / document).read_bytes()
                receipts.append(StageReceipt.model_validate_json(content, strict=True))
            except (OSError, ValueError) as error:
                checks.append(_damaged(document, "the receipt", error))
        checks += _files(project, published, receipts, evidence)
    return [*checks, *_strangers(project, receipts)]


def evidence_of(project: Project, summary: RunSummary) -> Path:
    """Return the folder that a run read its evidence from."""
    return project.root / summary.request.evidence


def _passed_or(what: str, is_good: bool, otherwise: str, detail: str = "as recorded") -> Check:
    """Return a check that is ok, or failed for this reason."""
    return Check(what, "ok", detail) if is_good else Check(what, "failed", otherwise)


def _damaged(what: str, kind: str, error: Exception) -> Check:
    """Return the failed check of a document that cannot be read."""
    return Check(what, "failed", f"{kind} is missing or damaged: {str(error).splitlines()[0]}")


def _is_whole(file: Path, digest: str | None) -> bool:
    """Return whether a file is there, can be read, and has these bytes."""
    with suppress(OSError):
        return file.is_file() and sha256_of(file) == digest
    return False


# --- one run -----------------------------------------------------------------------------------------------------------


def _contents(project: Project, sql: Sql, history: Warehouse, link: Link, receipts: list[StageReceipt]) -> Iterator[Check]:
    """Yield whether a run's summary is the one that others know, and whether what the documents say fits together."""
    summary, folder = link.summary, project.reports / link.summary.run_id
    known = {summary_hash(project, history, summary.run_id)}
    with suppress(EtlError):
        known.add(_known_to_warehouse(project).get(summary.run_id, link.sha256))
    yield _passed_or(SUMMARY, known == {link.sha256}, "it is not the summary that the run wrote")
    yield _passed_or("run_hash", run_hash(receipts) == summary.run_hash, "it does not follow from the receipts")
    forget(history, sql, summary.run_id)
    try:
        take_in(history, sql.kept, as_texts([summary, *receipts]))
        broken = history.execute("select problem from receipts.unbalanced where run_id = ?", [summary.run_id])
    except StageError as error:
        broken = [(f"a document is damaged: {error}",)]
    yield _passed_or("books", not broken, " ".join(problem for (problem,) in broken))
    for receipt, stage in zip(receipts, summary.stages, strict=True):
        are_hashed = all(aggregate_hash(side.files) == side.hash for side in (receipt.inputs, receipt.outputs))
        stands = are_hashed and StageSummary.of(receipt) == stage
        yield _passed_or(stage.name, stands, "its receipt contradicts itself or the summary")
    is_theirs = False
    with suppress(OSError, ValueError):  # a page that cannot be read is not theirs
        drift = DriftReport.model_validate_json((folder / "drift.json").read_bytes())
        page = (folder / "summary.md").read_text(encoding="utf-8")
        is_theirs = drift.run_id == summary.run_id and page == summary_page(summary, receipts, drift)
    yield _passed_or("page", is_theirs, "summary.md or drift.json is not what the run wrote")


def _known_to_warehouse(project: Project) -> dict[str, str]:
    """Return the hash of each run's summary that the published warehouse knows, in their order. Raises EtlError."""
    with PublishedWarehouse.open(project.warehouse) as warehouse:
        return dict(warehouse.execute("select run_id, summary_sha256 from receipts.run order by seq"))


def _documents(folder: Path, link: Link, prefix: str = "") -> Iterator[Check]:
    """Yield whether each document of a run is the one that its summary binds, and nothing else lies there."""
    bound = {document.path: document.sha256 for document in link.summary.documents}
    wanted = {"drift.json", "summary.md", *(f"{stage.name}.json" for stage in link.summary.stages)}
    for name in sorted(wanted):
        is_bound = _is_whole(folder / name, bound.get(name))
        yield _passed_or(f"{prefix}{name}", is_bound, f"it is gone, or was changed since {link} wrote it")
    for file in sorted(folder.iterdir()):
        if file.name not in {*wanted, SUMMARY}:
            yield Check(f"{prefix}{file.name}", "failed", f"{link} did not write it")


def _files(
    project: Project, summary: RunSummary, receipts: Iterable[StageReceipt], evidence: Path | None, is_newest: bool = True
) -> Iterator[Check]:
    """Yield whether the files that a run published, and the evidence that it read, are as its receipts name them."""
    for receipt in receipts:
        for entry in receipt.outputs.files:
            if entry.bytes is not None and not is_newest:
                yield Check(entry.path, "unchecked", "a newer run has taken its place")
            elif entry.bytes is not None:
                file = project.root / entry.path
                otherwise = "its bytes are not those of the receipt" if file.is_file() else "the file is gone"
                yield _passed_or(entry.path, _is_whole(file, entry.sha256), otherwise)
        if receipt.stage == "collect":
            folder = evidence or evidence_of(project, summary)
            yield from (_input(folder / name_on_disk(entry.path), entry) for entry in receipt.inputs.files)


def _input(file: Path, entry: FileEntry) -> Check:
    """Return whether a file of evidence still has the bytes that were collected; a file that grew or is gone is `unchecked`."""
    if entry.sha256 is None or entry.bytes is None:
        return Check(entry.path, "unchecked", "it could not be read then")
    if not file.is_file():
        return Check(entry.path, "unchecked", "the file is gone")
    is_same = sha256_of_first(file, entry.bytes) == entry.sha256
    if is_same and file.stat().st_size > entry.bytes:
        return Check(entry.path, "unchecked", "the file has grown")
    return _passed_or(entry.path, is_same, "its bytes are not those that were collected")


# --- the chain ---------------------------------------------------------------------------------------------------------


def _links(reports: Path) -> tuple[list[Link], list[Check]]:
    """Return the runs whose summary can be read, in their order, and a failed check for everything else that lies there."""
    links, checks = [], []
    for path in sorted(reports.iterdir()) if reports.is_dir() else []:
        if path.name in BESIDE_RUNS and path.is_file():
            continue
        what = f"{path.name}/{SUMMARY}"
        try:
            content = (path / SUMMARY).read_bytes()
            link = Link(RunSummary.model_validate_json(content, strict=True), sha256(content).hexdigest())
            if link.summary.run_id == path.name:
                links.append(link)
            else:
                checks.append(Check(what, "failed", f"it is the summary of {link}"))
        except (OSError, ValueError) as error:
            checks.append(_damaged(what, "the summary", error))
    return sorted(links, key=lambda link: (link.summary.seq, link.summary.run_id)), checks


def _order(links: list[Link]) -> Iterator[Check]:
    """Yield whether each summary follows on the one before it."""
    for before, link in zip([None, *links], links, strict=False):
        seq, sha256_before = (before.summary.seq + 1, before.sha256) if before else (1, None)
        is_next = link.summary.previous == sha256_before
        otherwise = f"the summary of {before or 'no run'} was changed or exchanged since {link} recorded its hash"
        if link.summary.seq != seq:
            missing = f"run {seq}" if link.summary.seq == seq + 1 else f"runs {seq} to {link.summary.seq - 1}"
            otherwise = f"it is run {link.summary.seq}, and {missing} before it cannot be found"
        yield _passed_or(f"{link.summary.run_id}/{SUMMARY}", is_next and link.summary.seq == seq, otherwise)


def _head(file: Path, links: list[Link]) -> Check:
    """Return whether the head names the newest run, in the bytes that were written."""
    if not links and not file.exists():
        return Check("head", "ok", "there was no run yet")
    try:
        content = file.read_bytes()
        head = Head.model_validate_json(content, strict=True)
    except (OSError, ValueError) as error:
        return _damaged("head", "it", error)
    if not links or head.seq > links[-1].summary.seq:
        last = links[-1] if links else "the beginning"
        return Check("head", "failed", f"it names run {head.seq}; the runs after {last} were removed")
    link = links[-1]
    wanted = Head(seq=link.summary.seq, run_id=link.summary.run_id, sha256=link.sha256)
    if head != wanted:
        return Check("head", "failed", f"it does not name {link}, whose summary has the hash {link.sha256}")
    is_as_written = content == wanted.to_json().encode()
    return _passed_or("head", is_as_written, f"it names {link}, but its bytes are not those that were written")


def _pin(pinned: str, links: list[Link]) -> Check:
    """Return whether the chain has a summary with this hash."""
    for link in links:
        if link.sha256 == pinned.lower():
            later = links[-1].summary.seq - link.summary.seq
            return Check("pinned head", "ok", f"it is the summary of {link}; {later} runs came after it")
    return Check("pinned head", "failed", f"no run has a summary with the hash {pinned}: the chain was cut or rewritten")


def _strangers(project: Project, receipts: Iterable[StageReceipt]) -> Iterator[Check]:
    """Yield each file in exports/ that no receipt names; it fails where it would be taken for a part of a dataset."""
    named = {entry.path for receipt in receipts for entry in receipt.outputs.files if entry.bytes is not None}
    for file in sorted(project.exports.rglob("*")):
        path = project.relative(file)
        if path in named or (file.is_dir() and not file.is_symlink()):
            continue
        top = file.relative_to(project.exports).parts[0]
        is_data = top in {file.name, *DATASET_FOLDERS} and path.lower().endswith(DATA_ENDINGS)
        yield Check(path, "failed" if is_data else "unchecked", "no receipt names it: somebody else put it there")

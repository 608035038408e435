"""Holds the chain of runs against the files on disk: nothing but the files is asked, so a stranger can do the same.

Each summary names the hash of the one before it and binds every other document of its run; the receipts name the
outputs; ``head`` names the newest summary. What is changed, removed, added or exchanged breaks a link.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from etl.base.datasets import EXPORTED_FILES
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.receipts.models import Check, FileEntry, Head, RunSummary, StageReceipt

#: What may lie beside the runs' folders.
BESIDE_RUNS = frozenset({"head", "latest.md", "pin.json", "README.md", ".gitkeep"})

#: The folders of the datasets below exports/, and the endings by which whoever trains takes a file there for a part of one.
DATASET_FOLDERS = frozenset(path.split("/")[0] for path in EXPORTED_FILES)
DATA_ENDINGS = (".jsonl", ".parquet")


def passed_or(what: str, is_good: bool, otherwise: str) -> Check:
    """Return a check that is ok, or failed for this reason."""
    return Check(what, "ok", "as recorded") if is_good else Check(what, "failed", otherwise)


@dataclass(frozen=True, slots=True)
class Link:
    """One run of the chain: its summary, and the hash of the summary's bytes."""

    summary: RunSummary
    sha256: str

    def __str__(self) -> str:
        return f"run {self.summary.seq} ({self.summary.run_id})"


def check_chain(project: Project, pinned: str | None = None, evidence: Path | None = None) -> list[Check]:
    """Return a check for each run, each document, the head, and each file that the published run names.

    ``evidence`` is where the published run's evidence is now, if not where that run read it.
    ``pinned`` is the hash of a summary that somebody wrote down elsewhere: it must be in the chain. Without it, runs that
    were cut off at the end together with the head cannot be missed.
    """
    links, checks = _links(project.reports)
    checks += _order(links)
    for link in links:
        checks += _documents(project.reports / link.summary.run_id, link)
    checks.append(_head(project.reports / "head", links))
    if pinned is not None:
        checks.append(_pin(pinned, links))
    return [*checks, *_files(project, links, evidence)]


def evidence_of(project: Project, summary: RunSummary) -> Path:
    """Return the folder that a run read its evidence from."""
    return project.root / summary.request.evidence


def check_input(file: Path, entry: FileEntry) -> Check:
    """Return whether a file of evidence still has the bytes that were collected; a file that grew or is gone is `unchecked`."""
    if entry.sha256 is None or entry.bytes is None:
        return Check(entry.path, "unchecked", "it could not be read then")
    if not file.is_file():
        return Check(entry.path, "unchecked", "the file is gone")
    if file.stat().st_size > entry.bytes:
        return Check(entry.path, "unchecked", "the file has grown")
    return passed_or(entry.path, sha256_of(file) == entry.sha256, "its bytes are not those that were collected")


def check_output(file: Path, entry: FileEntry) -> Check:
    """Return whether a published file has the bytes that the receipt names."""
    if not file.is_file():
        return Check(entry.path, "failed", "the file is gone")
    return passed_or(entry.path, sha256_of(file) == entry.sha256, "its bytes are not those of the receipt")


def _links(reports: Path) -> tuple[list[Link], list[Check]]:
    """Return the runs whose summary can be read, in their order, and a failed check for everything else that lies there."""
    links, checks = [], []
    for path in sorted(reports.iterdir()) if reports.is_dir() else []:
        if path.name in BESIDE_RUNS and path.is_file():
            continue
        try:
            content = (path / "summary.json").read_bytes()
            link = Link(RunSummary.model_validate_json(content, strict=True), sha256(content).hexdigest())
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0]
            checks.append(Check(f"{path.name}/summary.json", "failed", f"the summary is missing or damaged: {why}"))
            continue
        if link.summary.run_id == path.name:
            links.append(link)
        else:
            checks.append(Check(f"{path.name}/summary.json", "failed", f"it is the summary of {link}"))
    return sorted(links, key=lambda link: (link.summary.seq, link.summary.run_id)), checks


def _order(links: list[Link]) -> Iterator[Check]:
    """Yield whether each summary follows on the one before it."""
    before: Link | None = None
    for link in links:
        seq = before.summary.seq + 1 if before else 1
        what = f"{link.summary.run_id}/summary.json"
        if link.summary.seq != seq:
            missing = f"run {seq}" if link.summary.seq == seq + 1 else f"runs {seq} to {link.summary.seq - 1}"
            yield Check(what, "failed", f"it is run {link.summary.seq}, and {missing} before it cannot be found")
        else:
            is_next = link.summary.previous == (before.sha256 if before else None)
            otherwise = f"the summary of {before or 'no run'} was changed or exchanged since {link} recorded its hash"
            yield passed_or(what, is_next, otherwise)
        before = link


def _documents(folder: Path, link: Link) -> Iterator[Check]:
    """Yield whether each document of a run is the one that its summary binds, and nothing else lies there."""
    bound = {document.path: document.sha256 for document in link.summary.documents}
    wanted = {"drift.json", "summary.md", *(f"{stage.name}.json" for stage in link.summary.stages)}
    for name in sorted(wanted):
        file = folder / name
        is_bound = file.is_file() and sha256_of(file) == bound.get(name)
        yield passed_or(f"{folder.name}/{name}", is_bound, f"it is gone, or was changed since {link} wrote it")
    for file in sorted(folder.iterdir()):
        if file.name not in {*wanted, "summary.json"}:
            yield Check(f"{folder.name}/{file.name}", "failed", f"{link} did not write it")


def _head(file: Path, links: list[Link]) -> Check:
    if not links and not file.exists():
        return Check("head", "ok", "there was no run yet")
    try:
        content = file.read_bytes()
        head = Head.model_validate_json(content, strict=True)
    except (OSError, ValueError) as error:
        return Check("head", "failed", f"it is missing or damaged: {str(error).splitlines()[0]}")
    newest = links[-1] if links else None
    if newest is None or head.seq > newest.summary.seq:
        last = newest or "the beginning"
        return Check("head", "failed", f"it names run {head.seq}; the runs after {last} were removed")
    wanted = Head(seq=newest.summary.seq, run_id=newest.summary.run_id, sha256=newest.sha256)
    if head != wanted:
        return Check("head", "failed", f"it does not name {newest}, whose summary has the hash {newest.sha256}")
    is_as_written = content == wanted.to_json().encode()
    return passed_or("head", is_as_written, f"it names {newest}, but its bytes are not those that were written")


def _pin(pinned: str, links: list[Link]) -> Check:
    for link in links:
        if link.sha256 == pinned.lower():
            later = links[-1].summary.seq - link.summary.seq
            return Check("pinned head", "ok", f"it is the summary of {link}; {later} runs came after it")
    return Check("pinned head", "failed", f"no run has a summary with the hash {pinned}: the chain was cut or rewritten")


def _files(project: Project, links: list[Link], evidence: Path | None) -> Iterator[Check]:
    """Yield whether the published files, and the evidence that they were made from, are as the published run names them."""
    published = next((link for link in reversed(links) if link.summary.published), None)
    named = set()
    for receipt in _receipts(project.reports, published):
        if isinstance(receipt, Check):
            yield receipt
            continue
        for entry in receipt.outputs.files:
            if entry.bytes is not None:
                named.add(entry.path)
                yield check_output(project.root / entry.path, entry)
        if receipt.stage == "collect" and published:
            folder = evidence or evidence_of(project, published.summary)
            yield from (check_input(folder / entry.path, entry) for entry in receipt.inputs.files)
    yield from _strangers(project, named)


def _strangers(project: Project, named: Collection[str]) -> Iterator[Check]:
    """Yield each file in exports/ that no receipt names; it fails where it would be taken for a part of a dataset."""
    for file in sorted(project.exports.rglob("*")):
        path = project.relative(file)
        if path in named or (file.is_dir() and not file.is_symlink()):
            continue
        top = file.relative_to(project.exports).parts[0]
        is_data = top in {file.name, *DATASET_FOLDERS} and path.lower().endswith(DATA_ENDINGS)
        yield Check(path, "failed" if is_data else "unchecked", "no receipt names it: somebody else put it there")


def _receipts(reports: Path, link: Link | None) -> Iterator[StageReceipt | Check]:
    """Yield the receipts of a run, and a failed check in place of one that cannot be read."""
    if link is None:
        return
    for stage in link.summary.stages:
        document = f"{link.summary.run_id}/{stage.name}.json"
        try:
            yield StageReceipt.model_validate_json((reports / document).read_bytes(), strict=True)
        except (OSError, ValueError) as error:
            yield Check(document, "failed", f"the receipt is missing or damaged: {str(error).splitlines()[0]}")

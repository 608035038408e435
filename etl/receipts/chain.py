"""Holds the runs of a root against each other: nothing but the files is asked, so a stranger can do the same.

Each summary names the hash of the one before it and binds every other document of its run; the receipts name the
outputs; ``head`` names the newest summary. What is changed, removed, added or exchanged breaks a link. Whoever mends the links
too is left with documents that contradict each other.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from etl.base.datasets import ENDINGS, STEMS
from etl.base.project import Project
from etl.receipts.agreement import RunDocuments, read_receipts
from etl.receipts.check import Link, Reading, check, check_documents, check_files, damaged_document, passed_or
from etl.receipts.models import Check, Head, StageReceipt
from etl.receipts.remake import Remaker
from etl.receipts.report import LATEST
from etl.receipts.store import SUMMARY

#: What may lie beside the runs' folders.
BESIDE_RUNS = frozenset({"head", LATEST, "pin.json", "README.md", ".gitkeep"})

#: The folders of the datasets below exports/: whoever trains takes a file there for a part of one, by its ending.
DATASET_FOLDERS = frozenset(stem.split("/")[0] for stem in STEMS)


def check_chain(
    project: Project, pinned: str | None = None, evidence: Path | None = None, remaker: Remaker | None = None
) -> list[Check]:
    """Return a check for each run, each document, the head, and each file that the published run names.

    ``evidence`` is where the published run's evidence is now, if not where that run read it.
    ``pinned`` is the hash of a summary that somebody wrote down elsewhere: it must be in the chain. Without it, runs that
    were cut off at the end together with the head cannot be missed.
    What follows from the documents by views is checked where a ``remaker`` is given.
    """
    links, checks = _links(project.reports)
    checks += _runs(project.reports, links, remaker)
    checks.append(_head(project.reports / "head", links))
    if pinned is not None:
        checks.append(_pin(pinned, links))
    receipts: Mapping[str, StageReceipt] = {}
    published = next((link.summary for link in reversed(links) if link.summary.published), None)
    if published:
        receipts, _ = read_receipts(project.reports / published.run_id, published)
        checks += check_files(project, published, receipts.values(), evidence)
    return [*checks, *_strangers(project, receipts.values())]


def _links(reports: Path) -> tuple[list[Link], list[Check]]:
    """Return the runs whose summary can be read, in their order, and a failed check for everything else that lies there."""
    links, checks = [], []
    for path in sorted(reports.iterdir()) if reports.is_dir() else []:
        if path.name in BESIDE_RUNS and path.is_file():
            continue
        what = f"{path.name}/{SUMMARY}"
        try:
            link = Link.read(path / SUMMARY)
            if link.summary.run_id == path.name:
                links.append(link)
            else:
                checks.append(Check(what, "failed", f"it is the summary of {link}"))
        except (OSError, ValueError) as error:
            checks.append(damaged_document(what, "the summary", error))
    return sorted(links, key=lambda link: (link.summary.seq, link.summary.run_id)), checks


def _runs(reports: Path, links: list[Link], remaker: Remaker | None) -> Iterator[Check]:
    """Yield whether each summary follows on the one before it, and what the documents of its run are worth."""
    published: RunDocuments | None = None
    for before, link in zip([None, *links], links, strict=False):
        folder = reports / link.summary.run_id
        reading = Reading.of(folder, link, published, remaker)
        yield check(f"{folder.name}/{SUMMARY}", _misplaced(before, link) or reading.problems(SUMMARY))
        yield from check_documents(folder, link, reading, f"{folder.name}/")
        published = reading.run if link.summary.published else published


def _misplaced(before: Link | None, link: Link) -> list[str]:
    """Return a sentence where a summary does not follow on the one before it."""
    seq, sha256_before = (before.summary.seq + 1, before.sha256) if before else (1, None)
    if link.summary.seq != seq:
        missing = f"run {seq}" if link.summary.seq == seq + 1 else f"runs {seq} to {link.summary.seq - 1}"
        return [f"it is run {link.summary.seq}, and {missing} before it cannot be found"]
    if link.summary.previous != sha256_before:
        return [f"the summary of {before or 'no run'} was changed or exchanged since {link} recorded its hash"]
    return []


def _head(file: Path, links: list[Link]) -> Check:
    """Return whether the head names the newest run, in the bytes that were written."""
    if not links and not file.exists():
        return Check("head", "ok", "there was no run yet")
    try:
        content = file.read_bytes()
        head = Head.of_json(content)
    except (OSError, ValueError) as error:
        return damaged_document("head", "it", error)
    if not links or head.seq > links[-1].summary.seq:
        last = links[-1] if links else "the beginning"
        return Check("head", "failed", f"it names run {head.seq}; the runs after {last} were removed")
    link = links[-1]
    wanted = Head(seq=link.summary.seq, run_id=link.summary.run_id, sha256=link.sha256)
    if head != wanted:
        return Check("head", "failed", f"it does not name {link}, whose summary has the hash {link.sha256}")
    is_as_written = content == wanted.to_json().encode()
    return passed_or("head", is_as_written, f"it names {link}, but its bytes are not those that were written")


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
        is_data = top in {file.name, *DATASET_FOLDERS} and path.lower().endswith(ENDINGS)
        yield Check(path, "failed" if is_data else "unchecked", "no receipt names it: somebody else put it there")

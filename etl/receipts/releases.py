"""The receipts of exports for trainers: where they lie, and how they follow on each other and on the runs."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.receipts.check import check, damaged_document, is_whole
from etl.receipts.models import Check, ReleaseReceipt, aggregate_hash
from etl.receipts.store import SUMMARY

#: The copy of its receipt in a folder that etl export wrote.
MARK = "etl-export.json"


class Release(NamedTuple):
    """A receipt, its file, and the hash of the file's bytes."""

    file: Path
    receipt: ReleaseReceipt
    sha256: str

    @property
    def seq(self) -> int:
        """The number of the export, from 1."""
        return self.receipt.seq

    @classmethod
    def read(cls, file: Path) -> "Release":
        """Read a receipt. Raises OSError, or ValueError (as pydantic's is)."""
        content = file.read_bytes()
        return cls(file, ReleaseReceipt.of_json(content), sha256(content).hexdigest())


def name_of(receipt: ReleaseReceipt) -> str:
    """Return the name of a receipt's file; names have the order of exports."""
    return f"{receipt.seq:05}-{receipt.trainer}.json"


def last_release(project: Project) -> Release | None:
    """Return the newest receipt, None where there is none. Raises UsageError where it is damaged."""
    files = sorted(project.releases.glob("*.json"))
    try:
        return Release.read(files[-1]) if files else None
    except (OSError, ValueError):
        raise UsageError(
            f"{files[-1]}: this receipt is damaged, so none can follow on it; put it back, or move it away."
        ) from None


def check_releases(project: Project) -> Iterator[Check]:
    """Yield a check for each receipt of an export, and for each file that the newest of its folder names."""
    before: Release | None = None
    newest: dict[str, Release] = {}
    for file in sorted(project.releases.glob("*.json")):
        what = f"releases/{file.name}"
        try:
            release = Release.read(file)
        except (OSError, ValueError) as error:
            yield damaged_document(what, "the receipt", error)
            continue
        yield check(what, [*_problems(project, release, before)])
        before = release
        newest[release.receipt.out] = release
    for release in newest.values():
        yield from _check_folder(project.root / release.receipt.out, release)
    for mark in sorted((project.root / "releases").glob(f"*/{MARK}")):
        if f"releases/{mark.parent.name}" not in newest:
            yield Check(f"releases/{mark.parent.name}", "failed", "no receipt in reports/releases names this folder")


def _check_folder(folder: Path, release: Release) -> Iterator[Check]:
    """Yield a check for each file of the newest export to a folder, and for each other file that lies there."""
    for entry in release.receipt.outputs.files:
        file = folder / entry.path.removeprefix(f"{release.receipt.out}/")
        if not file.is_file():
            yield Check(entry.path, "unchecked", "the file is gone")
        else:
            yield check(entry.path, [] if is_whole(file, entry.sha256) else ["its bytes are not those of the receipt"])
    if folder.is_dir():
        mark = f"{release.receipt.out}/{MARK}"
        yield check(mark, [] if is_whole(folder / MARK, release.sha256) else [f"it is not {release.file.name}"])
        for stranger in _strangers_to(folder, release.receipt):
            yield Check(f"{release.receipt.out}/{stranger}", "failed", "no export wrote it")


def strangers(folder: Path) -> Iterator[str]:
    """Yield the files in a folder that no export wrote there, by their paths below it."""
    try:
        yield from _strangers_to(folder, ReleaseReceipt.of_json((folder / MARK).read_bytes()))
    except (OSError, ValueError):
        yield from _files_below(folder)


def _strangers_to(folder: Path, receipt: ReleaseReceipt) -> Iterator[str]:
    named = {entry.path.removeprefix(f"{receipt.out}/") for entry in receipt.outputs.files}
    return (file for file in _files_below(folder) if file not in named and file != MARK)


def _files_below(folder: Path) -> Iterator[str]:
    return (file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if not file.is_dir() or file.is_symlink())


def _problems(project: Project, release: Release, before: Release | None) -> Iterator[str]:
    """Yield what is wrong with a receipt: its place among the others, its run, and what follows from its own fields."""
    receipt = release.receipt
    seq, previous = (before.seq + 1, before.sha256) if before else (1, None)
    if receipt.seq != seq or release.file.name != name_of(receipt):
        yield f"it is export {receipt.seq}, where number {seq} belongs"
    elif receipt.previous != previous:
        yield "the receipt before it was changed or exchanged since"
    if not is_whole(project.reports / receipt.run_id / SUMMARY, receipt.summary_sha256):
        yield f"the summary of run {receipt.run_id} is not the one that it was made from"
    for name, side in (("inputs", receipt.inputs), ("outputs", receipt.outputs)):
        if side.hash != aggregate_hash(side.files):
            yield f"{name}.hash does not follow from {name}.files"
    if receipt.outputs.record_count != sum(rows.written for rows in receipt.rows.values()):
        yield "outputs.record_count does not follow from rows"

"""Moves an exported folder into its place together with its receipt, in steps that a later command can finish.

A journal in the staging folder names the folder while it is written. The receipt is written before the folder is moved; from
then on the move is finished, whatever happens. Call all of this while the root is held.
"""

import shutil
from pathlib import Path

from etl.base.errors import UsageError
from etl.base.files import sync_file, sync_folder, write_text
from etl.base.project import Project
from etl.pipeline.staging import Staging
from etl.receipts.models import ReleaseReceipt
from etl.receipts.releases import MARK, last_release, name_of, strangers


def require_free(project: Project, out: Path) -> None:
    """Raise UsageError where a folder lies where runs write, or in what an export wrote, or holds what no export wrote."""
    for place in (project.exports, project.warehouse.parent, project.reports.parent, project.evidence):
        real = place.resolve()
        if out == real or real in out.parents or out in real.parents:
            raise UsageError(f"{out}: runs write or read {place}; name a folder apart from it.")
    for parent in out.parents:
        if (parent / MARK).exists():
            raise UsageError(f"{out}: it lies in {parent}, which an export replaces as a whole; name a folder apart from it.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: this is not a folder; name another one.")
    if out.is_mount():
        raise UsageError(f"{out}: this is a mount point, which cannot be replaced as a whole; name a folder below it.")
    for file in strangers(out):
        raise UsageError(f"{out}: it holds {file}, which etl export did not write; name another folder.")
    if not out.parent.is_dir() and out.parent != (project.root / "releases").resolve():
        raise UsageError(f"{out}: there is no folder {out.parent}; make it first.")


def begin(project: Project, out: Path) -> Path:
    """Make the folder in which an export is written, and return it. Raises UsageError where somebody else's is there."""
    for place in (_building(out), _old(out)):
        if place.exists():
            raise UsageError(f"{place}: an export needs this name for its own folder; move it away.")
    write_text(Staging(project).export, f"{out}\n")
    sync_folder(project.staging)
    _building(out).mkdir(parents=True)
    return _building(out)


def complete(project: Project, out: Path, receipt: ReleaseReceipt) -> None:
    """Write the receipt of a folder that is whole and durable, and move the folder into its place."""
    mark = _building(out) / MARK
    write_text(mark, receipt.to_json())
    sync_file(mark)
    sync_folder(mark.parent)
    project.releases.mkdir(parents=True, exist_ok=True)
    file = project.releases / name_of(receipt)
    write_text(file, receipt.to_json())
    sync_file(file)
    sync_folder(file.parent)
    _exchange(out)
    Staging(project).export.unlink()


def abandon(project: Project, out: Path) -> None:
    """Remove what an export has written so far, unless its receipt is written: then the next command finishes it."""
    if Staging(project).export.exists() and not _has_receipt(project, out):
        shutil.rmtree(_building(out), ignore_errors=True)
        Staging(project).export.unlink()


def finish_cut_export(project: Project) -> str | None:
    """Finish what a cut export left, if one did, and return a sentence about it."""
    try:
        out = Path(Staging(project).export.read_text(encoding="utf-8").removesuffix("\n"))
    except FileNotFoundError:
        return None
    if _has_receipt(project, out):
        _exchange(out)
        told = f"An export to {out} was cut: its folder is in its place now."
    elif _building(out).exists():
        shutil.rmtree(_building(out), ignore_errors=True)
        told = f"An export to {out} was cut: what it had written is removed."
    else:
        _remove_old(out)
        told = f"An export to {out} was cut; it is whole."
    Staging(project).export.unlink()
    return told


def _has_receipt(project: Project, out: Path) -> bool:
    """Return whether what was written has a receipt, which is the newest."""
    newest, mark = last_release(project), _building(out) / MARK
    return newest is not None and mark.is_file() and mark.read_bytes() == newest.file.read_bytes()


def _building(out: Path) -> Path:
    return out.with_name(f".{out.name}.etl-building")


def _old(out: Path) -> Path:
    return out.with_name(f".{out.name}.etl-old")


def _exchange(out: Path) -> None:
    """Let what was written take its place."""
    if out.exists():
        out.replace(_old(out))
    _building(out).replace(out)
    sync_folder(out.parent)
    _remove_old(out)


def _remove_old(out: Path) -> None:
    if (_old(out) / MARK).is_file():
        shutil.rmtree(_old(out), ignore_errors=True)

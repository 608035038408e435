"""Makes sure, before anything is built, that what a run builds can take the place of what is published."""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from etl.base.datasets import ENDINGS, STEMS, is_exported
from etl.base.errors import UsageError
from etl.base.project import Project
from etl.pipeline.staging import Staging

_PROBE = ".etl-probe"

#: Linux's list of mounts: the fifth field is the mount point, in which a space is written \\040.
_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def obstacles(project: Project) -> Iterator[str]:
    """Yield a sentence for each thing that a publish could not replace. It changes nothing on disk."""
    exports = project.exports
    if exports.is_symlink():
        yield (
            f"{exports}: a run replaces this folder as a whole, and a link cannot be replaced; make it an ordinary folder, or "
            "move the whole root to where it leads."
        )
    elif exports.is_dir():
        yield from _obstacles_within(exports)
    elif exports.exists():
        yield f"{exports}: this is not a folder; move it away."
    for place in (project.root, project.reports):
        if _device(place) != _device(project.staging):
            yield _other_file_system(place, project)
    for file in (project.warehouse, project.known_receipts, project.evidence_stats, project.published_stats):
        yield from _not_a_file(file)
    for name in ("latest.md", "head"):
        yield from _not_a_file(project.reports / name)


def _obstacles_within(exports: Path) -> Iterator[str]:
    """Yield a sentence for each thing within exports/ that is in the way."""
    for stem in sorted(STEMS):
        for place in ((exports / stem).parent, exports / stem):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                yield f"{place}: this is not an ordinary folder; move it away."
        parts = (part for part in sorted(exports.glob(f"{stem}/*")) if is_exported(part.relative_to(exports).as_posix()))
        for file in (*(exports / f"{stem}{ending}" for ending in ENDINGS), *parts):
            yield from _not_a_file(file)
    for folder, _, _ in os.walk(exports):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield f"{folder}: a run could not take along what is in this folder; give this user the right to read and write it."
    for place in _mount_points():
        if place.is_relative_to(exports.resolve()):
            yield f"{place}: a run replaces exports/ as a whole, which a mount point prevents; mount the whole root instead."
    sticky = exports.parent.stat()
    owners = {0, sticky.st_uid, exports.stat().st_uid}
    if sticky.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
        yield f"{exports}: it belongs to another user, and only its owner may replace it here (sticky bit); run as that user."


def _mount_points() -> Iterator[Path]:
    """Yield every mount point, also one of the same file system, which looks like a folder; none where there is no list."""
    with contextlib.suppress(OSError):
        for mount in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            yield Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), mount.split(" ")[4]))


def _not_a_file(path: Path) -> Iterator[str]:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield f"{path}: a run writes an ordinary file here, and this is something else; move it away."


def require_publishable(staging: Staging) -> None:
    """Make sure that each move of a publish can be made, by trying each with an empty folder.

    Call it while the root is held. Raises UsageError, before anything is built.
    """
    project = staging.project
    for sentence in obstacles(project):
        raise UsageError(sentence)
    probe = staging.build / _PROBE
    for place in (project.root, project.warehouse.parent, project.staging, project.reports):
        try:
            place.mkdir(parents=True, exist_ok=True)
            probe.mkdir()
            probe.rename(place / _PROBE)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise UsageError(_other_file_system(place, project)) from None
            raise UsageError(
                f"{place}: a run could not be published, because nothing can be moved to this folder ({error.strerror})."
            ) from None
        finally:
            for left in (probe, place / _PROBE):
                with contextlib.suppress(OSError):
                    left.rmdir()
    if project.exports.is_dir():
        probe.mkdir()
        copy_mode(project.exports, probe)
        probe.rmdir()


def _other_file_system(place: Path, project: Project) -> str:
    return (
        f"{place}: it lies on another file system, or another mount, than {project.staging}, so a run could not be published "
        "in one step; keep the whole root on one."
    )


def _device(place: Path) -> int:
    """Return the device of a folder, or of the one in which it would be made."""
    while not place.exists():
        place = place.parent
    return place.stat().st_dev


def copy_mode(old: Path, new: Path) -> None:
    """Give a folder the mode and the group of another. Raises UsageError where this user may not give it that group."""
    wanted, found = old.stat(), new.stat()
    try:
        if found.st_gid != wanted.st_gid:
            os.chown(new, -1, wanted.st_gid)
        if stat.S_IMODE(new.stat().st_mode) != stat.S_IMODE(wanted.st_mode):
            new.chmod(stat.S_IMODE(wanted.st_mode))
    except PermissionError:
        raise UsageError(
            f"{old}: this user may not make a folder with its group (gid {wanted.st_gid}); change the group, or join it."
        ) from None

"""The publish step as a state machine: a cut before each change on disk, in the root and in a copy, and a reader each time.

The root here is made by hand, so that hundreds of cuts take seconds. docs/publishing.md maps each step to its function.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS

from etl.base.datasets import ENDINGS, STEMS, part_of
from etl.base.errors import UsageError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.pipeline import publish as publish_module
from etl.pipeline.publish import make_durable, publish
from etl.pipeline.recover import finish_cut_run
from etl.pipeline.staging import Publishing, Staging

OLD_RUN, NEW_RUN = "20260131T120000Z-0001", "20260131T120000Z-0002"

#: The files of a version in which each dataset has one part.
EXPORTED_FILES = tuple(f"{part_of(stem, 1)}{ending}" for stem in STEMS for ending in ENDINGS)

#: What others put into exports/: beside our files, in a folder of their own, and a link.
STRANGERS = (".gitignore", "sft/card.md", "mine/deep/train.txt")

#: The calls by which a publish changes what is on disk.
CHANGES = ("rename", "replace", "unlink", "rmdir", "mkdir", "chmod")


class Cut(BaseException):
    """The process dies here."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: here processes die, not machines."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with a published version and a build that is ready to be published."""
    root = tmp_path / "root"
    write_version(root / "exports", root / "warehouse/etl.duckdb", root / "reports/distillation", "old", OLD_RUN)
    for name in STRANGERS:
        write(root / "exports" / name, f"a stranger's {name}")
    (root / "exports/link").symlink_to("nowhere")
    (root / "exports/empty").mkdir()
    build = root / "warehouse/.etl/build"
    write_version(build / "exports", build / "etl.duckdb", build / "reports", "new", NEW_RUN)
    write(build / "receipts.arrow", "new")
    write(build / "evidence.json", "new")
    make_durable(Staging(Project.at(root)))
    return root


def write(file: Path, text: str) -> None:
    """Write a file, and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def write_version(exports: Path, warehouse: Path, reports: Path, version: str, run_id: str) -> None:
    """Write everything that a run publishes."""
    for path in EXPORTED_FILES:
        write(exports / path, f"{version} {path}")
    write(warehouse, version)
    for name in ("collect.json", "summary.json"):
        write(reports / run_id / name, version)
    write(reports / "latest.md", version)
    write(reports / "head", run_id)


ENTRY = Publishing(run_id=NEW_RUN, exports={path: sha256(f"new {path}".encode()).hexdigest() for path in EXPORTED_FILES})


@contextmanager
def cut_before(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[Callable[[], int]]:
    """Cut before the change on disk with this number; give a function that returns how many changes were made."""
    made = itertools.count()
    last = -1

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*given: Any, **named: Any) -> Any:
            nonlocal last
            last = next(made)
            if last == number:
                raise Cut
            return change(*given, **named)

        return changed

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(publish_module, "_exchange", counted(publish_module._exchange))
        yield lambda: last + 1


def changes_of(monkeypatch: pytest.MonkeyPatch, root: Path, job: Callable[[Path], object]) -> int:
    """Return how many changes on disk a job makes, done in a copy of the root."""
    copy = copied(root, root.with_name("counted"))
    with cut_before(monkeypatch, -1) as made:
        job(copy)
        count = made()
    shutil.rmtree(copy)
    return count


def copied(root: Path, to: Path) -> Path:
    """Copy a root as a backup does: other inodes, the same content."""
    return Path(shutil.copytree(root, to, symlinks=True))


def start(root: Path) -> None:
    """Publish the build."""
    publish(Staging(Project.at(root)), ENTRY)


def resume(root: Path) -> None:
    """Do what the next run does first."""
    finish_cut_run(Staging(Project.at(root)), Settings())


def assert_whole(root: Path, may_be_absent: bool) -> None:
    """Assert that a reader finds each thing old or new, never a mixture, and everything that others put into exports/."""
    exports = root / "exports"
    if exports.is_dir() or not may_be_absent:
        assert len({(exports / path).read_text(encoding="utf-8").split()[0] for path in EXPORTED_FILES}) == 1
        for name in STRANGERS:
            assert (exports / name).read_text(encoding="utf-8") == f"a stranger's {name}"
        assert (exports / "link").readlink() == Path("nowhere")
    assert (root / "warehouse/etl.duckdb").read_text(encoding="utf-8") in {"old", "new"}
    reports = root / "reports/distillation"
    head = (reports / "head").read_text(encoding="utf-8")
    assert {file.name for file in (reports / head).iterdir()} == {"collect.json", "summary.json"}


def assert_published(root: Path) -> None:
    """Everything is the new version, the files of others are there, and nothing is left of the build."""
    assert_whole(root, may_be_absent=False)
    for path in EXPORTED_FILES:
        assert (root / "exports" / path).read_text(encoding="utf-8") == f"new {path}"
    assert (root / "exports/empty").is_dir()
    assert (root / "warehouse/etl.duckdb").read_text(encoding="utf-8") == "new"
    assert (root / "reports/distillation/head").read_text(encoding="utf-8") == NEW_RUN
    assert {file.name for file in (root / "warehouse/.etl").iterdir()} == {
        "receipts.arrow", "evidence.json", "published.json",
    }  # fmt: skip


@pytest.fixture(params=["one call", "two renames"])
def may_be_absent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Give whether exports/ is absent for a moment: where the system cannot exchange two folders in one call."""
    if request.param == "two renames":
        monkeypatch.setattr(publish_module, "_exchange", lambda *_: False)
    return request.param == "two renames"


def cuts(monkeypatch: pytest.MonkeyPatch, root: Path, job: Callable[[Path], object]) -> Iterator[Path]:
    """Yield, for each change that a job makes, a root in which the job was cut before that change."""
    for number in range(changes_of(monkeypatch, root, job)):
        cut = copied(root, root.with_name(f"{root.name}-{number}"))
        with cut_before(monkeypatch, number), pytest.raises(Cut):
            job(cut)
        yield cut
        shutil.rmtree(cut)


def test_every_cut_of_a_publish_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch, may_be_absent: bool) -> None:
    """Cut anywhere: a reader finds whole things; once the run has decided, the root and a copy of it are finished alike."""
    decided = 0
    for cut in cuts(monkeypatch, root, start):
        assert_whole(cut, may_be_absent)
        if not (cut / "warehouse/.etl/journal.json").exists():
            continue  # before the decision, or after the end
        decided += 1
        copy = copied(cut, cut.with_name("copy"))
        for each in (cut, copy):
            resume(each)
            assert_published(each)
            resume(each)
            assert_published(each)
        shutil.rmtree(copy)
    assert decided > len(EXPORTED_FILES), "the publish was cut at its steps"


@pytest.mark.slow
def test_every_cut_of_a_finish_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch, may_be_absent: bool) -> None:
    """Cut anywhere, finished, and cut anywhere again: the same. With fewer seeds than 12, fewer first cuts are tried."""
    seen, every = 0, max(12 // SEEDS, 1)
    for number, cut in enumerate(cuts(monkeypatch, root, start)):
        if number % every or not (cut / "warehouse/.etl/journal.json").exists():
            continue
        for again in cuts(monkeypatch, cut, resume):
            seen += 1
            assert_whole(again, may_be_absent)
            resume(again)
            assert_published(again)
    assert seen > len(EXPORTED_FILES) ** 2 // every, "each cut was cut again"


@pytest.mark.parametrize("place", ["warehouse", "reports"])
def test_a_folder_that_is_a_link_is_published_whole(root: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """The warehouse or the reports may be a link to a folder of the same file system: a reader never meets a mixture."""
    (root / "places").mkdir()
    (root / place).rename(root / "places" / place)
    (root / place).symlink_to(f"places/{place}")
    for cut in cuts(monkeypatch, root, start):
        assert_whole(cut, may_be_absent=False)
        if (cut / "warehouse/.etl/journal.json").exists():
            resume(cut)
            assert_published(cut)
            assert (cut / place).is_symlink()


def test_a_first_publish_needs_no_exports(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published yet: after a cut anywhere after the decision, everything is new in the end."""
    for path in ("exports", "reports", "warehouse/etl.duckdb"):
        target = root / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    for cut in cuts(monkeypatch, root, start):
        if (cut / "warehouse/.etl/journal.json").exists():
            resume(cut)
            assert (cut / "exports/sft/instruction_response/part-00001.jsonl").read_text(encoding="utf-8").startswith("new")
            assert (cut / "warehouse/etl.duckdb").read_text(encoding="utf-8") == "new"


def test_documents_alone_leave_the_version(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in which nothing changed publishes only documents: cut anywhere, exports and warehouse stay the old ones."""
    build = root / "warehouse/.etl/build"
    shutil.rmtree(build / "exports")
    for name in ("etl.duckdb", "receipts.arrow"):
        (build / name).unlink()
    entry = Publishing(run_id=NEW_RUN, exports=None)
    for cut in cuts(monkeypatch, root, lambda root: publish(Staging(Project.at(root)), entry)):
        resume(cut)
        assert (cut / "exports/sft/instruction_response/part-00001.jsonl").read_text(encoding="utf-8").startswith("old")
        assert (cut / "warehouse/etl.duckdb").read_text(encoding="utf-8") == "old"


REFUSALS: Sequence[tuple[str, Callable[[Path], object]]] = [
    ("neither", lambda root: write(root / "warehouse/.etl/build/exports/sft/instruction_response/part-00001.jsonl", "other")),
    ("link", lambda root: elsewhere(root, "warehouse/.etl/build")),
    ("link", lambda root: elsewhere(root, "warehouse/.etl/build/exports")),
    ("link", lambda root: elsewhere(root, f"warehouse/.etl/build/reports/{NEW_RUN}")),
]


def elsewhere(root: Path, path: str) -> None:
    """Move a folder out of the root, and leave a link to it."""
    away = root.with_name("away")
    (root / path).rename(away)
    (root / path).symlink_to(away)


@pytest.mark.parametrize(("word", "change"), REFUSALS)
def test_what_no_run_left_is_not_published(root: Path, word: str, change: Callable[[Path], object]) -> None:
    """A journal that fits nothing, or leads out of the root, moves nothing: one sentence, and everything stays."""
    staging = Staging(Project.at(root))
    staging.note(ENTRY)
    change(root)
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(UsageError, match=word):
        finish_cut_run(staging, Settings())
    assert sorted(root.parent.rglob("*")) == before


def test_a_first_move_that_fails_takes_the_decision_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has moved, so nothing is decided: the old version stays, and the journal no longer says publishing."""

    def refused(*_: object) -> bool:
        raise PermissionError(1, "Operation not permitted", "exports")

    monkeypatch.setattr(publish_module, "_exchange", refused)
    with pytest.raises(PermissionError):
        start(root)
    assert Staging(Project.at(root)).entry() is None
    assert_whole(root, may_be_absent=False)


def test_what_changes_in_exports_while_it_publishes_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody writes to exports/ between the last look and the exchange: that is moved to the new exports."""
    exchange = publish_module._exchange

    def written_to(new: Path, exports: Path) -> bool:
        write(exports / "mine/late.txt", "late")
        (exports / ".gitignore").unlink()  # and written again: another file under the name
        write(exports / ".gitignore", "another")
        return exchange(new, exports)

    monkeypatch.setattr(publish_module, "_exchange", written_to)
    start(root)
    assert (root / "exports/mine/late.txt").read_text(encoding="utf-8") == "late"
    assert (root / "exports/.gitignore").read_text(encoding="utf-8") == "another"


def test_without_hard_links_files_are_copied(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hard links are not possible (EPERM, EXDEV, EMLINK), files of others are copied, and stay the same."""
    for number in (1, 18, 31, 95):  # EPERM, EXDEV, EMLINK, EOPNOTSUPP
        copy = copied(root, root.with_name(f"errno-{number}"))
        shutil.rmtree(copy / "warehouse/.etl/build/exports/mine")
        with suppress(FileNotFoundError):
            for name in ("link", ".gitignore", "sft/card.md"):
                (copy / "warehouse/.etl/build/exports" / name).unlink()

        def refused(*_: object, number: int = number, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, "link", refused)
            make_durable(Staging(Project.at(copy)))
        assert_whole(copy, may_be_absent=False)
        start(copy)
        assert_published(copy)

"""What the system can do to the product: calls that fail, disks that are full, folders that are locked."""

import errno
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import KEPT_OF_WAREHOUSE, copy_of, etl, evidence_line, write_evidence

from etl.base.project import Project
from etl.pipeline import publish
from etl.pipeline.staging import Staging

pytestmark = pytest.mark.torture

#: How many of the possible injections are tried; ETL_INJECTIONS=all tries each of them.
INJECTIONS = 36
TRIES_ALL = os.environ.get("ETL_INJECTIONS") == "all"
#: The number of tests over which the injections are spread; they run side by side.
SHARES = 4

#: The calls that change a file system, and those that may find it full.
CALLS = (
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
    *("openat", "write", "pwrite64", "copy_file_range", "sendfile", "ftruncate", "fsync", "fdatasync"),
    *("chmod", "fchmod", "fchmodat", "utimensat"),
)
FILLING = ("rename", "link", "mkdir", "openat", "write", "pwrite64", "copy_file_range", "sendfile", "fsync", "fdatasync")

# Runs the command line, and lets strace watch the thread that first calls a method, from that call on: only the calls after
# it are counted, and nothing before it is slowed down. Exit code 77: strace may not do that.
DRIVER = """
import ctypes, os, pkgutil, shutil, subprocess, sys, threading
from etl.cli.app import app

place, trace, root, *options = sys.argv[1:]
kind, name = pkgutil.resolve_name(place.rpartition(".")[0]), place.rpartition(".")[2]
method = getattr(kind, name)
first = threading.Lock()  # two threads may come here at once

def watched(*given):
    setattr(kind, name, method)
    if not first.acquire(blocking=False):
        return method(*given)
    if name == "make_durable":
        shutil.copyfile(root + "/warehouse/.etl/build/etl.duckdb", trace + ".built")
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER: a child may trace this process
    command = ["strace", "-y", "-o", trace, "-p", str(threading.get_native_id()), *options]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    if "attached" not in strace.stderr.readline():
        os._exit(77)
    return method(*given)

setattr(kind, name, watched)
sys.argv = ["etl", "run-all", "--root", root]
app()
"""

# Runs a command without the rights that let root ignore permissions.
PLAIN_USER = """
import ctypes, os, sys

for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, "-m", "etl", *sys.argv[1:]])
"""


def lines(count: int, size: int = 0) -> list[dict[str, object]]:
    """Return this many accepted lines, with this many random bytes in each response."""
    return [evidence_line(f"t{at}", verdict="accept", response=f"answer {at} {secrets.token_hex(size)}") for at in range(count)]


def version(root: Path) -> dict[str, bytes]:
    """Return every byte that is published: the exported files and the warehouse."""
    files = [file for file in sorted((root / "exports").rglob("*")) if file.is_file()]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in [*files, root / "warehouse/etl.duckdb"]}


def exports(published: dict[str, bytes]) -> dict[str, bytes]:
    """Return the exported files of a version."""
    return {name: content for name, content in published.items() if name != "warehouse/etl.duckdb"}


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user to whom permissions apply."""
    given = [sys.executable, "-c", PLAIN_USER, *map(str, arguments)]
    return subprocess.run(given, capture_output=True, text=True, check=False)


def assert_one_sentence(stderr: str, *words: str) -> None:
    """Assert that the error is one line with these words, and not a traceback."""
    assert re.fullmatch(r"etl: .+\n", stderr), f"not one sentence: {stderr!r}"
    assert "did not foresee" not in stderr
    for word in words:
        assert word in stderr


def assert_no_litter(root: Path) -> None:
    """Assert that nothing is left of a build or of a half-written file."""
    assert {file.name for file in root.iterdir()} == {"evidence", "exports", "warehouse", "reports"}
    assert {file.name for file in (root / "warehouse").rglob("*")} == KEPT_OF_WAREHOUSE
    assert {file.name for file in (root / "reports").iterdir()} == {"distillation"}
    assert not list(root.rglob(".*.new"))


def newest_run(root: Path) -> tuple[int, bool]:
    """Return the newest run's number, and whether it published."""
    summary = etl("receipts", "--root", root, "--json").json["summary"]
    return summary["seq"], summary["published"]


def publish_two(root: Path) -> None:
    """Publish a version of 2 records, and leave evidence for another of 3."""
    write_evidence(root / "evidence", {"evidence.jsonl": lines(2)})
    (root / "exports").mkdir()
    (root / "exports" / "README.md").write_text("mine\n", encoding="utf-8")
    (root / "exports" / ".gitkeep").touch()
    assert etl("run-all", "--root", root).exit_code == 0
    write_evidence(root / "evidence", {"evidence.jsonl": lines(3)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with one published version, and evidence for another."""
    return copy_of(publish_two, tmp_path / "root")


# Failing system calls


@dataclass(frozen=True)
class Call:
    """A call in a trace: its name, its number among the calls of that name, and its line in the trace."""

    name: str
    number: int
    text: str

    @property
    def changes_files(self) -> bool:
        """Whether it may change the file system; printing does not count."""
        if self.name == "openat":
            return "O_CREAT" in self.text
        return not re.match(r"write\([12]<", self.text)

    @property
    def is_essential(self) -> bool:
        """Whether it is one of those that decide between the old version and the new one."""
        return self.name.startswith(("rename", "fsync", "fdatasync")) or "journal" in self.text


@dataclass(frozen=True)
class Injection:
    """A call that fails."""

    call: Call
    error: str

    def __str__(self) -> str:
        return f"{self.error} at {self.call.text}"


@dataclass(frozen=True)
class Traced:
    """The result of a watched run."""

    exit_code: int
    stderr: str
    calls: list[Call]
    injected: int
    built: bytes


def traced(root: Path, place: str, inject: str | None = None) -> Traced:
    """Run run-all and watch it from the method at ``place`` on. Skips if strace is missing or may not trace."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    trace = root.with_name(f"{root.name}.trace")
    options = [f"--trace={','.join(CALLS)}", *([f"--inject={inject}"] if inject else [])]
    # The streams are closed when strace has ended too, so the trace is complete.
    given = [sys.executable, "-c", DRIVER, place, str(trace), str(root), *options]
    done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 77:
        pytest.skip("strace may not trace a process here (ptrace is forbidden)")
    seen: dict[str, int] = {}
    calls: list[Call] = []
    injected = 0
    for line in trace.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"(\w+)\(", line):
            name = found[1]
            seen[name] = seen.get(name, 0) + 1
            injected += line.endswith("(INJECTED)")
            calls.append(Call(name, seen[name], line.replace(str(root), "ROOT")))
    built = trace.with_name(f"{trace.name}.built")
    return Traced(done.returncode, done.stderr, calls, injected, built.read_bytes() if built.is_file() else b"")


PUBLISH_STEP = "etl.pipeline.run.make_durable"


@dataclass(frozen=True)
class Publication:
    """A root that is about to publish: its files, the exports to come, and the system calls of publishing."""

    template: Path
    old: dict[str, bytes]
    new: dict[str, bytes]
    calls: list[Call]


@pytest.fixture(scope="session")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """Give a root that is about to publish, and the calls that it makes when nothing fails."""
    template = copy_of(publish_two, tmp_path_factory.mktemp("faults") / "template")
    clean = Path(shutil.copytree(template, template.with_name("clean")))
    run = traced(clean, PUBLISH_STEP)
    assert run.exit_code == 0, run.stderr
    assert version(clean)["warehouse/etl.duckdb"] == run.built
    return Publication(template, version(template), exports(version(clean)), run.calls)


def injections(calls: Sequence[Call]) -> list[Injection]:
    """Return the failures to try: all essential ones, and an even selection of the others."""
    changing = [call for call in calls if call.changes_files]
    must = [Injection(call, "EIO") for call in changing if call.is_essential]
    may = [Injection(call, "EIO") for call in changing if not call.is_essential]
    may += [Injection(call, "ENOSPC") for call in changing if call.name.startswith(FILLING)]
    room = len(may) if TRIES_ALL else min(len(may), max(0, INJECTIONS - len(must)))
    return must + [may[at * len(may) // room] for at in range(room)]


def assert_whole_after(root: Path, publication: Publication, injection: Injection) -> None:
    """Run with a failing call: a whole version is published; etl recover finishes what was decided; the next run passes."""
    call = injection.call
    run = traced(root, PUBLISH_STEP, f"{call.name}:error={injection.error}:when={call.number}")
    assert run.injected == 1, "the call was not made to fail"
    new = publication.new | {"warehouse/etl.duckdb": run.built}
    seen = version(root)
    journal = Staging(Project.at(root)).journal
    assert exports(seen) in (exports(publication.old), exports(new)), "exports/ is neither version"
    assert seen["warehouse/etl.duckdb"] in (publication.old["warehouse/etl.duckdb"], run.built), "no whole warehouse"
    if run.exit_code == 0:
        assert seen == new, "it reports success, and the new version is not there"
    else:
        assert run.exit_code == 1
        assert_one_sentence(run.stderr, os.strerror(getattr(errno, injection.error)))
        if journal.is_file() and json.loads(journal.read_text(encoding="utf-8"))["state"] == "publishing":
            assert etl("recover", "--root", root).exit_code == 0
            assert newest_run(root) == (2, True)
            assert version(root) == new, "etl recover did not finish the new version"
            assert etl("verify", "--root", root).exit_code == 0
        else:
            assert seen == publication.old, "it reports failure, and the new version is published"
            assert newest_run(root) == (2, False), "the failed run has no receipts"
    assert etl("run-all", "--root", root).exit_code == 0
    assert exports(version(root)) == publication.new
    assert_no_litter(root)


@pytest.mark.parametrize("share", range(SHARES))
def test_a_failing_call_leaves_one_version_whole(publication: Publication, tmp_path: Path, share: int) -> None:
    """Whichever call of the publish step fails, a reader sees a whole version, and the next run passes."""
    broken = []
    for at, injection in enumerate(injections(publication.calls)[share::SHARES]):
        root = Path(shutil.copytree(publication.template, tmp_path / str(at)))
        try:
            assert_whole_after(root, publication, injection)
        except AssertionError as error:
            broken.append(f"{injection}\n    {str(error).splitlines()[0]}")
        shutil.rmtree(root)
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("which", [1, 2], ids=["jsonl", "parquet"])
def test_a_failed_fsync_is_never_tried_again(root: Path, which: int) -> None:
    """The run ends; the file whose fsync failed is not synced again, which would pass although its bytes are lost."""
    before = version(root)
    run = traced(root, "etl.export.writer:Written.sync", f"fsync:error=EIO:when={which}")
    synced = [call.text for call in run.calls if call.name in {"fsync", "fdatasync"} and "build/exports/" in call.text]
    assert len(synced) == which
    assert synced[-1].endswith("(INJECTED)")
    assert run.injected == 1
    assert run.exit_code == 1
    assert_one_sentence(run.stderr, "Input/output error")
    assert version(root) == before
    assert newest_run(root) == (2, False)


def test_a_failed_fsync_is_told_with_the_file_it_hit(root: Path) -> None:
    """The error names the file that could not be made durable, like every error about a file."""
    run = traced(root, "etl.export.writer:Written.sync", "fsync:error=EIO:when=1")
    (failed,) = (call.text for call in run.calls if call.text.endswith("(INJECTED)"))
    (file,) = re.findall(r"build/(exports/[^>]+)>", failed)
    assert_one_sentence(run.stderr, file)


def test_all_is_durable_before_the_journal_says_publishing(root: Path) -> None:
    """Every file of the new version is synced before the step that publishes it begins."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    trace = root.with_name("trace")
    # one trace file per thread, so that threads do not cut each other's lines
    options = ["strace", "-ff", "-y", "-o", str(trace), "--trace=fsync,fdatasync"]
    given = [*options, sys.executable, "-m", "etl", "run-all", "--root", str(root)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace a process here (ptrace is forbidden)")
    assert done.returncode == 0
    calls = "".join(file.read_text(encoding="utf-8") for file in root.parent.glob("trace.*"))
    synced = set(re.findall(r"sync\(\d+<(.+)>\) = 0", calls))
    build = Staging(Project.at(root)).build
    files = {str(build / name.removeprefix("warehouse/")) for name in version(root)}
    theirs = {str(build / "exports" / name) for name in (".gitkeep", "README.md")}
    assert files - synced - theirs == set()


def test_what_a_cut_step_had_moved_is_made_durable_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a folder could not be synced after a move, the command that finishes the step syncs it."""
    synced: list[Path] = []

    def fail(folder: Path) -> None:
        if folder == root:
            raise OSError(errno.EIO, "Input/output error", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(publish, "sync_folder", fail)
        assert etl("run-all", "--root", root).exit_code == 1
    monkeypatch.setattr(publish, "sync_folder", synced.append)
    assert etl("recover", "--root", root).exit_code == 0
    assert newest_run(root) == (2, True)
    assert root in synced


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a root that is a file system of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system may not be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """A run that fills the disk says so in one sentence, keeps the old version, writes its receipts, and frees its space."""
    small = write_evidence(tmp_path / "small", {"evidence.jsonl": lines(3)})
    large = write_evidence(tmp_path / "large", {"evidence.jsonl": lines(10_000, 500)})
    assert etl("run-all", "--root", small_disk, "--evidence", small).exit_code == 0
    before, free = version(small_disk), shutil.disk_usage(small_disk).free
    failed = command("run-all", "--root", small_disk, "--evidence", large)
    assert version(small_disk) == before
    assert_one_sentence(failed.stderr, "No space left on device")
    assert failed.returncode == 1
    assert shutil.disk_usage(small_disk).free > free - (1 << 20)
    assert etl("run-all", "--root", small_disk, "--evidence", small).exit_code == 0
    assert exports(version(small_disk)) == exports(before)
    assert newest_run(small_disk) == (3, True)  # number 2 is the failed run, which had room for its receipts


# Locked folders


@pytest.mark.parametrize("locked", ["warehouse", "warehouse/.etl", "exports", "reports/distillation", "."])
def test_a_folder_that_cannot_be_written(root: Path, locked: str) -> None:
    """If a folder cannot be written, one sentence names it or something in it, and nothing is published."""
    before = version(root)
    (root / locked).chmod(0o555)
    failed = command("run-all", "--root", root)
    (root / locked).chmod(0o755)
    assert version(root) == before
    assert failed.returncode == 2
    assert_one_sentence(failed.stderr, str(root / locked))
    assert etl("run-all", "--root", root).exit_code == 0
    assert len(version(root)["exports/sft/instruction_response/part-00001.jsonl"].splitlines()) == 3
    assert_no_litter(root)


@pytest.mark.parametrize("locked", ["outcomes.jsonl", "outcomes"])
def test_evidence_that_cannot_be_read(root: Path, locked: str) -> None:
    """An evidence file or folder that cannot be read is one entry, and the run goes on and publishes."""
    name = locked if locked.endswith(".jsonl") else f"{locked}/more.jsonl"
    write_evidence(root / "evidence", {name: lines(1)})
    (root / "evidence" / locked).chmod(0)
    done = command("run-all", "--root", root)
    (root / "evidence" / locked).chmod(0o755)
    assert done.returncode == 1
    query = "select source_path, item_number, reason from evidence.skipped"
    skipped = etl("sql", query, "--root", root, "--json").json
    assert skipped == [{"source_path": locked, "item_number": 0, "reason": "unreadable_file"}]
    assert newest_run(root) == (2, True)
    assert len(version(root)["exports/sft/instruction_response/part-00001.jsonl"].splitlines()) == 3


# No memory


@pytest.mark.parametrize("limit", ["1KB", "16MB"])
def test_too_little_memory(root: Path, limit: str) -> None:
    """A run without enough memory says so in one sentence, and the old version stays."""
    before = version(root)
    write_evidence(root / "evidence", {"evidence.jsonl": lines(10_000, 500)})
    failed = command("run-all", "--root", root, "--set", f"memory_limit={limit}")
    assert version(root) == before
    assert_one_sentence(failed.stderr, "emory")
    assert failed.returncode == 1
    write_evidence(root / "evidence", {"evidence.jsonl": lines(3)})
    assert etl("run-all", "--root", root).exit_code == 0
    assert_no_litter(root)

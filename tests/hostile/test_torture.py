"""Law 8 under torture: kills at any moment, crowds, readers in a loop, signals. A reader sees one version, whole.

``ETL_KILLS`` is the number of kills (30 unless given); ``ETL_TORTURE_SEED`` seeds their moments. ``pytest -rP`` shows in
which states runs were killed.
"""

import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import INTERRUPTED, KEPT_OF_WAREHOUSE, etl

from etl.base.project import Project
from etl.pipeline.stages import STAGES
from etl.pipeline.staging import Staging

KILLS = int(os.environ.get("ETL_KILLS", "30"))
#: The number of moments in each long stage at which a run is told to stop, by each signal.
SIGNALS_PER_STAGE = max(1, KILLS // 10)
SEED = int(os.environ.get("ETL_TORTURE_SEED", "8"))
CROWD, CROWDS = 8, 10
READ_RUNS = 20
MANY = 40_000
SIGNALS = 3

STAGE_NAMES = [stage.name for stage in STAGES]
CONTENT = (
    "select count(*), md5(string_agg(r::varchar, chr(10) order by r.source_path, r.item_number)) "
    "from (select * exclude (record_key) from evidence.record) as r"
)
HELD = re.compile(r"etl: \S+: another run(?: \(process (\d+)\))? is under way here; wait for it to end\.\n")

pytestmark = pytest.mark.torture


def write_version(evidence: Path, name: str, count: int = 300) -> None:
    """Replace the evidence by this many lines, which depend on the name; a task has accepted and rejected attempts."""
    evidence.mkdir(parents=True, exist_ok=True)
    with (evidence / "evidence.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(count):
            line = {
                "source_class": "verdict",
                "run_id": f"run-{number}",
                "task_id": f"{name}-{number // 5}",
                "created_at": "2026-01-31T12:00:00Z",
                "model": "model-a",
                "prompt": f"Solve {name} {number // 5}.",
                "response": f"The answer of {name}, number {number}, is long enough to weigh something. " * 6,
                "verdict": ("accept", "reject", "partial", "accept", None)[number % 5],
            }
            stream.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class Version:
    """A published version: every file of exports, and the warehouse's count and content."""

    exports: dict[str, bytes]
    warehouse: tuple[int, str]

    @classmethod
    def read(cls, root: Path) -> "Version":
        """Read it from disk, without any code of etl."""
        files = (file for file in sorted((root / "exports").rglob("*")) if file.is_file())
        exports = {file.relative_to(root).as_posix(): file.read_bytes() for file in files}
        with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as warehouse:
            return cls(exports, warehouse.execute(CONTENT).fetchall()[0])


#: The two evidences that alternate: name and number of lines, so that the count identifies them.
COUNTS = {"A": 300, "B": 260}


def publish(root: Path, name: str) -> Version:
    """Publish a version in a root where nothing disturbs it, and return it."""
    write_version(root / "evidence", name, COUNTS[name])
    assert etl("run-all", "--root", root).exit_code == 0
    version = Version.read(root)
    assert version.warehouse[0] == COUNTS[name]
    assert len(set(version.exports.values())) > 9, "the datasets and two of three quarantines have rows"
    return version


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give one root per version, where an undisturbed run published it."""
    roots = {name: tmp_path_factory.mktemp("undisturbed") for name in COUNTS}
    for name, root in roots.items():
        publish(root, name)
    return roots


@pytest.fixture(scope="module")
def versions(undisturbed: dict[str, Path]) -> dict[str, Version]:
    """Give the versions that undisturbed runs publish of evidence A and of evidence B."""
    return {name: Version.read(root) for name, root in undisturbed.items()}


@pytest.fixture
def root(tmp_path: Path, undisturbed: dict[str, Path]) -> Path:
    """Give a root with evidence A, published."""
    return shutil.copytree(undisturbed["A"], tmp_path / "root")


def published(root: Path, versions: dict[str, Version]) -> tuple[str, str]:
    """Return the names of the versions of exports and of the warehouse; fail if one of them is a mixture."""
    found = Version.read(root)
    exports = [name for name, version in versions.items() if version.exports == found.exports]
    warehouse = [name for name, version in versions.items() if version.warehouse == found.warehouse]
    if not exports or not warehouse:
        pytest.fail(f"a mixture: {sorted(found.exports)} is {exports or 'none'}, the warehouse {warehouse or 'none'}")
    return exports[0], warehouse[0]


def start(root: Path) -> "subprocess.Popen[str]":
    """Start ``etl run-all`` as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "etl", "run-all", "--root", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def journal(root: Path) -> dict[str, Any]:
    """Return the journal, or an empty one if there is none."""
    try:
        entry: dict[str, Any] = json.loads(Staging(Project.at(root)).journal.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return entry


def runs(root: Path) -> set[str]:
    """Return the names of the run folders."""
    return {folder.name for folder in (root / "reports" / "distillation").iterdir() if folder.is_dir()}


def wait(process: "subprocess.Popen[str]", until: Callable[[], bool]) -> None:
    """Wait until the condition holds, or the process has ended."""
    while process.poll() is None and not until():
        time.sleep(0.0001)


def assert_no_litter(root: Path) -> None:
    """Assert that only the published files, the lock and the receipts are there."""
    kept = {"README.md", ".gitkeep"}
    assert {file.name for file in (root / "warehouse").rglob("*")} - kept == KEPT_OF_WAREHOUSE
    assert {file.name for file in (root / "reports").iterdir()} - kept == {"distillation"}
    assert {file.name for file in root.iterdir()} == {"evidence", "exports", "reports", "warehouse"}
    folders = {"rag", "sft", "preference", "quarantine"}
    assert {file.name for file in (root / "exports").iterdir()} - kept == folders
    assert {file.name for file in (root / "reports" / "distillation").iterdir()} == {*runs(root), "latest.md", "head"}


def assert_receipts(root: Path, run_id: str) -> list[str]:
    """Assert that a run has one receipt per stage, and its summary; return the statuses in stage order."""
    folder = root / "reports" / "distillation" / run_id
    wanted = {*(f"{stage}.json" for stage in STAGE_NAMES), "summary.json", "summary.md", "drift.json"}
    assert {file.name for file in folder.iterdir()} == wanted
    receipts = [json.loads((folder / f"{stage}.json").read_bytes()) for stage in STAGE_NAMES]
    summary = json.loads((folder / "summary.json").read_bytes())
    statuses = [receipt["status"] for receipt in receipts]
    assert {receipt["run_id"] for receipt in receipts} == {summary["run_id"]} == {run_id}
    assert [stage["status"] for stage in summary["stages"]] == statuses
    assert summary["published"] is (set(statuses) <= {"ok", "reused"})
    return statuses


def assert_cut(statuses: Sequence[str]) -> None:
    """Assert that stages passed until one failed, and that none ran after it."""
    failed = statuses.index("failed")
    assert set(statuses[:failed]) <= {"ok", "reused"}
    assert list(statuses[failed:]) == ["failed"] + ["not_run"] * (len(STAGES) - failed - 1)


# --- kill -9 -----------------------------------------------------------------------------------------------------------


class Killer:
    """Kills runs at random moments, and counts in which state they were."""

    def __init__(self, root: Path, versions: dict[str, Version]) -> None:
        self.root = root
        self.versions = versions
        self.random = random.Random(SEED)
        self.hits: Counter[str] = Counter()
        began = time.perf_counter()
        process = start(root)
        process.communicate()
        assert process.returncode == 0
        self.duration = time.perf_counter() - began

    def kill(self) -> None:
        """Start a run and kill it: anywhere, in its last third, as it publishes, or as its receipts appear."""
        anywhere = ("anywhere", 0.0, self.duration)
        late = ("late", self.duration * 2 / 3, self.duration)
        kind, low, high = self.random.choice([anywhere, late, ("publishing", 0, 0.001), ("receipts", 0, 0.001)])
        moment = self.random.uniform(low, high)
        before = runs(self.root)
        left = journal(self.root)
        began = time.perf_counter()
        process = start(self.root)
        if kind == "publishing":
            wait(process, lambda: journal(self.root).get("state") == "publishing")
        elif kind == "receipts":
            wait(process, lambda: runs(self.root) != before)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            self.duration = min(self.duration, time.perf_counter() - began)  # the machine has become faster
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}
        self._look(left, before)

    def _look(self, left: dict[str, Any], before: set[str]) -> None:
        """Assert that the published version is whole, and count the state in which the run was killed."""
        state = journal(self.root).get("state")
        exports, warehouse = published(self.root, self.versions)
        assert exports == warehouse or state == "publishing"
        if state is None:
            state = "before it built" if runs(self.root) == before else "after it published"
        elif left and journal(self.root) == left:
            state = "before it took up a cut run"
        self.hits[state] += 1


def test_killed_anywhere(root: Path, versions: dict[str, Version]) -> None:
    """However often a run is killed, exports and warehouse are whole, and the next run publishes and leaves no trace."""
    killer = Killer(root, versions)
    names = cycle("BA")
    name = next(names)
    for _ in range(KILLS):
        write_version(root / "evidence", name, COUNTS[name])
        killer.kill()
        if killer.random.random() < 0.25:
            continue  # the run that would finish the cut one is killed too
        result = etl("run-all", "--root", root)
        assert (result.exit_code, result.stderr) == (0, "")
        assert published(root, versions) == (name, name)
        assert_no_litter(root)
        name = next(names)
    assert etl("run-all", "--root", root).exit_code == 0
    for run_id in runs(root):
        statuses = assert_receipts(root, run_id)
        if "failed" in statuses:
            assert_cut(statuses)
    assert etl("verify", "--root", root).exit_code == 0
    print(f"kills of runs of {killer.duration:.1f} s: {dict(killer.hits)}")
    assert killer.hits["building"]


def test_killed_while_it_takes_up_a_cut_run(root: Path) -> None:
    """A command killed just after it wrote a cut run's receipts stops no later one: they are written once, and stay."""
    for cut in ("export.audit", "recover.publish_documents"):
        imports = "import os; from etl.cli.app import app; from etl.export import export; from etl.pipeline import recover"
        code = f"{imports}; {cut} = lambda *_: os._exit(9); app()"
        killed = subprocess.run([sys.executable, "-c", code, "run-all", "--force", "--root", root], check=False)
        assert killed.returncode == 9
        assert journal(root)["state"] == "building"
    result = etl("run-all", "--root", root)
    assert (result.exit_code, result.stderr) == (0, "")
    assert_no_litter(root)
    statuses = [assert_receipts(root, run_id) for run_id in sorted(runs(root), key=lambda name: name.split("-")[1])]
    assert [status[2] for status in statuses] == ["ok", "failed", "reused"]


# --- crowds ------------------------------------------------------------------------------------------------------------


def test_crowd(root: Path, versions: dict[str, Version]) -> None:
    """Of runs started at once some win; the others name the process that holds the root; one version is published."""
    for name in islice(cycle("BA"), CROWDS):
        write_version(root / "evidence", name, COUNTS[name])
        crowd = [start(root) for _ in range(CROWD)]
        ends = [(process.communicate(), process.returncode) for process in crowd]
        assert any(exit_code == 0 for _, exit_code in ends)
        for (stdout, stderr), exit_code in ends:
            if exit_code == 0:
                assert stderr == ""
                continue
            assert (exit_code, stdout) == (4, ""), stderr
            named = HELD.fullmatch(stderr)
            assert named, stderr
            # a run that has only just taken the lock may not have named itself yet
            assert named[1] is None or int(named[1]) in {process.pid for process in crowd}
        assert published(root, versions) == (name, name)
        assert_no_litter(root)
    assert {status for run_id in runs(root) for status in assert_receipts(root, run_id)} <= {"ok", "reused"}


# --- readers -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(folder: Path, *names: str) -> Iterator[list[IO[bytes]]]:
    """Open files of one folder, which is looked up once, so that all are of one version, even if the folder is replaced."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.ExitStack() as files:
            found = [os.open(name, os.O_RDONLY, dir_fd=held) for name in names]
            yield [files.enter_context(os.fdopen(descriptor, "rb")) for descriptor in found]
    finally:
        os.close(held)


def read_once(root: Path) -> tuple[int, bytes, int]:
    """Return the warehouse's count, the bytes of a JSONL file, and the rows of the Parquet file beside it."""
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as warehouse:
        count = warehouse.execute("select count(*) from evidence.record").fetchall()[0][0]
    stem = "sft/instruction_response"
    with opened(root / "exports", f"{stem}/part-00001.jsonl", f"{stem}/part-00001.parquet") as (lines, table):
        text = lines.read()
        ids = pq.read_table(table).column("id").to_pylist()
    assert [json.loads(line)["id"] for line in text.splitlines()] == ids
    return count, text, len(ids)


def read_until(root: Path, stop: Path) -> tuple[Counter[tuple[int, bytes, int]], list[str]]:
    """Read in a loop until the file ``stop`` exists; return what was seen, and the errors."""
    seen: Counter[tuple[int, bytes, int]] = Counter()
    errors = []
    while not stop.exists():
        try:
            seen[read_once(root)] += 1
        except Exception as error:  # noqa: BLE001 - any error of a reader is a finding
            errors.append(f"{type(error).__name__}: {error}")
        time.sleep(0.005)
    return seen, errors


def test_reader_in_a_loop(root: Path, versions: dict[str, Version], tmp_path: Path) -> None:
    """A reader never meets an error or a mixture while runs publish."""
    stop = tmp_path / "stop"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        reader = pool.submit(read_until, root, stop)
        try:
            for name in islice(cycle("BA"), READ_RUNS):
                write_version(root / "evidence", name, COUNTS[name])
                assert etl("run-all", "--root", root).exit_code == 0
        finally:
            stop.touch()
        seen, errors = reader.result(timeout=60)
    assert errors == []
    texts = {version.exports["exports/sft/instruction_response/part-00001.jsonl"]: name for name, version in versions.items()}
    assert {count for count, _, _ in seen} == set(COUNTS.values())
    assert {texts.get(text) for _, text, _ in seen} == set(COUNTS)
    assert all(len(text.splitlines()) == rows for _, text, rows in seen)
    print(f"reads beside {READ_RUNS} runs: {seen.total()}")


# --- signals -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def soon(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Give the seconds in which a run must have stopped: the time of two small whole runs on this machine."""
    root = tmp_path_factory.mktemp("small")
    write_version(root / "evidence", "A", COUNTS["A"])
    begin = time.perf_counter()
    start(root).communicate()
    return 2 * (time.perf_counter() - begin)


def stop(process: "subprocess.Popen[str]", number: signal.Signals, soon: float) -> tuple[int, str]:
    """Tell a run to stop, assert that it ends soon, without a traceback, and return its exit code and stderr."""
    process.send_signal(number)
    told = time.perf_counter()
    _, stderr = process.communicate(timeout=60)
    took = time.perf_counter() - told
    assert "Traceback" not in stderr, stderr
    assert took < soon, f"it took {took:.1f} s of {soon:.1f} s"
    return process.returncode, stderr


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give evidence that takes a run several seconds."""
    folder = tmp_path_factory.mktemp("many")
    write_version(folder, "many", MANY)
    return folder


def is_in(root: Path, stage: str) -> bool:
    """Return whether the run under way has begun a stage."""
    return bool(journal(root).get("partial_run", {}).get("started") == stage)


@pytest.mark.parametrize("stage", ["collect", "export-rag", "export-sft", "export-preference"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("moment", range(SIGNALS_PER_STAGE))
def test_signal(root: Path, many: Path, soon: float, moment: int, number: signal.Signals, stage: str) -> None:
    """A run that is told to stop ends soon, with a sentence, exit code 1, and receipts; the old version stays."""
    before, earlier = Version.read(root), runs(root)
    shutil.copy(many / "evidence.jsonl", root / "evidence")
    process = start(root)
    wait(process, lambda: is_in(root, stage))
    time.sleep(random.Random(f"{SEED} {number} {stage} {moment}").uniform(0, soon / 10))  # before it publishes
    assert process.poll() is None, "the run ended before it was told to stop"
    assert stop(process, number, soon) == (1, INTERRUPTED)
    (run_id,) = runs(root) - earlier
    assert_cut(assert_receipts(root, run_id))
    assert_no_litter(root)
    assert Version.read(root) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signal_as_it_publishes(root: Path, versions: dict[str, Version], soon: float, number: signal.Signals) -> None:
    """A run that is told to stop while it publishes either publishes or not, says which, and leaves no journal."""
    chance = random.Random(f"{SEED} {number}")
    old = "A"
    for new in islice(cycle("BA"), SIGNALS):
        write_version(root / "evidence", new, COUNTS[new])
        process = start(root)
        wait(process, lambda: journal(root).get("state") == "publishing")
        time.sleep(chance.uniform(0, 0.01))
        exit_code, stderr = stop(process, number, soon)
        if exit_code == 0:
            assert (published(root, versions), stderr) == ((new, new), "")
            old = new
        else:
            assert (exit_code, stderr) == (1, INTERRUPTED)
            assert published(root, versions) == (old, old)
        assert_no_litter(root)

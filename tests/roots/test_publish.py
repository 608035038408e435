"""Old until new is whole: a reader sees one version, wherever a run was cut."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from conftest import KEPT_OF_WAREHOUSE, copy_of, etl, evidence_line, write_evidence
from filelock import FileLock

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.pipeline import publish, run
from etl.pipeline.staging import Staging


def lines(count: int) -> list[dict[str, object]]:
    """Return this many accepted lines."""
    return [evidence_line(f"t{at}", verdict="accept") for at in range(count)]


def version(root: Path) -> dict[str, bytes]:
    """Return every exported file's bytes."""
    return {
        file.relative_to(root).as_posix(): file.read_bytes() for file in sorted((root / "exports").rglob("*")) if file.is_file()
    }


def records(root: Path) -> int:
    """Return how many records the published warehouse has."""
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as warehouse:
        return warehouse.execute("select count(*) from evidence.record").fetchall()[0][0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with one published version of 3 records, and evidence for another of 5."""
    return copy_of(publish_three, tmp_path)


def publish_three(root: Path) -> None:
    """Publish a version of 3 records, and leave evidence for another of 5."""
    write_evidence(root / "evidence", {"evidence.jsonl": lines(3)})
    (root / "exports").mkdir()
    (root / "exports" / "README.md").write_text("mine\n", encoding="utf-8")
    (root / "exports" / ".gitkeep").touch()
    assert etl("run-all", "--root", root).exit_code == 0
    write_evidence(root / "evidence", {"evidence.jsonl": lines(5)})


def test_exports_keep_their_readme(root: Path) -> None:
    """The folder changes as one, and its README and .gitkeep stay."""
    assert etl("run-all", "--root", root).exit_code == 0
    assert (root / "exports" / "README.md").read_text(encoding="utf-8") == "mine\n"
    assert (root / "exports" / ".gitkeep").is_file()
    assert not (root / "exports").is_symlink()


def test_no_litter(root: Path) -> None:
    """After a run nothing is left of the build."""
    assert {file.name for file in (root / "warehouse").rglob("*")} == KEPT_OF_WAREHOUSE
    assert {file.name for file in (root / "reports").iterdir()} == {"distillation"}


class Cut(BaseException):
    """The process dies here."""


def cut_at(root: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Run everything, and cut the run before a step of its publish."""

    def die(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        if step == 0:
            patch.setattr(publish, "_exchange_folders", die)
        else:
            patch.setattr(publish, "STEPS", (*publish.STEPS[:step], die))
        with pytest.raises(Cut):
            etl("run-all", "--root", root)


def contents(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the modification time of every file of a root."""
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(root.rglob("*")) if file.is_file()}


LOOKING = (
    *("verify", "verify --all", "receipts", "drift", "drift --history", "explain 0123456789abcdef", "diff a b", "plan"),
    *("health", "sql from(receipts.run)"),
)


@pytest.mark.parametrize("step", range(len(publish.STEPS)))
@pytest.mark.parametrize("finish", ["recover", pytest.param("run-all", marks=pytest.mark.slow)])
def test_cut_publish_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch, step: int, finish: str) -> None:
    """Wherever the publish is cut, the next run or etl recover finishes it: the new version, whole, with its receipts."""
    cut_at(root, monkeypatch, step)
    assert etl(finish, "--root", root).exit_code == 0
    assert records(root) == 5
    assert len(version(root)["exports/sft/instruction_response/part-00001.jsonl"].splitlines()) == 5
    assert not Staging(Project.at(root)).journal.exists()
    assert etl("verify", "--all", "--root", root).exit_code == 0
    seq = etl("receipts", "--root", root, "--json").json["summary"]["seq"]
    assert seq == (2 if finish == "recover" else 3)


@pytest.mark.parametrize("state", ["built", "published"])
def test_commands_that_look_change_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """After a cut, commands that only look say so on stderr, answer, and leave every byte of the root alone."""
    if state == "published":
        cut_at(root, monkeypatch, 2)
    else:
        kill_while_building(root)
    before = contents(root)
    for command in LOOKING:
        result = etl(*command.split(), "--root", root)
        assert f"was cut while it {state}" in result.stderr, command
        assert "did not foresee" not in result.stderr
    assert contents(root) == before


def test_a_run_under_way_is_not_called_cut(root: Path) -> None:
    """While a run holds the root, its journal is not reported as a cut run."""
    staging = Staging(Project.at(root))
    staging.note(publish.Publishing(run_id="20260131T120000Z-0009", exports=None))
    assert "was cut" in etl("receipts", "--root", root).stderr
    with FileLock(staging.project.staging / "lock"):
        assert etl("receipts", "--root", root).stderr == ""


def test_recover_says_what_it_did(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence: nothing to do, a publish that is finished, or receipts that are written."""
    assert etl("recover", "--root", root).stdout == "No run was cut; there is nothing to finish.\n"
    cut_at(root, monkeypatch, 3)
    assert "was cut while it published: the rest is published now" in etl("recover", "--root", root).stdout
    kill_while_building(root)
    assert "was cut while it built: its receipts are written" in etl("recover", "--root", root).stdout
    assert etl("recover", "--root", root).stdout == "No run was cut; there is nothing to finish.\n"


JOURNALS = [
    "", "{", "[]", "null", '{"state": "publishing"}', '{"state": "ended", "run_id": "20260131T120000Z-0002", "exports": null}',
    '{"state": "publishing", "run_id": "../../../../victim", "exports": null}',
    '{"state": "building", "partial_run": {"header": {"run_id": "../../x"}}}',
]  # fmt: skip


@pytest.mark.parametrize("journal", JOURNALS)
def test_a_journal_of_somebody_else_is_refused(tmp_path: Path, journal: str) -> None:
    """Only what a run wrote is read: a state that there is, a run's id that leads nowhere else."""
    staging = Staging(Project.at(tmp_path))
    staging.journal.parent.mkdir(parents=True)
    staging.journal.write_text(journal, encoding="utf-8")
    with pytest.raises(UsageError, match="this journal is damaged"):
        staging.entry()


@pytest.mark.parametrize("journal", [JOURNALS[-1], *(pytest.param(it, marks=pytest.mark.slow) for it in JOURNALS[:-1])])
def test_a_journal_of_somebody_else_is_not_believed(root: Path, journal: str) -> None:
    """It moves nothing; a run and recover refuse with a sentence (exit code 2), and commands that only look still work."""
    victim = root.parent / "victim"
    write_evidence(victim, {"keep.txt": ["mine"]})
    file = Staging(Project.at(root)).journal
    (file.parent / "build/reports").mkdir(parents=True)
    file.write_text(journal, encoding="utf-8")
    before = contents(root.parent)
    for command in ("recover", "run-all"):
        result = etl(command, "--root", root)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"etl: {file}: this journal is damaged")
    for command in ("verify --all", "receipts", "health"):
        assert etl(*command.split(), "--root", root).exit_code == 0
    before |= {name: state for name, state in contents(root.parent).items() if name.endswith("/lock")}
    assert contents(root.parent) == before


def test_swap_without_exchange(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot swap two folders in one step, two renames do it."""
    monkeypatch.setattr(publish, "_exchange", lambda *_: False)
    assert etl("run-all", "--root", root).exit_code == 0
    assert len(version(root)["exports/sft/instruction_response/part-00001.jsonl"].splitlines()) == 5


def test_failed_run_keeps_the_old_version(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails before it publishes changes neither exports nor warehouse, and writes its receipts."""
    before = version(root)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(run, "make_durable", fail)
    result = etl("run-all", "--root", root)
    assert result.exit_code == 1
    assert result.stderr == "etl: somewhere: No space left on device.\n"
    assert version(root) == before
    assert records(root) == 3
    assert etl("receipts", "--root", root, "--json").json["summary"]["published"] is False


def kill_while_building(root: Path) -> None:
    """Start a run that is killed while it audits what its first export wrote."""
    code = (
        "import os, sys; from etl.export import export; from etl.cli.app import app; "
        "export.audit = lambda *_: os._exit(9); sys.argv = ['etl', 'run-all', '--force', '--root', sys.argv[1]]; app()"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, check=False)
    assert killed.returncode == 9


def test_killed_run_gets_its_receipts_from_the_next_run(root: Path) -> None:
    """A run that was killed while it built has its receipts written by the next run, from its journal."""
    before = version(root)
    kill_while_building(root)
    assert Staging(Project.at(root)).journal.is_file()
    assert version(root) == before
    assert etl("recover", "--root", root).exit_code == 0
    summary = etl("receipts", "--root", root, "--json").json["summary"]
    assert [stage["status"] for stage in summary["stages"]] == ["ok", "ok", "failed", "not_run", "not_run"]
    assert (summary["seq"], summary["published"]) == (2, False)
    assert not (root / "warehouse/.etl/build").exists()
    assert etl("run-all", "--root", root).exit_code == 0
    assert etl("receipts", "--root", root, "--json").json["summary"]["seq"] == 3


def test_killed_run_is_finished_within_other_limits(root: Path) -> None:
    """Who finishes a run that had too little memory keeps its settings in the receipts, and takes the memory that he has."""
    kill_while_building(root)
    journal = Staging(Project.at(root)).journal
    entry = json.loads(journal.read_text(encoding="utf-8"))
    settings = entry["partial_run"]["header"]["request"]["settings"]
    settings |= {"memory_limit": "1KB", "sources.notes.scale": "5"}
    journal.write_text(json.dumps(entry), encoding="utf-8")
    assert etl("recover", "--root", root).exit_code == 0
    assert etl("receipts", "--root", root, "--json").json["summary"]["request"]["settings"] == settings


def test_one_run_at_a_time(root: Path) -> None:
    """While a run holds the root, a second gets one sentence that names the holder, and exit code 4."""
    staging = root / "warehouse" / ".etl"
    with FileLock(staging / "lock"):
        (staging / "holder").write_text(str(os.getpid()), encoding="utf-8")
        result = etl("run-all", "--root", root)
    assert result.exit_code == 4
    assert f"another run (process {os.getpid()}) is under way here" in result.stderr


def test_an_open_shell_does_not_block_a_run(root: Path) -> None:
    """A duckdb shell that holds the published warehouse, even for writing, neither blocks a run nor is disturbed."""
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(c.execute('select 1').fetchall(), flush=True); "
        "sys.stdin.readline(); print(c.execute('select count(*) from evidence.record').fetchall()[0][0], flush=True)"
    )
    warehouse = str(root / "warehouse" / "etl.duckdb")
    command = [sys.executable, "-c", code, warehouse]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin
        assert shell.stdout
        shell.stdout.readline()
        assert etl("run-all", "--root", root).exit_code == 0
        assert etl("sql", "select count(*) as n from evidence.record", "--root", root, "--json").json == [{"n": 5}]
        shell.stdin.write("\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "3\n"

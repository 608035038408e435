"""Where the folders of a root are, and what others put there: a run publishes whole, or refuses before it builds anything."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import copy_of, etl, evidence_line, write_evidence

from etl.base.project import Project
from etl.pipeline.obstacles import obstacles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with one published record, and evidence for another."""
    return copy_of(publish_one, tmp_path / "root")


def publish_one(root: Path) -> None:
    """Publish one record, and leave evidence for another."""
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    assert etl("run-all", "--root", root).exit_code == 0
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line(task, verdict="accept") for task in "ab"]})


def shipped(root: Path) -> int:
    """Return how many rows the SFT file has."""
    return len((root / "exports/sft/instruction_response/part-00001.jsonl").read_bytes().splitlines())


def link(root: Path, path: str) -> None:
    """Move a file or folder out of the root, and leave a link to it."""
    away = root.parent / "away"
    (root / path).rename(away)
    (root / path).symlink_to(away)


def folder(root: Path, path: str) -> None:
    """Put a folder in the place of a file."""
    (root / path).unlink()
    (root / path).mkdir()


IN_THE_WAY: dict[str, tuple[Callable[[Path], object], str]] = {
    "exports is a link": (lambda root: link(root, "exports"), "a link cannot be replaced"),
    "a dataset's folder is a link": (lambda root: link(root, "exports/sft"), "not an ordinary folder"),
    "a dataset's file is a folder": (
        lambda root: folder(root, "exports/sft/instruction_response/part-00001.jsonl"),
        "an ordinary file",
    ),
    "the warehouse is a link": (lambda root: link(root, "warehouse/etl.duckdb"), "an ordinary file"),
    "the warehouse is a folder": (lambda root: folder(root, "warehouse/etl.duckdb"), "an ordinary file"),
    "the head is a folder": (lambda root: folder(root, "reports/distillation/head"), "an ordinary file"),
    "latest.md is a folder": (lambda root: folder(root, "reports/distillation/latest.md"), "an ordinary file"),
    "the file stats are a folder": (lambda root: folder(root, "warehouse/.etl/published.json"), "an ordinary file"),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_what_cannot_be_replaced_is_refused_before_anything_is_built(root: Path, case: str) -> None:
    """A run ends with exit code 2 and a sentence that names it; health says the same; the published version stays readable."""
    change, words = IN_THE_WAY[case]
    change(root)
    documents = sorted((root / "reports").rglob("*"))
    result = etl("run-all", "--root", root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert sorted((root / "reports").rglob("*")) == documents, "not even a receipt: the run did not begin"
    assert not (root / "warehouse/.etl/journal.json").exists()
    failed = [check["detail"] for check in etl("health", "--root", root, "--json").json if check["what"] == "publishing"]
    assert words in failed[0]


@pytest.mark.parametrize("place", ["exports", "warehouse", "reports"])
def test_a_folder_on_another_file_system_is_refused(root: Path, place: str) -> None:
    """The run does not begin, and commands that only look still work."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == root.stat().st_dev:
        pytest.skip("there is no second file system")
    with TemporaryDirectory(dir=other) as away:
        shutil.move(root / place, away)
        (root / place).symlink_to(Path(away, place))
        result = etl("run-all", "--root", root)
        assert (result.exit_code, shipped(root)) == (2, 1)
        assert "another file system" in result.stderr or "link" in result.stderr
        for command in ("verify --all", "receipts", "sql from(receipts.run)"):
            assert etl(*command.split(), "--root", root).exit_code == 0


@pytest.mark.parametrize("place", ["warehouse", "reports"])
def test_a_link_within_the_file_system_is_published(root: Path, place: str) -> None:
    """Each move is one rename there too; the link stays."""
    link(root, place)
    assert etl("run-all", "--root", root).exit_code == 0
    assert shipped(root) == 2
    assert (root / place).is_symlink()
    assert etl("verify", "--all", "--root", root).exit_code == 0


IN_A_MOUNT_SPACE = """
import subprocess, sys
from pathlib import Path

root, script = sys.argv[1:]
tried = subprocess.run(["unshare", "-m", "true"], check=False).returncode
if tried:
    sys.exit(77)
sys.exit(subprocess.run(["unshare", "-m", "sh", "-c", script, root], check=False).returncode)
"""


def with_mounts(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script that mounts something, in its own mount namespace; skip if that is not allowed."""
    etl_command = f"{sys.executable} -m etl"
    given = [sys.executable, "-c", IN_A_MOUNT_SPACE, str(root), script.replace("ETL", etl_command)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("nothing can be mounted here")
    return done


@pytest.mark.parametrize("place", ["exports", "warehouse", "reports", "exports/mine"])
def test_a_mount_point_is_refused(root: Path, place: str) -> None:
    """A volume, as containers have it, even of the same file system: no move reaches across it."""
    (root / "exports/mine").mkdir()
    done = with_mounts(root, f"mount --bind $0/{place} $0/{place} && ETL run-all --root $0")
    assert (done.returncode, done.stdout, shipped(root)) == (2, "", 1), done.stderr
    assert done.stderr.count("\n") == 1


def test_commands_that_look_work_on_a_read_only_root(root: Path) -> None:
    """They also work after a publish was cut, and say so; a run refuses."""
    (root / "warehouse/.etl/journal.json").write_text(
        '{"state": "publishing", "run_id": "20260131T120000Z-0002", "exports": null}', encoding="utf-8"
    )
    looking = " && ".join(
        f"ETL {command} --root $0" for command in ("verify --all", "receipts", "drift", "plan", "health", "sql 'select 1'")
    )
    done = with_mounts(root, f"mount --bind $0 $0 && mount -o remount,ro,bind $0 && {looking}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("was cut while it published") == 6
    done = with_mounts(root, "mount --bind $0 $0 && mount -o remount,ro,bind $0 && ETL run-all --root $0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_what_others_put_into_exports_stays(root: Path) -> None:
    """Files, folders and links of others are there after a run, and verify names them but does not call them wrong."""
    for name in (".gitignore", "sft.dvc", "sft/card.md", "mine/deep/train.jsonl"):
        write_evidence(root / "exports", {name: ["mine"]})
    (root / "exports/link").symlink_to("nowhere")
    (root / "exports/empty").mkdir(mode=0o700)
    assert etl("run-all", "--root", root).exit_code == 0
    assert shipped(root) == 2
    for name in (".gitignore", "sft.dvc", "sft/card.md", "mine/deep/train.jsonl"):
        assert (root / "exports" / name).read_text(encoding="utf-8") == "mine\n"
    assert (root / "exports/link").readlink() == Path("nowhere")
    assert stat.S_IMODE((root / "exports/empty").stat().st_mode) == 0o700
    result = etl("verify", "--all", "--root", root, "--json")
    assert result.exit_code == 0
    assert {check["what"] for check in result.json if check["status"] == "unchecked"} >= {
        "exports/.gitignore", "exports/mine/deep/train.jsonl", "exports/link",
    }  # fmt: skip


def test_what_looks_like_a_part_of_a_dataset_is_called_wrong(root: Path) -> None:
    """A data file that no receipt names, where trainers look for data, fails verify; it stays anyway."""
    assert etl("run-all", "--root", root).exit_code == 0
    write_evidence(root / "exports", {"sft/more.jsonl": ["{}"]})
    assert etl("verify", "--all", "--root", root).exit_code == 1


def test_mode_and_group_of_exports_stay(root: Path) -> None:
    """A run does not change who may read the datasets."""
    exports = root / "exports"
    (exports / "sft").chmod(0o750)
    exports.chmod(0o2770)
    group = next((number for number in (*os.getgroups(), 1) if number != exports.stat().st_gid), None)
    if group is not None and (os.geteuid() == 0 or group in os.getgroups()):
        os.chown(exports, -1, group)
    before = exports.stat()
    assert etl("run-all", "--root", root).exit_code == 0
    after = exports.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_gid) == (0o2770, before.st_gid)
    assert after.st_ino != before.st_ino
    assert stat.S_IMODE((exports / "sft").stat().st_mode) == 0o750


@pytest.mark.parametrize(
    "number", [errno.EPERM, *(pytest.param(it, marks=pytest.mark.slow) for it in (errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP))]
)
def test_without_hard_links_stages_are_reused(root: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Where hard links are not possible, the files of reused stages are copied."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    assert etl("run-all", "--root", root).exit_code == 0
    monkeypatch.setattr(os, "link", refused)
    assert etl("run-all", "--root", root, "--include-partial").exit_code == 0
    assert shipped(root) == 2
    receipts = etl("receipts", "--root", root, "--json").json["receipts"]
    assert {receipt["stage"]: receipt["status"] for receipt in receipts}["export-rag"] == "reused"


def test_another_users_sticky_folder_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder such as /tmp only its owner may replace exports/; the run refuses before anything is built."""
    root.chmod(0o1777)
    os.chown(root / "exports", 12345, -1) if os.geteuid() == 0 else pytest.skip("only root can give a folder away")
    os.chown(root, 12346, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert any("sticky" in sentence for sentence in obstacles(Project.at(root)))

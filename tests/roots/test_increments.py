"""A run costs what changed: untouched files are not read, grown files are read on, and the result equals a fresh run's."""

import gzip
import json
import os
import signal
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import INTERRUPTED, copy_of, etl, evidence_line, write_evidence
from increments import assert_as_fresh, exports, run, settle

from etl.base.file_stat import TICK_NS, FileStat, read_stats, stat_of, write_stats
from etl.base.project import Project
from etl.ingest import judging
from etl.ingest.formats.lines import LineReader
from etl.ingest.formats.strict_json import Refusal
from etl.pipeline import run as run_module

#: A mapping that looks at other lines: it gives each line the number of lines of its file.
WINDOW = """-- One row per note; its score is the share of its file that it is.
select
    source_path,
    item_number,
    'verdict' as source_class,
    json ->> '$.task' as task_id,
    json ->> '$.text' as response,
    1 / count(*) over (partition by source_path) as score,
from raw.item
"""


def line(task_id: str, **fields: Any) -> bytes:
    """Return a line of evidence with its line feed."""
    return json.dumps(evidence_line(task_id, **fields)).encode() + b"\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with two settled files of evidence that was run once, and whose file stats are trusted."""
    copy_of(publish_two_files, tmp_path)
    files = (tmp_path / "evidence").rglob("*.jsonl")
    stats_by_name = {file.relative_to(tmp_path / "evidence").as_posix(): stat_of(file) for file in files}
    write_stats(Project.at(tmp_path).evidence_stats, stats_by_name)
    return tmp_path


def publish_two_files(root: Path) -> None:
    """Publish a version of two files of evidence."""
    write_evidence(root / "evidence", {"evidence/one.jsonl": [evidence_line("a"), "", "no json"]})
    write_evidence(root / "evidence", {"evidence/two.jsonl": [evidence_line("b", verdict="accept")]})
    run(root)


def carried(receipt: Mapping[str, Any]) -> dict[str, bool]:
    """Return for each file of evidence whether its hash comes from an earlier run."""
    return {entry["path"]: entry["carried"] for entry in receipt["inputs"]["files"]}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Give the list to which every line that is judged from now on is added."""
    lines: list[bytes] = []
    read_object = judging.read_object

    def noting(line: bytes, max_depth: int, max_values: int) -> dict[str, Any] | Refusal:
        lines.append(line)
        return read_object(line, max_depth, max_values)

    monkeypatch.setattr(judging, "read_object", noting)
    return lines


def test_nothing_changed_reads_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run reads no evidence and no export, marks every hash as carried, and gives the same result."""
    before = run(root)

    def forbidden(*_: Any) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(LineReader, "__iter__", forbidden)
    monkeypatch.setattr("etl.pipeline.plan._has_content", forbidden)
    receipt = run(root)
    assert receipt["status"] == "reused"
    assert carried(receipt) == {"evidence/one.jsonl": True, "evidence/two.jsonl": True}
    assert receipt["inputs"]["hash"] == before["inputs"]["hash"]


def counted(read: int) -> dict[str, Any]:
    """Return what a receipt says of this many files that were read, and one that a rule ignores."""
    return {"read": read, "ignored": {"*.md": 1}, "ignored_members": {}}


def test_another_ignored_file_concerns_collect_alone(root: Path, judged: list[bytes]) -> None:
    """Its receipt counts the file; nothing is read, and all other stages are reused. One of an unknown format is evidence."""
    (root / "evidence/evidence/notes.md").write_bytes(b"Notes.")
    receipt = run(root)
    assert (receipt["status"], receipt["files"], judged) == ("ok", counted(read=2), [])
    others = etl("receipts", "--root", root, "--json").json["receipts"][1:]
    assert {other["status"] for other in others} == {"reused"}
    (root / "evidence/evidence/notes.txt").write_bytes(b"Notes.")
    receipt = run(root)
    assert (receipt["files"], judged) == (counted(read=3), [])
    assert receipt["counts_by_reason"]["skipped"] == {"malformed_json": 1, "unknown_format": 1}
    assert run(root)["status"] == "reused"


def test_a_new_file_alone_is_read(root: Path, tmp_path: Path, judged: list[bytes]) -> None:
    """One more file -> only its lines are judged; the hashes of the others are carried."""
    (root / "evidence/evidence/three.jsonl").write_bytes(line("c"))
    receipt = run(root)
    assert judged == [line("c").rstrip()]
    assert carried(receipt) == {"evidence/one.jsonl": True, "evidence/three.jsonl": False, "evidence/two.jsonl": True}
    assert_as_fresh(root, tmp_path / "fresh")


EDITS: dict[str, tuple[Callable[[bytes], bytes], list[bytes]]] = {
    "grows": (lambda content: content + line("n") + b"\n" + line("m"), [line("n")[:-1], line("m")[:-1]]),
    "grows by half a line": (lambda content: content + line("n")[:20], [line("n")[:20]]),
    "grows by a blank": (lambda content: content + b"  ", []),
    "is rewritten": (lambda content: content.replace(b'"a"', b'"z"') + line("n"), []),
    "is cut off": (lambda content: content[: len(content) // 2], []),
    "is emptied": (lambda _: b"", []),
}


@pytest.mark.parametrize(
    ("edit", "tail"), [pytest.param(*EDITS[name], id=name, marks=[] if name == "grows" else pytest.mark.slow) for name in EDITS]
)
def test_a_file_that_changes(
    root: Path, tmp_path: Path, judged: list[bytes], edit: Callable[[bytes], bytes], tail: Sequence[bytes]
) -> None:
    """Of a grown file only the new lines are judged, a rewritten file is read whole; the result equals a fresh run's."""
    file = root / "evidence/evidence/one.jsonl"
    before = file.read_bytes()
    file.write_bytes(edit(before))
    run(root)
    if file.read_bytes().startswith(before):
        assert judged == list(tail)
    assert_as_fresh(root, tmp_path / "fresh")


@pytest.mark.slow
def test_half_a_line_is_completed(root: Path, tmp_path: Path) -> None:
    """A last line without its line feed is a record or skipped; when the rest of it arrives, it is another line."""
    file = root / "evidence/evidence/two.jsonl"
    whole = line("n", verdict="accept")
    for cut in (10, len(whole) - 1, len(whole), len(whole) + 3, 2 * len(whole) - 1):
        file.write_bytes(line("b", verdict="accept") + (whole + b"   " + whole)[:cut])
        run(root)
        assert_as_fresh(root, tmp_path / f"fresh-{cut}")


def test_a_file_that_is_gone(root: Path, tmp_path: Path, judged: list[bytes]) -> None:
    """A removed file's records and skipped lines leave; nothing is read."""
    (root / "evidence/evidence/one.jsonl").unlink()
    run(root)
    assert judged == []
    assert_as_fresh(root, tmp_path / "fresh")


@pytest.mark.slow
def test_a_compressed_file_is_read_whole(root: Path, tmp_path: Path) -> None:
    """A compressed file that grew by another member cannot be read on, so it is read whole."""
    file = root / "evidence/evidence/packed.jsonl.gz"
    file.write_bytes(gzip.compress(line("p"), mtime=0))
    run(root)
    file.write_bytes(file.read_bytes() + gzip.compress(line("q"), mtime=0))
    run(root)
    assert_as_fresh(root, tmp_path / "fresh")


def test_a_mapping_over_all_lines_gets_all_lines(tmp_path: Path) -> None:
    """If a mapping looks at other lines, a new line changes the records of old ones, so its files are read whole."""
    overlay = tmp_path / "sql" / "2_sources"
    overlay.mkdir(parents=True)
    (overlay / "notes.sql").write_text(WINDOW, encoding="utf-8")
    notes = [{"task": task, "text": f"About {task}."} for task in "abc"]
    write_evidence(tmp_path / "evidence", {"notes/one.jsonl": notes[:1], "notes/two.jsonl": notes[:1]})
    run(tmp_path)
    write_evidence(tmp_path / "evidence", {"notes/one.jsonl": notes})
    run(tmp_path)
    query = "select source_path, round(score, 2) as score from evidence.record order by all"
    scores = [(row["source_path"], row["score"]) for row in etl("sql", query, "--root", tmp_path, "--json").json]
    assert scores == [*[("notes/one.jsonl", 0.33)] * 3, ("notes/two.jsonl", 1.0)]


@pytest.mark.slow
def test_a_lost_file_of_a_mapping_over_all_lines(tmp_path: Path) -> None:
    """If a mapping looks at other lines, a removed file changes the records of those that stay."""
    overlay = tmp_path / "sql" / "2_sources"
    overlay.mkdir(parents=True)
    over_all = WINDOW.replace("over (partition by source_path)", "over ()")
    (overlay / "notes.sql").write_text(over_all, encoding="utf-8")
    notes = [{"task": task, "text": f"About {task}."} for task in "ab"]
    write_evidence(tmp_path / "evidence", {"notes/one.jsonl": notes[:1], "notes/two.jsonl": notes[1:]})
    run(tmp_path)
    (tmp_path / "evidence/notes/two.jsonl").unlink()
    run(tmp_path)
    query = "select source_path, score from evidence.record"
    assert etl("sql", query, "--root", tmp_path, "--json").json == [{"source_path": "notes/one.jsonl", "score": 1.0}]


@pytest.mark.slow
def test_a_touched_file_is_hashed_and_not_parsed(root: Path, judged: list[bytes]) -> None:
    """If only a file's times changed, its hash shows that it is the same: everything is reused, and its hash is not carried."""
    os.utime(root / "evidence/evidence/one.jsonl")
    receipt = run(root)
    assert receipt["status"] == "reused"
    assert carried(receipt) == {"evidence/one.jsonl": False, "evidence/two.jsonl": True}
    assert judged == []


def test_rehash_distrusts_the_file_system(root: Path) -> None:
    """Other bytes with the same file stats count as unchanged, until --rehash reads them."""
    file = root / "evidence/evidence/two.jsonl"
    file.write_bytes(file.read_bytes().replace(b"The answer", b"An  answer"))
    settle(root / "evidence")
    project = Project.at(root)
    stat = file.stat()
    forged = FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    write_stats(project.evidence_stats, read_stats(project.evidence_stats) | {"evidence/two.jsonl": forged})
    assert run(root)["status"] == "reused"
    plan = etl("plan", "--root", root, "--rehash", "--json").json
    assert plan["steps"][0]["reason"] == "evidence/two.jsonl has changed."
    receipt = run(root, "--rehash")
    assert receipt["status"] == "ok"
    assert not any(carried(receipt).values())


@pytest.mark.slow
def test_a_fresh_change_is_not_trusted(root: Path) -> None:
    """File stats are not kept for a file that changed within the clock's tick before: it might change again unseen."""
    settle(root / "evidence")
    file = root / "evidence/evidence/one.jsonl"
    file.write_bytes(file.read_bytes())
    later = file.stat().st_ctime_ns + TICK_NS // 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.base.file_stat.time_ns", lambda: later)
        assert etl("run-all", "--root", root).exit_code in {0, 1}
    assert read_stats(Project.at(root).evidence_stats).keys() == {"evidence/two.jsonl"}


def test_where_nothing_changed_documents_alone_are_written(root: Path) -> None:
    """The warehouse and the exports do not change: the run is in reports/, and in the next version's receipts."""
    warehouse = root / "warehouse/etl.duckdb"
    before = warehouse.read_bytes(), exports(root)
    assert run(root)["status"] == "reused"
    assert (warehouse.read_bytes(), exports(root)) == before
    assert run(root)["status"] == "reused"
    assert etl("verify", "--all", "--root", root).exit_code == 0
    shown = etl("receipts", "--root", root, "--json").json
    assert (shown["summary"]["seq"], shown["summary"]["published"]) == (3, True)
    assert etl("drift", "--root", root, "--json").json["severity"] == "ok"
    (root / "evidence/evidence/three.jsonl").write_bytes(line("c"))
    run(root)
    rows = etl("sql", "select seq from receipts.run order by seq", "--root", root, "--json").json
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]


def test_a_run_that_writes_documents_alone_can_be_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal ends that run too, before it publishes, with the usual sentence."""
    compose_report = run_module.compose_report

    def stopped(*values: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # until the main thread has heard it
        return compose_report(*values, **named)

    monkeypatch.setattr(run_module, "compose_report", stopped)
    before = (root / "warehouse/etl.duckdb").read_bytes(), exports(root)
    done = etl("run-all", "--root", root)
    assert (done.exit_code, done.stderr) == (1, INTERRUPTED)
    assert ((root / "warehouse/etl.duckdb").read_bytes(), exports(root)) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["receipts.arrow", "evidence.json", "published.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]"])
def test_what_the_workshop_keeps_is_only_a_shortcut(root: Path, tmp_path: Path, name: str, content: bytes | None) -> None:
    """Without these files, or with damaged ones, a run gives the same result, more slowly."""
    file = root / "warehouse/.etl" / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    (root / "evidence/evidence/three.jsonl").write_bytes(line("c"))
    run(root)
    rows = etl("sql", "select seq from receipts.run order by seq", "--root", root, "--json").json
    assert [row["seq"] for row in rows] == [1, 2]
    assert_as_fresh(root, tmp_path / "fresh")


def test_members_with_a_line_feed_in_their_name(tmp_path: Path) -> None:
    """What a changed archive no longer holds is forgotten, whatever the names of its members."""
    root = tmp_path / "root"
    for number, verdicts in enumerate((["approve"], ["reject"], [])):
        write_evidence(root / "evidence", {"evidence/kept.jsonl": [evidence_line("kept")]})
        with zipfile.ZipFile(root / "evidence/evidence/l.zip", "w") as archive:
            archive.writestr("other.jsonl", line("other"))
            for verdict in verdicts:
                archive.writestr("s/a\nb.jsonl", line("a", verdict=verdict))
        run(root)
        assert_as_fresh(root, tmp_path / f"fresh-{number}")


@pytest.mark.slow
def test_grades_come_change_and_go(tmp_path: Path) -> None:
    """Grades by run and by task that become ambiguous, meet something only later, or go, count as if all were read at once."""
    root, grades = tmp_path / "root", tmp_path / "root/evidence/verdicts.jsonl"
    root.mkdir()
    attempts = [
        evidence_line(task, source_class="telemetry", run_id=run_id) for task, run_id in (("a", "1"), ("b", "2"), ("b", "3"))
    ]
    by_run = {"run_id": "1", "verdict": "accept"}
    steps: list[tuple[list[Any], list[Any]]] = [
        (attempts[:2], []),
        (attempts[:2], [by_run, {"task_id": "b", "verdict": "reject"}, {"run_id": "3", "score": 1}]),
        (attempts, [by_run | {"verdict": "reject"}, {"task_id": "b", "verdict": "accept"}, {"run_id": "3", "score": 1}]),
        (attempts[:1], [by_run | {"verdict": "reject"}, {"task_id": "a", "human_override": "accepted"}]),
        (attempts[:2], []),
    ]
    shipped = []
    for number, (lines, verdicts) in enumerate(steps):
        write_evidence(root / "evidence", {"evidence.jsonl": lines})
        grades.unlink(missing_ok=True)
        if verdicts:
            write_evidence(root / "evidence", {"verdicts.jsonl": verdicts})
        run(root)
        assert_as_fresh(root, tmp_path / f"fresh-{number}")
        shipped.append((root / "exports/sft/instruction_response/part-00001.jsonl").read_bytes().count(b"\n"))
    assert shipped == [0, 1, 1, 1, 0]

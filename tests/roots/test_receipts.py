"""Receipts say what happened, their counts add up, and taking them out changes nothing."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from conftest import SAMPLE, copy_of, etl, evidence_line, publish_sample, write_evidence

from etl.base.errors import StageError
from etl.base.file_stat import RECEIPTS, read_run, read_stats, stat_of, write_stats
from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Run
from etl.pipeline.stages import STAGES, run_stages
from etl.receipts.models import DriftReport, FileEntry, RunSummary, StageReceipt, aggregate_hash
from etl.receipts.store import texts_of
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

EVIDENCE = [
    evidence_line("a", verdict="accept", run_id="1"),
    evidence_line("a", verdict="reject", run_id="2", response="Worse."),
    evidence_line("b", verdict="partial"),
    evidence_line("c", verdict="escalate"),
    "",
    " \t",
    "not json",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run with a skipped line."""
    root = tmp_path_factory.mktemp("receipts")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    result = etl("run-all", "--root", root, "--recorded-at", "2026-02-03T04:05:06Z")
    assert result.exit_code == 1
    return root


def folder_of(root: Path) -> Path:
    """Return the newest run's folder."""
    return max(path for path in (root / "reports/distillation").iterdir() if path.is_dir())


def test_the_first_drift_report_says_what_the_views_say(root: Path) -> None:
    """The report of a root's first run is written without the drift views, and they say the same."""
    first = min(path for path in (root / "reports/distillation").iterdir() if path.is_dir())
    written = json.loads((first / "drift.json").read_text(encoding="utf-8"))
    assert etl("drift", first.name, "--root", root, "--json").json == written


def test_every_document_is_there_and_valid(root: Path) -> None:
    """A run leaves one receipt per stage, summary, drift report and Markdown; each document fits its definition."""
    folder = folder_of(root)
    assert {file.name for file in folder.iterdir()} == {
        *(f"{stage.name}.json" for stage in STAGES), "summary.json", "summary.md", "drift.json",
    }  # fmt: skip
    for stage in STAGES:
        StageReceipt.model_validate_json((folder / f"{stage.name}.json").read_text(encoding="utf-8"))
    RunSummary.model_validate_json((folder / "summary.json").read_text(encoding="utf-8"))
    DriftReport.model_validate_json((folder / "drift.json").read_text(encoding="utf-8"))
    assert "| collect |" in (root / "reports/distillation/latest.md").read_text(encoding="utf-8")


def test_collect_receipt(root: Path) -> None:
    """Collect's receipt in full: lines that are not blank in, records and skipped lines out, blank lines apart."""
    receipt = json.loads((folder_of(root) / "collect.json").read_text(encoding="utf-8"))
    file = root / "evidence" / "evidence.jsonl"
    assert receipt["stats"] == {"accepted": 4, "rejected": 0, "quarantined": 0, "skipped": 1}
    assert receipt["counts_by_reason"] == {"rejected": {}, "quarantined": {}, "skipped": {"malformed_json": 1}}
    assert receipt["blank"] == 2
    assert receipt["validation"] == {
        "passed": False,
        "errors": ["evidence: 1 skipped as malformed_json, the first is evidence.jsonl:7."],
        "warnings": [],
    }
    assert receipt["inputs"]["files"] == [
        {
            "path": "evidence.jsonl",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
            "record_count": 5,
            "columns": None,
            "carried": False,
        }
    ]
    assert receipt["timestamp"] == "2026-02-03T04:05:06.000000Z"
    assert receipt["duration_ms"] == 0


def test_score_and_preference_receipts(root: Path) -> None:
    """Score passes all records on; the preference receipt also counts the outcomes of all scored records."""
    folder = folder_of(root)
    score = json.loads((folder / "score.json").read_text(encoding="utf-8"))
    assert score["stats"] == {"accepted": 1, "rejected": 1, "quarantined": 2, "skipped": 0}
    assert score["counts_by_reason"]["quarantined"] == {"needs_human_review": 1, "partially_accepted": 1}
    assert score["outputs"]["record_count"] == score["inputs"]["record_count"] == 4
    assert [entry["path"] for entry in score["outputs"]["files"]] == ["scored.run"]
    preference = json.loads((folder / "export-preference.json").read_text(encoding="utf-8"))
    assert preference["records"] == {"in": 4, "by_outcome": {"no_counterpart": 1, "not_a_side": 1, "paired": 2}}


def test_summary_adds_up(root: Path) -> None:
    """The summary's totals are the sums over its stages; a skipped line fails the run, which still publishes."""
    summary = json.loads((folder_of(root) / "summary.json").read_text(encoding="utf-8"))
    assert summary["overall_passed"] is False
    assert summary["published"] is True
    assert summary["datasets"] == {"rag": 2, "sft": 1, "preference": 1}
    for stat in ("accepted", "rejected", "quarantined", "skipped"):
        assert summary[f"total_{stat}"] == sum(stage["stats"][stat] for stage in summary["stages"])
    assert (summary["seq"], summary["previous"]) == (1, None)


def test_books_of_every_receipt_balance(root: Path) -> None:
    """records_in = accepted + rejected + quarantined + skipped, and each stat is the sum of its reasons."""
    for stage in STAGES:
        receipt = json.loads((folder_of(root) / f"{stage.name}.json").read_text(encoding="utf-8"))
        assert receipt["inputs"]["record_count"] == sum(receipt["stats"].values())
        for stat, reasons in receipt["counts_by_reason"].items():
            assert sum(reasons.values()) == receipt["stats"][stat]


def test_warehouse_tells_the_same(root: Path) -> None:
    """The tables receipts.* hold what the documents say."""
    rows = etl("sql", "select stage, records_in, accepted from receipts.stage order by position", "--root", root, "--json")
    summary = json.loads((folder_of(root) / "summary.json").read_text(encoding="utf-8"))
    assert [(row["stage"], row["records_in"], row["accepted"]) for row in rows.json] == [
        (stage["name"], stage["records_in"], stage["stats"]["accepted"]) for stage in summary["stages"]
    ]


def test_taking_the_recorder_out_changes_no_byte(tmp_path: Path, sql: Sql) -> None:
    """Exports with and without the recorder are byte-identical."""
    recorded = copy_of(publish_sample, tmp_path / "recorded")
    settings = Settings()
    warehouse = Warehouse.create(sql, settings, tmp_path / "plain.duckdb")
    run_stages(Run(Project.at(tmp_path, SAMPLE), settings, sql, warehouse, tmp_path / "plain"))
    warehouse.close()
    files = [file for file in (recorded / "exports").rglob("*.*") if file.suffix in {".jsonl", ".parquet"}]
    assert len(files) == 12
    for file in files:
        assert file.read_bytes() == (tmp_path / "plain" / file.relative_to(recorded / "exports")).read_bytes()


def test_pinned_clock_makes_receipts_repeatable(tmp_path: Path) -> None:
    """With --recorded-at two roots have the same receipts, byte for byte."""
    texts = []
    for name in ("one", "other"):
        root = tmp_path / name
        write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
        etl("run-all", "--root", root, "--recorded-at", "2026-02-03T04:05:06+02:00")
        texts.append({file.name: file.read_bytes() for file in folder_of(root).iterdir()})
    assert texts[0] == texts[1]


def test_summaries_are_chained(tmp_path: Path) -> None:
    """A run continues the numbering and names the hash of the summary before it, even if one of the runs failed."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    etl("run-all", "--root", tmp_path)
    etl("run-all", "--root", tmp_path, "--fail-fast")
    etl("run-all", "--root", tmp_path, "--force")
    folders = sorted(path for path in (tmp_path / "reports/distillation").iterdir() if path.is_dir())
    summaries = [(folder / "summary.json").read_bytes() for folder in folders]
    parsed = [json.loads(summary) for summary in summaries]
    assert [(summary["seq"], summary["published"]) for summary in parsed] == [(1, True), (2, False), (3, True)]
    assert [summary["previous"] for summary in parsed] == [
        None, hashlib.sha256(summaries[0]).hexdigest(), hashlib.sha256(summaries[1]).hexdigest(),
    ]  # fmt: skip
    rows = etl("sql", "select seq, published from receipts.run order by seq", "--root", tmp_path, "--json").json
    assert [(row["seq"], row["published"]) for row in rows] == [(1, True), (2, False), (3, True)]


def test_failed_stage_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a stage raises, later stages are not_run, every stage has a receipt, and the previous version stays."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE[:4]})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    before = (tmp_path / "exports/sft/instruction_response/part-00001.jsonl").read_bytes()
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE[:1]})
    broken = tmp_path / "sql" / "6_datasets"
    broken.mkdir(parents=True)
    sft = Sql.of(tmp_path).files["sql/6_datasets/sft.sql"]
    broken_sft = sft.replace("    decision.id,", "    error('boom') as id,")
    (broken / "sft.sql").write_text(broken_sft, encoding="utf-8")
    result = etl("run-all", "--root", tmp_path)
    assert result.exit_code == 1
    assert "boom" in result.stderr
    assert "Traceback" not in result.stderr
    summary = json.loads((folder_of(tmp_path) / "summary.json").read_text(encoding="utf-8"))
    assert [stage["status"] for stage in summary["stages"]] == ["ok", "ok", "ok", "failed", "not_run"]
    assert not summary["published"]
    assert (tmp_path / "exports/sft/instruction_response/part-00001.jsonl").read_bytes() == before
    records = etl("sql", "select count(*) as n from evidence.record", "--root", tmp_path, "--json").json
    assert records == [{"n": 4}]


def test_failed_books_are_in_the_receipt(tmp_path: Path) -> None:
    """A stage whose counts do not add up has failed, even if it also reports other errors."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    overlay = tmp_path / "sql" / "7_receipts"
    overlay.mkdir(parents=True)
    count = Sql.of(Path("/nonexistent")).files["sql/7_receipts/evidence_count.sql"]
    lying = count.replace("from evidence.skipped\n", "from evidence.skipped\nwhere false\n")
    (overlay / "evidence_count.sql").write_text(lying, encoding="utf-8")
    assert etl("run-all", "--root", tmp_path).exit_code == 1
    receipt = json.loads((folder_of(tmp_path) / "collect.json").read_text(encoding="utf-8"))
    assert receipt["status"] == "failed"
    assert len(receipt["validation"]["errors"]) == 2
    assert "do not balance" in receipt["validation"]["errors"][1]


def test_books_that_do_not_balance_fail_the_run(tmp_path: Path) -> None:
    """The counts reveal a view that loses a row, and nothing is published."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE[:4]})
    overlay = tmp_path / "sql" / "6_datasets"
    overlay.mkdir(parents=True)
    decision = Sql.of(Path("/nonexistent")).files["sql/6_datasets/decision.sql"]
    lossy = decision + "where category <> 'needs_human_review'\n"
    (overlay / "decision.sql").write_text(lossy, encoding="utf-8")
    result = etl("run-all", "--root", tmp_path)
    assert result.exit_code == StageError.exit_code == 1
    assert "export-rag: 4 records in, but 2 accepted + 0 rejected + 1 quarantined + 0 skipped" in result.stderr
    assert not (tmp_path / "exports" / "rag").exists()


def test_aggregate_hash_tells_paths_and_contents_apart() -> None:
    """The hash over entries does not depend on their order, and differs for different paths or contents."""
    one, other = "1" * 64, "2" * 64

    def entries(*pairs: tuple[str, str]) -> list[FileEntry]:
        return [FileEntry(path=path, sha256=digest, bytes=0, record_count=0) for path, digest in pairs]

    base = aggregate_hash(entries(("a", one), ("b", other)))
    assert base == aggregate_hash(entries(("b", other), ("a", one)))
    assert base != aggregate_hash(entries(("a", other), ("b", one)))
    assert base != aggregate_hash(entries(("a", one)))
    by_hand = hashlib.sha256()
    for text in ("a", one, "b", other):
        by_hand.update(len(text).to_bytes(8, "big") + text.encode())
    assert base == by_hand.hexdigest()


def test_kept_rows_equal_their_definitions(tmp_path: Path, sql: Sql) -> None:
    """The kept rows of documents equal what the files of sql/7_receipts compute from the texts of all runs."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [*EVIDENCE, "not json"]})
    for flags in ([], ["--fail-fast", "--force"], [], ["--include-partial"]):  # whole, failed, unchanged, in part
        etl("run-all", "--root", tmp_path, *flags)
    folders = [path for path in (tmp_path / "reports/distillation").iterdir() if path.is_dir()]
    definitions = Warehouse.create(sql, Settings())
    for folder in folders:
        for path, text in texts_of(folder).items():
            definitions.execute("insert into raw.document values (?, ?)", [path, text])
    with PublishedWarehouse.open(tmp_path / "warehouse" / "etl.duckdb") as published:
        for view in sql.kept:
            kept = published.execute(f"from {view.qualified} order by all")
            assert kept == definitions.execute(f"from (\n{view.body}\n) order by all"), view.qualified
            assert {row[0] for row in kept} <= {folder.name for folder in folders}
        assert published.one("select count(*) from receipts.run") == len(folders) == 4
    definitions.close()


def publish_twice(root: Path) -> None:
    """Publish two versions."""
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    for flags in ([], ["--include-partial"]):
        etl("run-all", "--root", root, *flags)


@pytest.mark.parametrize(
    "spoil", ["a bit turned", "other SQL", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gone", "empty", "cut"))]
)
def test_rows_that_lie_at_hand_are_only_a_shortcut(tmp_path: Path, spoil: str) -> None:
    """Without the file of known rows, or with an unusable one, the documents give the same result."""
    copy_of(publish_twice, tmp_path)
    before = etl("drift", "--root", tmp_path, "--history", "--json").json
    project = Project.at(tmp_path)
    file = project.known_receipts
    whole = file.read_bytes()
    turned = whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:]
    content = {"empty": b"", "cut": whole[:2000], "a bit turned": turned, "other SQL": whole}
    if spoil == "gone":
        file.unlink()
    else:
        file.write_bytes(content[spoil])
        if spoil == "other SQL":
            (tmp_path / "sql" / "9_mine").mkdir(parents=True)
            (tmp_path / "sql" / "9_mine" / "view.sql").write_text("-- Mine.\nselect 1 as one\n", encoding="utf-8")
        stats_by_name = read_stats(project.published_stats) | {RECEIPTS: stat_of(file)}
        write_stats(project.published_stats, stats_by_name, read_run(project.published_stats))
    assert etl("drift", "--root", tmp_path, "--history", "--json").json == before != []


def newest(root: Path) -> Path:
    """Return the folder of the newest run."""
    return max(path for path in (root / "reports/distillation").iterdir() if path.is_dir())


def test_an_older_run_does_not_stand_for_newer_exports(tmp_path: Path) -> None:
    """If the receipts of the run that published are gone, and so is all else that knew it, everything runs again."""
    copy_of(publish_twice, tmp_path)
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE[:2]})
    etl("run-all", "--root", tmp_path)
    run_id = newest(tmp_path).name
    shutil.rmtree(newest(tmp_path))
    (tmp_path / "warehouse/.etl/receipts.arrow").unlink()
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    why = f"the receipts of run {run_id}, which published what is there, are damaged or gone."
    steps = etl("plan", "--include-partial", "--root", tmp_path, "--json").json["steps"]
    assert {(step["action"], step["reason"]) for step in steps} == {("run", why)}
    summary = etl("run-all", "--include-partial", "--root", tmp_path, "--json").json
    assert summary["seq"] == 4
    assert etl("verify", summary["run_id"], "--root", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("summary.json", b'"started_at": "20', b'"started_at": "2026-13-27T00:00:00.000000Z", "was": "'),
        pytest.param("summary.json", b"T", b"T99:", marks=pytest.mark.slow),
        pytest.param("score.json", b'"stage": "score"', b'"stage": "collect"', marks=pytest.mark.slow),
        pytest.param("score.json", b'"record_count": ', b'"record_count": 99999999999999999999', marks=pytest.mark.slow),
    ],
)
def test_a_damaged_document_stops_no_other_command(tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    """Documents of a run that make no sense are left out; verify says so, and the next run is not affected."""
    copy_of(publish_twice, tmp_path)
    etl("run-all", "--include-partial", "--root", tmp_path)
    file = newest(tmp_path) / name
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new, 1))
    assert etl("verify", newest(tmp_path).name, "--root", tmp_path).exit_code == 1
    assert etl("drift", "--root", tmp_path).exit_code in {0, 3}
    again = etl("run-all", "--include-partial", "--root", tmp_path, "--json")
    assert again.json["seq"] == 4
    with PublishedWarehouse.open(tmp_path / "warehouse" / "etl.duckdb") as published:
        doubled = published.execute("select run_id, stage from receipts.stage group by all having count(*) > 1")
    assert doubled == []


def test_a_run_that_the_warehouse_does_not_know_is_compared_only_if_it_changed_nothing(tmp_path: Path) -> None:
    """If the warehouse was restored from an older copy, the runs after it are not compared."""
    copy_of(publish_twice, tmp_path)
    first, second = sorted(path.name for path in (tmp_path / "reports/distillation").iterdir() if path.is_dir())
    older = (tmp_path / "warehouse/etl.duckdb").read_bytes()
    unchanged = etl("run-all", "--include-partial", "--root", tmp_path, "--json").json["run_id"]
    same = etl("diff", second, unchanged, "--root", tmp_path, "--json").json
    assert (same["counts"], etl("diff", first, unchanged, "--root", tmp_path, "--json").json["counts"] != []) == ([], True)
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE[:2]})
    changed = etl("run-all", "--root", tmp_path, "--json").json["run_id"]
    (tmp_path / "warehouse/etl.duckdb").write_bytes(older)
    refused = etl("diff", second, changed, "--root", tmp_path)
    assert (refused.exit_code, f"Run {changed} did not publish" in refused.stderr) == (2, True)

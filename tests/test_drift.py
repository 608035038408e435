"""Drift: quiet when nothing changed, loud when something did, and never wrong about determinism."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from conftest import Result, etl, evidence_line, write_evidence


def verdicts(**counts: int) -> list[dict[str, object]]:
    """Return so many lines of each verdict, each of a task of its own."""
    return [evidence_line(f"{word}-{at}", verdict=word) for word, count in counts.items() for at in range(count)]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Give a function: evidence in, a run, and its drift report out."""

    def run_and_report(lines: list[object], *flags: str) -> Result:
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})  # type: ignore[dict-item]
        etl("run-all", "--root", tmp_path, "--force", *flags)
        return etl("drift", "--root", tmp_path, "--json")

    return run_and_report


def test_first_run_is_the_baseline(run: Callable[..., Result]) -> None:
    """A first run has nothing to be compared with, and says so."""
    report = run(verdicts(accept=10)).json
    assert report["flags"] == ["no prior; baseline established"]
    assert report["severity"] == "ok"
    assert report["prior_run_id"] is None


def test_unchanged_second_run_says_nothing(run: Callable[..., Result]) -> None:
    """The same run twice: ok, no flags at all, every hash the same."""
    run(verdicts(accept=10, reject=5))
    report = run(verdicts(accept=10, reject=5)).json
    assert report["severity"] == "ok"
    assert report["flags"] == []
    assert all(stage["input_hash_match"] and stage["output_hash_match"] for stage in report["stages"])
    assert all(stage["delta_records_in"] == 0 and stage["notes"] == [] for stage in report["stages"])


def test_small_change_is_ok(run: Callable[..., Result]) -> None:
    """A change within the threshold raises no flag, and changed evidence is no deterministic violation."""
    run(verdicts(accept=100))
    report = run(verdicts(accept=110)).json
    assert report["severity"] == "ok"
    assert report["flags"] == []
    assert not any(stage["deterministic_violation"] for stage in report["stages"])
    collect = report["stages"][0]
    assert (collect["delta_records_in"], collect["pct_change_out"]) == (10, 10.0)
    assert collect["input_hash_match"] is False


def test_category_that_swings_warns(run: Callable[..., Result]) -> None:
    """One category that swings by more than the threshold warns, with both figures."""
    run(verdicts(accept=100, partial=20))
    report = run(verdicts(accept=100, partial=30))
    assert report.exit_code == 0
    assert report.json["severity"] == "warn"
    flag = "score: partially_accepted went from 20 to 30 (+50.0 %; threshold 20.0 %)."
    assert flag in report.json["flags"]
    assert flag in next(stage for stage in report.json["stages"] if stage["stage"] == "score")["notes"]


def test_from_zero_always_warns(run: Callable[..., Result]) -> None:
    """A category that was never there warns, however high the threshold."""
    run(verdicts(accept=100))
    report = run(verdicts(accept=100, partial=1), "--threshold", "9").json
    assert "score: partially_accepted was 0 in the prior run and is 1 now." in report["flags"]
    assert report["severity"] == "warn"


def test_new_reason_class_warns(run: Callable[..., Result]) -> None:
    """A reason that the prior run never had warns."""
    run(verdicts(accept=100, reject=10))
    lines = [*verdicts(accept=100, reject=9), evidence_line("reject-x", verdict="reject", run_id="")]
    report = run(lines).json
    assert report["severity"] == "warn"
    assert (
        "export-rag: 1 quarantined for missing_source_run_id, a reason that the prior run never had." in report["flags"]
    )


def test_new_skip_class_warns(run: Callable[..., Result]) -> None:
    """A kind of bad line that the prior run never had warns."""
    run([*verdicts(accept=100), "not json"])
    report = run([*verdicts(accept=100), "[1]"]).json
    assert "collect: 1 skipped for not_an_object, a reason that the prior run never had." in report["flags"]


def test_exactly_the_threshold_is_not_more(run: Callable[..., Result], tmp_path: Path) -> None:
    """A swing of exactly 29 % does not exceed 29 %, whatever 0.29 is in binary."""
    run(verdicts(accept=100))
    run(verdicts(accept=129))
    assert etl("drift", "--root", tmp_path, "--threshold", "0.29", "--json").json["flags"] == []
    assert etl("drift", "--root", tmp_path, "--threshold", "0.28", "--json").json["flags"] != []


def test_fail_on_warn(run: Callable[..., Result], tmp_path: Path) -> None:
    """With --fail-on warn a warning ends in exit code 3."""
    run(verdicts(accept=10))
    run(verdicts(accept=20))
    assert etl("drift", "--root", tmp_path).exit_code == 0
    assert etl("drift", "--root", tmp_path, "--fail-on", "warn").exit_code == 3
    assert etl("drift", "--root", tmp_path, "--fail-on", "panic").exit_code == 2


def test_threshold_comes_from_flag_setting_and_environment(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threshold is 20 % unless the environment, a setting or the flag says otherwise; the flag wins."""
    run(verdicts(accept=100))
    run(verdicts(accept=130))

    def severity(*flags: str) -> str:
        return etl("drift", "--root", tmp_path, "--json", *flags).json["severity"]

    assert severity() == "warn"
    assert severity("--threshold", "0.3") == "ok"
    assert severity("--set", "drift_threshold=0.3") == "ok"
    monkeypatch.setenv("ETL_DRIFT_THRESHOLD", "0.3")
    assert severity() == "ok"
    assert severity("--threshold", "0.1") == "warn"
    assert severity("--set", "drift_threshold=0.1") == "warn"


def tamper_with_history(root: Path) -> None:
    """Make the published receipts say that export-sft once wrote other bytes from the same inputs."""
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb")) as warehouse:
        warehouse.execute("update receipts.stage set outputs_hash = repeat('0', 64) where stage = 'export-sft'")


def test_injected_non_determinism_alerts(run: Callable[..., Result], tmp_path: Path) -> None:
    """The same inputs, code, settings and engine with another output is an alert: run-all and drift end in exit code 3."""
    run(verdicts(accept=10))
    tamper_with_history(tmp_path)
    assert etl("run-all", "--root", tmp_path).exit_code == 3
    report = etl("drift", "--root", tmp_path, "--json")
    assert report.exit_code == 3
    assert report.json["severity"] == "alert"
    violations = {stage["stage"]: stage["deterministic_violation"] for stage in report.json["stages"]}
    assert violations == {
        "collect": False, "score": False, "export-rag": False, "export-sft": True, "export-preference": False,
    }  # fmt: skip


def test_violation_is_found_across_an_unrelated_run(run: Callable[..., Result], tmp_path: Path) -> None:
    """The earlier run that differs need not be the prior one."""
    run(verdicts(accept=10))
    tamper_with_history(tmp_path)
    run(verdicts(accept=11))
    report = run(verdicts(accept=10)).json
    assert report["severity"] == "alert"


def test_other_settings_are_no_violation(run: Callable[..., Result], tmp_path: Path) -> None:
    """Another output under another setting is what a setting is for."""
    run(verdicts(accept=10, partial=10))
    report = run(verdicts(accept=10, partial=10), "--include-partial").json
    assert not any(stage["deterministic_violation"] for stage in report["stages"])
    assert report["severity"] == "warn"


def test_moved_lines_are_no_violation(run: Callable[..., Result], tmp_path: Path) -> None:
    """The same lines in another order give other line numbers in the datasets, from other evidence."""
    run(verdicts(accept=10))
    report = run(verdicts(accept=10)[::-1]).json
    assert not any(stage["deterministic_violation"] for stage in report["stages"])


def test_failed_run_is_no_baseline(run: Callable[..., Result], tmp_path: Path) -> None:
    """A run that did not publish is skipped when the next one looks for its prior."""
    first = run(verdicts(accept=10)).json["run_id"]
    run([*verdicts(accept=10), "not json"], "--fail-fast")
    report = run(verdicts(accept=10)).json
    assert report["prior_run_id"] == first
    assert report["flags"] == []

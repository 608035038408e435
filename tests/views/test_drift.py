"""Drift: quiet when nothing changed, loud when something did, and never wrong about determinism."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Result, copy_of, etl, evidence_line, insert_runs, set_settings, write_evidence

from etl.console.show import sparkline
from etl.receipts.drift import drift_of
from etl.warehouse.connection import Warehouse


def verdicts(**counts: int) -> list[dict[str, object]]:
    """Return this many lines of each verdict, each with its own task."""
    return [evidence_line(f"{word}-{at}", verdict=word) for word, count in counts.items() for at in range(count)]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Give a function that runs over evidence and returns the drift report."""

    def run_and_report(lines: list[object], *flags: str) -> Result:
        texts = tuple(line if isinstance(line, str) else json.dumps(line) for line in lines)
        if (tmp_path / "reports").exists():
            run_over(texts, flags, tmp_path)
        else:
            copy_of(first_run(texts, flags), tmp_path)
        return etl("drift", "--root", tmp_path, "--json")

    return run_and_report


def run_over(lines: tuple[str, ...], flags: tuple[str, ...], root: Path) -> None:
    """Run everything over these lines."""
    write_evidence(root / "evidence", {"evidence.jsonl": lines})
    etl("run-all", "--root", root, *flags)


@cache
def first_run(lines: tuple[str, ...], flags: tuple[str, ...]) -> Callable[[Path], None]:
    """Return the function that runs everything over these lines: always the same one, so that its root is made once."""
    return partial(run_over, lines, flags)


def test_first_run_is_the_baseline(run: Callable[..., Result]) -> None:
    """A first run has nothing to be compared with, and says so."""
    report = run(verdicts(accept=10)).json
    assert report["flags"] == ["no prior; baseline established"]
    assert report["severity"] == "ok"
    assert report["prior_run_id"] is None


def test_unchanged_second_run_says_nothing(run: Callable[..., Result]) -> None:
    """The same run twice: ok, no flags at all, every hash the same."""
    run(verdicts(accept=10, reject=5))
    report = run(verdicts(accept=10, reject=5), "--force").json
    assert report["severity"] == "ok"
    assert report["flags"] == []
    assert all(stage["input_hash_match"] and stage["output_hash_match"] for stage in report["stages"])
    assert all(stage["delta_records_in"] == 0 and stage["notes"] == [] for stage in report["stages"])


@pytest.mark.slow
def test_small_change_is_ok(run: Callable[..., Result]) -> None:
    """A change within the threshold raises no flag, and changed evidence is not a deterministic violation."""
    run(verdicts(accept=100))
    report = run(verdicts(accept=110)).json
    assert report["severity"] == "ok"
    assert report["flags"] == []
    assert not any(stage["deterministic_violation"] for stage in report["stages"])
    collect = report["stages"][0]
    assert (collect["delta_records_in"], collect["pct_change_out"]) == (10, 10.0)
    assert collect["input_hash_match"] is False


def test_category_that_swings_warns(run: Callable[..., Result]) -> None:
    """A category whose share changes by more than chance explains warns, with both figures; it is in the stage's notes too."""
    run(verdicts(accept=400, partial=40))
    report = run(verdicts(accept=400, partial=80))
    assert report.exit_code == 0
    assert report.json["severity"] == "warn"
    flag = (
        "score: partially_accepted went from 9.1 % to 16.7 % of records in "
        "(40 of 440 to 80 of 480; +83.3 %, p = 0.002; threshold 20 %)."
    )
    assert report.json["flags"] == [flag]
    assert next(stage for stage in report.json["stages"] if stage["stage"] == "score")["notes"] == [flag]


@pytest.mark.slow
def test_from_zero_always_warns(run: Callable[..., Result]) -> None:
    """A category that was never there warns, however high the threshold."""
    run(verdicts(accept=100))
    report = run(verdicts(accept=100, partial=1), "--threshold", "9").json
    flag = "score: partially_accepted is new: it went from 0.0 % to 1.0 % of records in (0 of 100 to 1 of 101)."
    assert flag in report["flags"]
    assert report["severity"] == "warn"


def test_new_reason_class_warns(run: Callable[..., Result]) -> None:
    """A reason that the prior run did not have warns once: the same reason in sft is the same fact."""
    run(verdicts(accept=100, reject=10))
    lines = [*verdicts(accept=100, reject=9), evidence_line("reject-x", verdict="reject", run_id="")]
    report = run(lines).json
    assert report["severity"] == "warn"
    assert report["flags"] == [
        "export-rag: missing_source_run_id is new: it went from 0.0 % to 0.9 % of records in (0 of 110 to 1 of 110)."
    ]


@pytest.mark.slow
def test_new_skip_class_warns(run: Callable[..., Result]) -> None:
    """A kind of bad line that the prior run did not have warns, and so does one that vanished."""
    run([*verdicts(accept=100), "not json"])
    report = run([*verdicts(accept=100), "[1]"]).json
    assert report["flags"] == [
        "collect: malformed_json has vanished: it went from 1.0 % to 0.0 % of records in (1 of 101 to 0 of 101).",
        "collect: not_an_object is new: it went from 0.0 % to 1.0 % of records in (0 of 101 to 1 of 101).",
    ]


@pytest.mark.slow
def test_exactly_the_threshold_is_not_more(run: Callable[..., Result], tmp_path: Path) -> None:
    """A change of exactly 29 % does not exceed 29 %, even if 0.29 has no exact binary form."""
    run(verdicts(accept=1000))
    run(verdicts(accept=1290))
    assert etl("drift", "--root", tmp_path, "--threshold", "0.29", "--json").json["flags"] == []
    assert etl("drift", "--root", tmp_path, "--threshold", "0.28", "--json").json["flags"] == [
        "collect: records of evidence went from 1,000 to 1,290 (+29.0 %, p = 1e-09; threshold 28 %)."
    ]


def test_fail_on_warn(run: Callable[..., Result], tmp_path: Path) -> None:
    """With --fail-on warn a warning ends with exit code 3."""
    run(verdicts(accept=100))
    run(verdicts(accept=150))
    assert etl("drift", "--root", tmp_path).exit_code == 0
    assert etl("drift", "--root", tmp_path, "--fail-on", "warn").exit_code == 3
    assert etl("drift", "--root", tmp_path, "--fail-on", "panic").exit_code == 2


@pytest.mark.slow
def test_threshold_comes_from_flag_setting_and_environment(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threshold is 20 % unless the environment, a setting or the flag says otherwise; the flag wins."""
    run(verdicts(accept=1000))
    run(verdicts(accept=1300))

    def severity(*flags: str) -> str:
        return etl("drift", "--root", tmp_path, "--json", *flags).json["severity"]

    assert severity() == "warn"
    assert severity("--threshold", "0.3") == "ok"
    assert severity("--set", "drift_threshold=0.3") == "ok"
    monkeypatch.setenv("ETL_DRIFT_THRESHOLD", "0.3")
    assert severity() == "ok"
    assert severity("--threshold", "0.1") == "warn"
    assert severity("--set", "drift_threshold=0.1") == "warn"


@pytest.mark.slow
def test_ten_and_twenty_can_be_chance(run: Callable[..., Result]) -> None:
    """Twice as many of few records is not a warning: that happens by chance in one of ten runs."""
    run(verdicts(accept=10))
    assert run(verdicts(accept=20)).json["flags"] == []


@dataclass(frozen=True)
class Rule:
    """Two runs of collect: records in, and records skipped for each reason; then the flags of the second, and its severity."""

    before: tuple[int, list[int]]
    now: tuple[int, list[int]]
    severity: str
    flags: list[str]
    settings: dict[str, Any] = field(default_factory=dict)


MUCH = (
    "collect: reason-00 went from 5.0 % to 11.8 % of records in "
    "(50 of 1,000 to 118 of 1,000; +136.0 %, p = 2e-07; threshold 20 %)."
)
SOME = (
    "collect: reason-00 went from 10.0 % to 15.0 % of records in "
    "(100 of 1,000 to 150 of 1,000; +50.0 %, p = 0.002; threshold 20 %)."
)
RULES = {
    "alike": Rule((1000, [50]), (1000, [50]), "ok", []),
    "far and no chance": Rule((1000, [50]), (1000, [118]), "alert", [MUCH]),
    "far, but an alert needs a rarer chance": Rule((1000, [50]), (1000, [118]), "warn", [MUCH], {"drift_alert_p": 1e-8}),
    "far, but an alert needs a greater change": Rule((1000, [50]), (1000, [118]), "warn", [MUCH], {"drift_alert_change": 1.37}),
    "a warning": Rule((1000, [100]), (1000, [150]), "warn", [SOME]),
    "below the threshold": Rule((1000, [100]), (1000, [150]), "ok", [], {"drift_threshold": 0.5}),
    "by chance": Rule((1000, [100]), (1000, [150]), "ok", [], {"drift_significance": 0.004}),
    "too few": Rule((1000, [100]), (1000, [150]), "ok", [], {"drift_min_count": 151}),
    "just enough": Rule((1000, [100]), (1000, [150]), "warn", [SOME], {"drift_min_count": 150}),
    "few": Rule((1000, [2]), (1000, [19]), "ok", []),
    "the same share of more": Rule(
        (1000, [50]),
        (2000, [100]),
        "alert",
        ["collect: records in went from 1,000 to 2,000 (+100.0 %, p = 1e-75; threshold 20 %)."],
    ),
    "the same count of fewer": Rule(
        (100_000, [500]),
        (81_000, [500]),
        "warn",
        [
            (
                "collect: reason-00 went from 0.5 % to 0.6 % of records in "
                "(500 of 100,000 to 500 of 81,000; +23.5 %, p = 0.001; threshold 20 %)."
            )
        ],
    ),
    "new": Rule(
        (1000, [50, 0]),
        (1000, [50, 1]),
        "warn",
        ["collect: reason-01 is new: it went from 0.0 % to 0.1 % of records in (0 of 1,000 to 1 of 1,000)."],
    ),
    "new in a big run": Rule(
        (1_000_000, [50, 0]),
        (1_000_000, [50, 1]),
        "warn",
        ["collect: reason-01 is new: it went from 0.0 % to 0.0001 % of records in (0 of 1,000,000 to 1 of 1,000,000)."],
    ),
    "vanished": Rule(
        (1000, [50, 19]),
        (1000, [50, 0]),
        "warn",
        ["collect: reason-01 has vanished: it went from 1.9 % to 0.0 % of records in (19 of 1,000 to 0 of 1,000)."],
    ),
    "twenty vanished": Rule(
        (1000, [50, 20]),
        (1000, [50, 0]),
        "alert",
        ["collect: reason-01 has vanished: it went from 2.0 % to 0.0 % of records in (20 of 1,000 to 0 of 1,000)."],
    ),
    "twenty vanished of a hundred that may": Rule(
        (1000, [50, 20]),
        (1000, [50, 0]),
        "warn",
        ["collect: reason-01 has vanished: it went from 2.0 % to 0.0 % of records in (20 of 1,000 to 0 of 1,000)."],
        {"drift_vanished_count": 100},
    ),
    "no part tells it, the whole does": Rule(
        (1000, [180, 180, 180, 180]),
        (1000, [214, 214, 214, 214]),
        "alert",
        [
            (
                "collect: accepted went from 28.0 % to 14.4 % of records in "
                "(280 of 1,000 to 144 of 1,000; -48.6 %, p = 4e-11; threshold 20 %)."
            )
        ],
        {"drift_alert_change": 0.4},
    ),
    "nothing came in": Rule((1000, [50]), (0, []), "alert", ["collect: records in has vanished: it went from 1,000 to 0."]),
    "nothing was there": Rule((0, []), (1000, [50]), "warn", ["collect: records in is new: it went from 0 to 1,000."]),
    "nothing ever": Rule((0, []), (0, []), "ok", []),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules(warehouse: Warehouse, rule: Rule) -> None:
    """Two runs raise these flags, and no others."""
    insert_runs(warehouse, [rule.before, rule.now])
    set_settings(warehouse, **rule.settings)
    report = drift_of(warehouse, "run-000002")
    assert report.flags == rule.flags
    assert report.severity == rule.severity


def test_a_figure_without_a_flag_says_why(warehouse: Warehouse) -> None:
    """Each condition of each comparison is reported, and how many comparisons there were."""
    insert_runs(warehouse, [(1000, [50, 7, 30, 0, 3]), (1000, [60, 5, 70, 2, 0])])
    why = dict(warehouse.execute("select counter, why from drift.comparison where run_id = 'run-000002'"))
    assert why == {
        "records in": "not above the threshold: +0.0 % <= 20 %; could be chance: p = 1 >= 0.01 for 5 comparisons",
        "accepted": "not above the threshold: -5.2 % <= 20 %; could be chance: p = 0.27 >= 0.01 for 5 comparisons",
        "reason-00": "not above the threshold: +20.0 % <= 20 %; could be chance: p = 0.39 >= 0.01 for 5 comparisons",
        "reason-01": "too few: neither count is 20 or more; above the threshold: -28.6 % > 20 %; "
        "could be chance: p = 0.77 >= 0.01 for 5 comparisons",
        "reason-02": "above the threshold: +133.3 % > 20 %; no chance: p = 7.8e-05 < 0.01 for 5 comparisons; "
        "no alert: p >= 1e-06",
        "reason-03": "new: it was 0",
        "reason-04": "vanished: it was 3, fewer than 20",
    }


def test_a_new_and_a_vanished_source_are_named(tmp_path: Path) -> None:
    """A source that comes or goes is flagged; the volume of all sources is left out, as the sources account for it."""
    evidence = tmp_path / "evidence"
    write_evidence(evidence, {"evidence.jsonl": verdicts(accept=30), "tau_bench/a.jsonl": ["{}"] * 2})
    etl("run-all", "--root", tmp_path)
    shutil.rmtree(evidence)
    files: dict[str, Any] = {"evidence/1.jsonl": verdicts(accept=60), "evidence/2.jsonl": verdicts(partial=40)}
    write_evidence(evidence, files | {"outcomes.jsonl": ["{}"]})
    etl("run-all", "--root", tmp_path)
    flags = etl("drift", "--root", tmp_path, "--json").json["flags"]
    assert [flag for flag in flags if flag.startswith("collect: records")] == [
        "collect: records of evidence went from 30 to 100 (+233.3 %, p = 5e-10; threshold 20 %).",
        "collect: records of outcomes is new: it went from 0 to 1.",
        "collect: records of tau_bench has vanished: it went from 2 to 0.",
    ]


@pytest.mark.slow
def test_new_and_vanished_columns_warn(run: Callable[..., Result], tmp_path: Path) -> None:
    """An exported column that comes, goes or changes its type is named with its type."""
    run(verdicts(accept=10))
    receipt = json.loads((newest_folder(tmp_path) / "export-sft.json").read_text(encoding="utf-8"))
    columns = {entry["path"]: entry["columns"] for entry in receipt["outputs"]["files"]}
    assert columns["exports/sft/instruction_response/part-00001.jsonl"] is None
    named = columns["exports/sft/instruction_response/part-00001.parquet"]
    named[named.index("model: string")] = "model: int64"
    rewrite_receipt(tmp_path, receipt)
    report = run(verdicts(accept=10)).json
    assert report["severity"] == "warn"
    assert report["flags"] == [
        "export-sft: exports/sft/instruction_response has a new column, model: string.",
        "export-sft: exports/sft/instruction_response no longer has the column model: int64.",
    ]


def rewrite_receipt(root: Path, receipt: dict[str, Any]) -> None:
    """Replace the newest run's receipt of export-sft, and forget what else is known of it."""
    (newest_folder(root) / "export-sft.json").write_text(json.dumps(receipt), encoding="utf-8")
    (root / "warehouse" / ".etl" / "receipts.arrow").unlink()


def newest_folder(root: Path) -> Path:
    """Return the folder of the newest run."""
    return max(path for path in (root / "reports/distillation").iterdir() if path.is_dir())


@pytest.mark.slow
class TestBaseline:
    """Which run a run is compared with."""

    @pytest.fixture
    def runs(self, run: Callable[..., Result], tmp_path: Path) -> list[str]:
        """Give three published runs, and a failed one after them, oldest first."""
        ids = [run(verdicts(accept=count)).json["run_id"] for count in (100, 200, 210)]
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": ["not json"]})
        etl("run-all", "--root", tmp_path, "--fail-fast")
        return [*ids, newest_folder(tmp_path).name]

    def prior(self, root: Path, *arguments: str) -> str | None:
        """Return the run that drift compares with."""
        return etl("drift", *arguments, "--root", root, "--json").json["prior_run_id"]

    def test_against(self, runs: list[str], tmp_path: Path) -> None:
        """--against names the run for this comparison."""
        first, second, third, _ = runs
        report = etl("drift", third, "--against", first, "--root", tmp_path, "--json")
        assert report.exit_code == 3
        assert report.json["flags"] == [
            "collect: records of evidence went from 100 to 210 (+110.0 %, p = 4e-10; threshold 20 %)."
        ]
        assert self.prior(tmp_path, third) == second

    def test_pin_and_unpin(self, runs: list[str], tmp_path: Path) -> None:
        """Every later run is compared with a pinned run, also in its own drift.json, until it is unpinned."""
        first, second, third, _ = runs
        assert "Later runs are compared with" in etl("drift", "--pin", first, "--root", tmp_path).stdout
        assert json.loads((tmp_path / "reports/distillation/pin.json").read_text(encoding="utf-8")) == {
            "schema_version": 1, "run_id": first,
        }  # fmt: skip
        assert [self.prior(tmp_path, run_id) for run_id in (first, second, third)] == [None, first, first]
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": verdicts(accept=100)})
        assert etl("run-all", "--root", tmp_path).exit_code == 0
        drift = json.loads((newest_folder(tmp_path) / "drift.json").read_text(encoding="utf-8"))
        assert (drift["prior_run_id"], drift["flags"]) == (first, [])
        query = "from policy.baseline"
        assert etl("sql", query, "--root", tmp_path, "--json").json == [{"run_id": first}]
        assert etl("verify", "--root", tmp_path).exit_code == 0
        assert etl("drift", "--unpin", "--root", tmp_path, "--json").json == {"pinned": None}
        assert self.prior(tmp_path, third) == second
        assert etl("drift", "--unpin", "--root", tmp_path).exit_code == 0

    def test_a_pin_that_is_not_earlier_falls_back(self, runs: list[str], tmp_path: Path) -> None:
        """The pinned run itself, and those before it, are compared with the run before them."""
        first, second, third, _ = runs
        assert etl("drift", "--pin", second, "--root", tmp_path, "--json").json == {"pinned": second}
        assert [self.prior(tmp_path, run_id) for run_id in (first, second, third)] == [None, first, second]

    @pytest.mark.parametrize("flag", ["--pin", "--against"])
    def test_only_runs_that_published(self, runs: list[str], tmp_path: Path, flag: str) -> None:
        """A run that is unknown, or that did not publish, cannot be compared with."""
        for run_id, sentence in (("nobody", "There is no run 'nobody'"), (runs[3], "did not publish")):
            result = etl("drift", flag, run_id, "--root", tmp_path)
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
            assert sentence in result.stderr
        assert not (tmp_path / "reports/distillation/pin.json").exists()

    def test_against_a_later_run(self, runs: list[str], tmp_path: Path) -> None:
        """A run cannot be compared with itself or with a later one."""
        for later in runs[1:3]:
            result = etl("drift", runs[1], "--against", later, "--root", tmp_path)
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
            assert "name an earlier one" in result.stderr

    @pytest.mark.parametrize("content", ['{"schema_version": 1, "run_id": "nobody"}', "{", '{"run": "x"}'])
    def test_a_damaged_pin(self, runs: list[str], tmp_path: Path, content: str) -> None:
        """A pin of an unknown run, or a damaged pin, stops a run and drift, but no other command, and can be unpinned."""
        (tmp_path / "reports/distillation/pin.json").write_text(content, encoding="utf-8")
        for command in (["drift"], ["run-all"]):
            result = etl(*command, "--root", tmp_path)
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
            assert "etl drift --unpin" in result.stderr
        assert etl("receipts", "--root", tmp_path).exit_code == 0
        assert etl("drift", "--unpin", "--root", tmp_path).exit_code == 0
        assert etl("drift", runs[2], "--root", tmp_path).exit_code == 0

    def test_flags_that_contradict_each_other(self, runs: list[str], tmp_path: Path) -> None:
        """--pin, --unpin, --against and --history exclude each other, and a pin is not about one run."""
        for flags in (["--pin", runs[0], "--unpin"], ["--history", "--against", runs[0]], [runs[1], "--unpin"]):
            result = etl("drift", *flags, "--root", tmp_path)
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_explain_lists_every_comparison(run: Callable[..., Result], tmp_path: Path) -> None:
    """--explain adds the result of each condition for each figure, as a table and as JSON."""
    run(verdicts(accept=100))
    run(verdicts(accept=110))
    found = etl("drift", "--explain", "--root", tmp_path, "--json").json
    assert found["severity"] == "ok"
    told = {(row["stage"], row["counter"]): row["why"] for row in found["comparisons"]}
    assert told["collect", "evidence"] == (
        "not above the threshold: +10.0 % <= 20 %; could be chance: p = 0.53 >= 0.025 for 2 comparisons"
    )
    assert told["collect", "records in"] == "the same figures as its only source"
    assert told["export-sft", "accepted"] == "the same figures as accepted at collect"
    assert "could be chance: p = 0.53" in etl("drift", "--explain", "--root", tmp_path).stdout


@pytest.mark.slow
def test_history_is_the_course_of_every_figure(run: Callable[..., Result], tmp_path: Path) -> None:
    """--history shows a bar per run, the newest at the right; in the warehouse it is one view."""
    for count in (0, 5, 10, 2):
        run(verdicts(accept=10, partial=count))
    shown = etl("drift", "--history", "--root", tmp_path)
    assert shown.exit_code == 0
    course = next(line for line in shown.stdout.splitlines() if "partially_accepted" in line)
    assert course.split() == ["score", "partially_accepted", "▁▆█▃", "0.0", "%", "50.0", "%", "16.7", "%"]
    rows = etl("drift", "--history", "--root", tmp_path, "--json").json
    partials = [row for row in rows if row["counter"] == "partially_accepted"]
    assert [(row["seq"], row["records"], row["records_in"]) for row in partials] == [(2, 5, 15), (3, 10, 20), (4, 2, 12)]
    query = "select records from drift.history where counter = 'evidence' order by seq"
    assert [row["records"] for row in etl("sql", query, "--root", tmp_path, "--json").json] == [10, 15, 20, 12]


def test_sparkline() -> None:
    """The lowest value has the lowest bar, the highest the highest, none a dot; equal values have the bar in the middle."""
    assert sparkline([0, 1, None, 7, 3.5]) == "▁▂·█▅"
    assert sparkline([5, 5]) == "▅▅"
    assert sparkline([None]) == "·"
    assert sparkline([]) == ""


def tamper_with_history(root: Path) -> None:
    """Make the receipts of the newest run say that export-sft wrote other bytes from the same inputs."""
    receipt = json.loads((newest_folder(root) / "export-sft.json").read_bytes())
    receipt["outputs"]["hash"] = "0" * 64
    rewrite_receipt(root, receipt)


def test_injected_non_determinism_alerts(run: Callable[..., Result], tmp_path: Path) -> None:
    """The same inputs, code, settings and engine with another output is an alert: run-all and drift end with exit code 3."""
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


@pytest.mark.slow
def test_violation_is_found_across_an_unrelated_run(run: Callable[..., Result], tmp_path: Path) -> None:
    """The earlier run that differs need not be the prior one."""
    run(verdicts(accept=10))
    tamper_with_history(tmp_path)
    run(verdicts(accept=11))
    report = run(verdicts(accept=10)).json
    assert report["severity"] == "alert"


@pytest.mark.slow
def test_other_settings_are_no_violation(run: Callable[..., Result], tmp_path: Path) -> None:
    """Another output under another setting is what a setting is for, not a violation."""
    run(verdicts(accept=10, partial=10))
    report = run(verdicts(accept=10, partial=10), "--include-partial").json
    assert not any(stage["deterministic_violation"] for stage in report["stages"])
    assert report["severity"] == "warn"


@pytest.mark.slow
def test_moved_lines_are_no_violation(run: Callable[..., Result], tmp_path: Path) -> None:
    """The same lines in another order give datasets with other line numbers: the evidence changed, so it is not a violation."""
    run(verdicts(accept=10))
    report = run(verdicts(accept=10)[::-1]).json
    assert not any(stage["deterministic_violation"] for stage in report["stages"])


@pytest.mark.slow
def test_failed_run_is_no_baseline(run: Callable[..., Result], tmp_path: Path) -> None:
    """A run that did not publish is skipped when the next run looks for its prior run."""
    first = run(verdicts(accept=10)).json["run_id"]
    run([*verdicts(accept=10), "not json"], "--fail-fast")
    report = run(verdicts(accept=10)).json
    assert report["prior_run_id"] == first
    assert report["flags"] == []

"""The bundled sample: its generator reproduces it, and a run over it shows every result that valid lines can have."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE, Result, etl, jsonl

STREAMS = {
    "audit_facts",
    "distilled_config_hints",
    "distilled_facts",
    "distilled_procedures",
    "evidence",
    "mode_experiments",
    "observer_escalations",
    "observer_reviews",
    "outcomes",
    "scrum_reviews",
}


class SampleRun:
    """A run over the sample, and queries over what it published."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.result = etl(
            "run-all", "--root", root, "--evidence", SAMPLE, "--known-paths", SAMPLE / "known-paths.txt", "--json"
        )

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query over the published warehouse."""
        return etl("sql", query, "--root", self.root, "--json").json

    def values(self, query: str) -> set[Any]:
        """Return the distinct values of a query's only column."""
        return {value for row in self.rows(query) for value in row.values()}

    def reasons(self, dataset: str) -> set[str]:
        """Return the first reasons of a dataset's quarantine."""
        return {row["quarantine_reason"] for row in jsonl(self.root / "exports" / "quarantine" / f"{dataset}.jsonl")}

    def receipt(self, stage: str) -> dict[str, Any]:
        """Return the receipt of a stage."""
        found = etl("receipts", "--root", self.root, "--json").json["receipts"]
        return next(receipt for receipt in found if receipt.get("stage") == stage)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    """One run over the sample."""
    return SampleRun(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a copy of the generator in an empty folder."""
    return Path(shutil.copy(SAMPLE / "make_sample.py", tmp_path))


def generate(script: Path, *options: str) -> Result:
    """Run the generator."""
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def generated_in(folder: Path) -> dict[str, bytes]:
    """Return the bytes of a folder's streams and paths, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".jsonl", ".txt"}}


def test_generator_reproduces_the_sample(script: Path) -> None:
    """The generator writes, byte for byte, the files beside it in the repository."""
    assert generate(script) == Result(0, "", "")
    written = generated_in(script.parent)
    assert set(written) == {f"{stream}.jsonl" for stream in STREAMS} | {"known-paths.txt"}
    assert written == generated_in(SAMPLE)


def test_check_accepts_the_sample() -> None:
    """The generator's --check passes over the sample in the repository."""
    assert generate(SAMPLE / "make_sample.py", "--check") == Result(0, "", "")


def test_check_names_what_differs(script: Path) -> None:
    """--check says which files differ or are missing, exits with 1 and writes nothing."""
    generate(script)
    altered, absent = script.with_name("outcomes.jsonl"), script.with_name("evidence.jsonl")
    altered.write_bytes(altered.read_bytes() + b"\n")
    absent.unlink()
    before = generated_in(script.parent)
    result = generate(script, "--check")
    assert result.exit_code == 1
    assert result.stderr == "Not what this script writes: outcomes.jsonl, evidence.jsonl; run it without --check.\n"
    assert generated_in(script.parent) == before


def test_known_paths_are_sorted_and_distinct() -> None:
    """The list of paths is what `git ls-files` prints: sorted by bytes, one path per line, each once."""
    lines = (SAMPLE / "known-paths.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))


def test_sample_has_about_a_thousand_lines() -> None:
    """The sample is large enough to show the product and small enough to read."""
    assert 900 <= sum(len(jsonl(SAMPLE / f"{stream}.jsonl")) for stream in STREAMS) <= 1200


def test_run_passes_and_skips_nothing(run: SampleRun) -> None:
    """A run over the sample exits with 0, and every line becomes a record."""
    assert run.result.exit_code == 0, run.result.stderr
    assert run.result.json["overall_passed"] is True
    assert run.rows("select count(*) as skipped from evidence.skipped") == [{"skipped": 0}]
    assert run.values("select distinct source from evidence.record") == STREAMS


def test_each_dataset_has_rows(run: SampleRun) -> None:
    """Some rows of the sample ship in each dataset."""
    for file in ("rag/playbooks", "sft/instruction_response", "preference/chosen_rejected"):
        assert jsonl(run.root / "exports" / f"{file}.jsonl")


def test_each_category_occurs(run: SampleRun) -> None:
    """The sample has records of all four categories."""
    assert run.values("select distinct category from scored.run") == {
        "accepted",
        "partially_accepted",
        "rejected",
        "needs_human_review",
    }


def test_each_scoring_rule_decides(run: SampleRun) -> None:
    """Each scoring rule decides for some record of the sample."""
    assert run.values("select distinct rule from scored.run") == {
        "human_override",
        "infrastructure_error",
        "verdict",
        "score",
        "grounded_fraction",
        "parent",
        "markers",
        "no_signal",
    }


def test_parents_agree_disagree_and_are_absent(run: SampleRun) -> None:
    """Extractions have parents of each category, parents that disagree, and no parents."""
    query = "select distinct list_last(reasons) as parent from scored.run where source_class = 'extraction'"
    assert run.values(query) == {
        "parent: accepted",
        "parent: partially_accepted",
        "parent: rejected",
        "parent: needs_human_review",
        "parent: disagree",
        "parent: none",
    }


def test_each_outcome_at_the_pairing_occurs(run: SampleRun) -> None:
    """Some record of the sample has each outcome that a record can have at the pairing."""
    assert run.values("select distinct outcome from pairs.record") == {
        "ineligible",
        "not_a_side",
        "prompt_differs",
        "no_counterpart",
        "paired",
        "over_cap",
        "refused",
    }


def test_pairs_exceed_the_cap(run: SampleRun) -> None:
    """Some task of the sample has more clean pairs than the cap admits, and the receipt counts the rest."""
    receipt = run.receipt("export-preference")
    assert receipt["counts_by_reason"]["skipped"]["over_cap"] > 0
    exported = "select count(*) as pairs from pairs.candidate where outcome = 'exported' group by task_id"
    assert run.rows(f"select max(pairs) as most from ({exported})") == [{"most": 5}]


def test_pairs_of_both_gaps_ship(run: SampleRun) -> None:
    """The sample has preferences over rejected and over partially accepted texts."""
    pairs = jsonl(run.root / "exports" / "preference" / "chosen_rejected.jsonl")
    assert {pair["reason"] for pair in pairs} == {"accepted_over_rejected", "accepted_over_partially_accepted"}


@pytest.mark.parametrize(
    ("dataset", "reasons"),
    [
        (
            "rag",
            {
                "missing_source_run_id",
                "empty_content",
                "unsafe_rag_category",
                "contradicted",
                "hallucinated_file_path",
                "duplicate_id",
                "duplicate_content",
                "repeated_response",
                "category_disallowed",
            },
        ),
        (
            "sft",
            {
                "missing_source_run_id",
                "empty_content",
                "empty_prompt",
                "unsafe_sft_category",
                "contradicted",
                "hallucinated_file_path",
                "duplicate_id",
                "duplicate_content",
                "repeated_response",
                "category_disallowed",
            },
        ),
        ("preference", {"invalid_preference_pairing", "self_pairing"}),
    ],
)
def test_each_quarantine_reason_occurs(run: SampleRun, dataset: str, reasons: set[str]) -> None:
    """Each reason to quarantine a valid line is the first reason of some row of the sample."""
    assert run.reasons(dataset) == reasons

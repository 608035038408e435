"""The bundled sample: a run over it shows every result that valid items can have."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE, etl, jsonl

SOURCES = {
    "alpaca_eval",
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
    "sessions",
    "tau_bench",
    "verdicts",
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
        return {row["quarantine_reason"] for row in jsonl(self.root / "exports" / "quarantine" / dataset / "part-00001.jsonl")}

    def receipt(self, stage: str) -> dict[str, Any]:
        """Return the receipt of a stage."""
        found = etl("receipts", "--root", self.root, "--json").json["receipts"]
        return next(receipt for receipt in found if receipt.get("stage") == stage)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    """One run over the sample."""
    return SampleRun(tmp_path_factory.mktemp("sample"))


def test_known_paths_are_sorted_and_distinct() -> None:
    """The list of paths is what `git ls-files` prints: sorted by bytes, one path per line, each once."""
    lines = (SAMPLE / "known-paths.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))


def test_run_passes_and_skips_nothing(run: SampleRun) -> None:
    """A run over the sample exits with 0, and every item becomes a record or a part of one; there are about 1,100."""
    assert run.result.exit_code == 0, run.result.stderr
    assert run.result.json["overall_passed"] is True
    items = run.receipt("collect")["items"]
    assert (items["skipped"], items["blank"]) == (0, 0)
    assert 1000 <= items["mapped"] + items["part"] <= 1200
    assert run.values("select distinct source from evidence.record") == SOURCES


def test_each_dataset_has_rows(run: SampleRun) -> None:
    """Some rows of the sample ship in each dataset."""
    for file in ("rag/playbooks", "sft/instruction_response", "preference/chosen_rejected"):
        assert jsonl(run.root / "exports" / f"{file}/part-00001.jsonl")


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
        "not_comparable",
        "paired",
        "over_cap",
        "refused",
    }


def test_grades_meet_attempts(run: SampleRun) -> None:
    """Grades of other files count for one attempt, meet several or none, and disagree."""
    assert run.values("select distinct outcome from scored.grade") == {"met", "ambiguous_grade", "unmatched_grade"}
    assert run.rows("select count(*) > 0 as found from scored.run where 'grades_disagree' in reasons") == [{"found": True}]


def test_one_item_has_several_records_and_one_record_several_items(run: SampleRun) -> None:
    """A session is one record of many lines; a document has several attempts; a judgement of two answers is two records."""
    assert run.values("select len(parts) > 5 from evidence.record where source = 'sessions'") == {True}
    of_documents = "select count(distinct run_id) > 1 from evidence.record where source = 'tau_bench' group by source_path"
    assert run.values(of_documents) == {True}
    assert run.values("select distinct record_number from evidence.record where source = 'alpaca_eval'") == {1, 2}


@pytest.mark.parametrize("source", ["evidence", "sessions", "tau_bench"])
def test_conversations_ship_whole(run: SampleRun, source: str) -> None:
    """Conversations of lines, of sessions and of documents ship with their calls and results, and end with the assistant."""
    rows = [row for row in jsonl(run.root / "exports/sft/instruction_response/part-00001.jsonl") if row["source"] == source]
    conversations = [json.loads(row["messages"]) for row in rows if row["messages"]]
    assert any("tool_calls" in message for messages in conversations for message in messages)
    assert any(message["role"] == "tool" for messages in conversations for message in messages)
    assert {messages[-1]["role"] for messages in conversations} == {"assistant"}


def test_pairs_of_conversations_ship(run: SampleRun) -> None:
    """A conversation with calls is chosen over another one that answers the same prompt with the same tools."""
    pairs = jsonl(run.root / "exports/preference/chosen_rejected/part-00001.jsonl")
    of_calls = [pair for pair in pairs if pair["chosen_messages"] and "tool_calls" in pair["chosen_messages"]]
    assert of_calls
    assert all("tool_calls" in pair["rejected_messages"] for pair in of_calls)
    assert any(pair["tools"] for pair in of_calls)


def test_pairs_exceed_the_cap(run: SampleRun) -> None:
    """Some task of the sample has more clean pairs than the cap admits, and the receipt counts the rest."""
    receipt = run.receipt("export-preference")
    assert receipt["counts_by_reason"]["skipped"]["over_cap"] > 0
    exported = "select count(*) as pairs from pairs.candidate where outcome = 'exported' group by task_id"
    assert run.rows(f"select max(pairs) as most from ({exported})") == [{"most": 5}]


def test_pairs_of_both_gaps_ship(run: SampleRun) -> None:
    """The sample has preferences over rejected and over partially accepted texts."""
    pairs = jsonl(run.root / "exports" / "preference" / "chosen_rejected" / "part-00001.jsonl")
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
                "schema_violation",
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

"""``etl explain ID``: what an id, an attempt, a task or a place is, and what became of it."""

import os
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from conftest import etl, evidence_line, jsonl, write_evidence

from etl.base.files import sha256_of

FILES: dict[str, list[Any]] = {
    "evidence.jsonl": [
        evidence_line("a", verdict="accept", run_id="1"),
        evidence_line("a", verdict="reject", run_id="2", response="Worse."),
        evidence_line("a", score=0.95, run_id="1", response="The answer to a, again."),
        evidence_line("b", verdict="partial", run_id="3"),
        b" \t\r",
        b"\x1b[31mnot json\xff",
        evidence_line("3", verdict="accept", run_id="c"),
        evidence_line("0123456789abcdef", verdict="accept", run_id=None),
        evidence_line("0123456789abcdef", verdict="accept", run_id=None),
    ],
    "evidence/twin.jsonl": [evidence_line("inner", verdict="accept", run_id="inner")],
    "evidence/evidence.jsonl": [evidence_line("twin", verdict="accept", run_id="twin")],
    "evidence/empty.jsonl": [],
    "evidence/notes.txt": [b"not a line of evidence"],
    "unknown/notes.jsonl": [evidence_line("unknown")],
    "README.md": [b"# about", b"this"],
    ".git/objects/pack.jsonl": [b"{}"],
    ".etlignore": [b"drafts/"],
    "drafts/evidence.jsonl": [evidence_line("draft")],
}

#: A record for each folder, or archive, that holds a result.json; all else in it is a part.
TRACES = """-- grain: folder result.json
-- fields:
--   task text = /task
with part as (
    select unit, list({'source_path': source_path, 'item_number': item_number} order by source_path, item_number) as parts
    from raw.item
    where task is null
    group by unit
)
select item.source_path, item.item_number, 'verdict' as source_class, task as task_id, task as run_id, part.parts
from raw.item as item
left join part on item.unit = part.unit
where task is not null
"""

#: Two records for each item.
TWICE = """-- fields:
--   task text = /task
select source_path, item_number, number as record_number, 'verdict' as source_class, task as task_id, 'r' || number as run_id
from (select *, unnest([1, 2]) as number from raw.item)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run over these files."""
    root = tmp_path_factory.mktemp("explain")
    write_evidence(root / "evidence", FILES)
    (root / "evidence" / "evidence" / os.fsdecode(b"odd\xff.jsonl")).write_bytes(b"\n")
    assert etl("run-all", "--root", root).exit_code == 1  # some items are skipped
    return root


def explained(root: Path, wanted: str) -> dict[str, Any]:
    """Return the document about a text."""
    found: dict[str, Any] = etl("explain", "--root", root, "--json", "--", wanted).json
    return found


def shown(root: Path, wanted: str) -> str:
    """Return what people see of it."""
    return etl("explain", "--root", root, "--", wanted).stdout


def refusal(root: Path, wanted: str) -> str:
    """Return the sentence that refuses a text."""
    result = etl("explain", "--root", root, "--", wanted)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    return result.stderr.removeprefix("etl: ").rstrip("\n")


class TestId:
    """The ids of rows, records and pairs."""

    def test_way_of_a_record(self, root: Path) -> None:
        """It shows the file and item, the rule, the category and the decision of each dataset, for any id of the record."""
        row = next(
            row for row in jsonl(root / "exports/rag/playbooks/part-00001.jsonl") if row["content"] == "The answer to a."
        )
        found = explained(root, row["id"])
        (record,) = found["records"]
        assert (record["source_path"], record["item_number"]) == ("evidence.jsonl", 1)
        assert (record["rule"], record["category"]) == ("verdict", "accepted")
        assert record["pairing_outcome"] == "paired"
        assert record["response"] == "The answer to a."
        assert [decision["dataset"] for decision in record["datasets"]] == ["rag", "sft"]
        (in_rag, in_sft) = record["datasets"]
        assert (in_rag["id"], in_rag["quarantine_reasons"], in_rag["detail"]) == (row["id"], [], None)
        names = {
            record["evidence_id"]: "evidence_id",
            in_sft["id"]: "id",
            record["item_sha256"]: "item_sha256",
            "evidence.jsonl:1": "path:item",
            row["id"][:16]: "id",
        }
        for name, kind in names.items():
            again = explained(root, name)
            assert (again["kinds"], again["records"]) == ([kind], found["records"])

    def test_refused_record_shows_reason_and_text(self, root: Path) -> None:
        """The id of a quarantined row leads to the text that the quarantine does not hold."""
        row = next(row for row in jsonl(root / "exports/quarantine/sft/part-00001.jsonl") if row["task_id"] == "b")
        text = shown(root, row["id"])
        assert "quarantined: category_disallowed (partially_accepted)" in text
        assert "The answer to b." in text

    def test_pair(self, root: Path) -> None:
        """The id of a pair shows its texts, and leads to both sides."""
        pair = jsonl(root / "exports/preference/chosen_rejected/part-00001.jsonl")[0]
        found = explained(root, pair["id"])
        assert (found["kinds"], found["pairs"][0]["chosen"]) == (["id"], pair["chosen"])
        assert [record["run_id"] for record in found["records"]] == [pair["chosen_run_id"], pair["rejected_run_id"]]
        assert pair["id"] in [other["id"] for other in found["records"][0]["pairs"]]
        text = shown(root, pair["id"][:12])
        assert "ships in preference" in text
        assert text.count(pair["chosen"]) == 1

    def test_identical_items_have_one_id(self, root: Path) -> None:
        """An evidence_id that two identical items share names both."""
        (first, second) = explained(root, "0123456789abcdef")["records"]
        assert first["evidence_id"] == second["evidence_id"]
        assert [record["item_number"] for record in explained(root, first["evidence_id"])["records"]] == [8, 9]

    def test_nothing_has_it(self, root: Path) -> None:
        """A text that names nothing is refused with what can be named."""
        assert refusal(root, "nobody") == (
            "Nothing here has the id 'nobody'; give an evidence_id, the id of an exported or quarantined row, "
            "an item_sha256, a run_id, a task_id, or path:item."
        )
        assert refusal(root, "\udcff").startswith("Nothing here has the id")


class TestAttemptsAndTasks:
    """A run_id or a task_id: all its attempts and records."""

    def test_task(self, root: Path) -> None:
        """A task has all its records, by attempt, with what each dataset decides and their pairs."""
        found = explained(root, "a")
        assert found["kinds"] == ["task_id"]
        assert [(record["run_id"], record["item_number"]) for record in found["records"]] == [("1", 1), ("1", 3), ("2", 2)]
        assert [record["rule"] for record in found["records"]] == ["verdict", "score", "verdict"]
        assert [len(record["pairs"]) for record in found["records"]] == [1, 1, 2]
        assert all(record["response"] for record in found["records"])

    def test_several_records_are_a_line_each(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In 80 columns each record has its line, without its text; numbers say why a dataset does not take it."""
        monkeypatch.setattr("etl.console.parts.PIPE_WIDTH", 80)
        assert [line.split() for line in shown(root, "a").splitlines() if line.strip(" ─")] == [
            line.split()
            for line in """
                records: 3, attempts: 2
                1: task a, run 1
                2: task a, run 2
                attempt item              category  rule     rag  sft  pairs
                1       evidence.jsonl:1  accepted  verdict  yes  yes  yes
                1       evidence.jsonl:3  accepted  score    yes  yes  yes
                2       evidence.jsonl:2  rejected  verdict  1    2    yes
                yes: it ships, or is in an exported pair; a number says why not:
                1: unsafe_rag_category
                2: unsafe_sft_category
            """.strip().splitlines()
        ]

    def test_attempt_of_one_record(self, root: Path) -> None:
        """A run_id that one record has is shown with the record's text."""
        assert "Worse." in shown(root, "2")

    def test_run_and_task(self, root: Path) -> None:
        """A text that is both a run_id and a task_id has the records of both, and says so."""
        found = explained(root, "3")
        assert found["kinds"] == ["run_id", "task_id"]
        assert [(record["task_id"], record["run_id"]) for record in found["records"]] == [("3", "c"), ("b", "3")]
        assert "3 is several things: run_id, task_id. What each of them names is shown." in shown(root, "3")

    def test_exact_before_beginning(self, root: Path) -> None:
        """A task that could be the beginning of an id is a task; each record without a run is an attempt."""
        assert explained(root, "0123456789abcdef")["kinds"] == ["task_id"]
        text = shown(root, "0123456789abcdef")
        assert "records: 2, attempts: 2" in text
        assert text.count("task 0123456789abcdef, no run named") == 2


class TestPlace:
    """``path:item``: records, and items that became none."""

    @pytest.mark.parametrize("path", ["evidence/twin.jsonl", "evidence/evidence/twin.jsonl", "./evidence/evidence/twin.jsonl"])
    def test_from_the_root_or_the_evidence_folder(self, root: Path, path: str) -> None:
        """A path is taken as the shell completes it from either folder."""
        (record,) = explained(root, f"{path}:1")["records"]
        assert (record["source_path"], record["task_id"]) == ("evidence/twin.jsonl", "inner")

    def test_two_files_with_one_name(self, root: Path) -> None:
        """A path that leads to a file from both folders names both."""
        found = explained(root, "evidence/evidence.jsonl:1")
        assert {place["source_path"] for place in found["places"]} == {"evidence/evidence.jsonl", "evidence.jsonl"}
        assert {record["task_id"] for record in found["records"]} == {"twin", "a"}
        assert [place["source_path"] for place in explained(root, "evidence/evidence.jsonl:4")["places"]] == ["evidence.jsonl"]

    def test_skipped_item(self, root: Path) -> None:
        """A skipped item is explained by its place or its hash, with its bytes; escape sequences are made harmless."""
        (item,) = explained(root, "evidence.jsonl:6")["skipped"]
        assert (item["reason"], item["raw"]) == ("invalid_utf8", "\x1b[31mnot json\\xff")
        assert explained(root, item["item_sha256"])["skipped"] == [item]
        text = shown(root, item["item_sha256"][:20])
        assert "\\u001b[31mnot json" in text
        assert "\x1b" not in text

    @pytest.mark.parametrize(
        ("place", "outcome", "sentence"),
        [
            ("evidence.jsonl:5", "blank", "evidence.jsonl:5 is blank: it holds nothing but white space."),
            ("README.md:2", "ignored", "README.md is no evidence: the rule README* ignores it."),
            ("evidence/README.md:0", "ignored", "README.md is no evidence: the rule README* ignores it."),
            ("drafts/evidence.jsonl:1", "ignored", "drafts/evidence.jsonl is no evidence: the rule .etlignore ignores it."),
            (".git/objects/pack.jsonl:1", "ignored", ".git is no evidence: the rule hidden ignores it."),
            ("evidence/notes.txt:0", "skipped", "unknown_format"),
            ("evidence/notes.txt:7", "skipped", "unknown_format"),
            ("unknown/notes.jsonl:1", "skipped", "unknown_source"),
            ("evidence.jsonl:0", "file", "with 8 items, and 1 blank ones."),
            ("evidence/empty.jsonl:0", "file", "with 0 items, and 0 blank ones."),
            ("evidence/odd\udcff.jsonl:1", "blank", "evidence/odd\ufffdff.jsonl:1 is blank"),
        ],
    )
    def test_no_record(self, root: Path, place: str, outcome: str, sentence: str) -> None:
        """An item, or a file, that gave no record says what it is."""
        found = explained(root, place)
        assert (found["kinds"], [one["outcome"] for one in found["places"]]) == (["path:item"], [outcome])
        assert (found["records"], len(found["skipped"])) == ([], outcome == "skipped")
        assert sentence in shown(root, place)

    def test_file(self, root: Path) -> None:
        """Item 0 of a file has its hash and its counts."""
        (place,) = explained(root, "evidence.jsonl:0")["places"]
        file = root / "evidence/evidence.jsonl"
        assert (place["sha256"], place["bytes"]) == (sha256_of(file), file.stat().st_size)
        assert (place["record_count"], place["blank_count"]) == (8, 1)

    @pytest.mark.parametrize(
        ("place", "sentence"),
        [
            ("evidence.jsonl:10", "evidence.jsonl has no item 10; give a number from 1 to 9, or evidence.jsonl:0 for"),
            ("evidence/empty.jsonl:1", "evidence/empty.jsonl has no item 1; it is empty, give evidence/empty.jsonl:0 for"),
            ("evidence/twin.jsonl", "evidence/twin.jsonl is a file; say which of its items, such as evidence/twin.jsonl:1,"),
            ("nowhere.jsonl:1", "The last run found no file 'nowhere.jsonl', and nothing has the id 'nowhere.jsonl:1'; give"),
        ],
    )
    def test_no_such_item(self, root: Path, place: str, sentence: str) -> None:
        """A place beyond the end of a file, or of no file, is refused with what to do."""
        assert refusal(root, place).startswith(sentence)


class TestUnits:
    """Records of several items, several records of an item, and members of archives."""

    @pytest.fixture(scope="class")
    @classmethod
    def units(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Give the root of a run over folders with parts, an archive with such a folder, and items with two records."""
        root = tmp_path_factory.mktemp("units")
        steps = [{"step": 1}, {"step": 2}]
        files = {"traces/a/steps.jsonl": steps, "traces/a/result.json": [{"task": "a"}], "twice.jsonl": [{"task": "t"}]}
        write_evidence(root / "evidence", files)
        with ZipFile(root / "evidence/traces/z.eval", "w") as archive:
            archive.writestr("result.json", '{"task": "z"}')
            archive.writestr("steps.jsonl", '{"step": 1}\n\n{bad\n')
            archive.writestr("notes.txt", "notes")
        folder = root / "sql" / "2_sources"
        folder.mkdir(parents=True)
        (folder / "traces.sql").write_text(TRACES, encoding="utf-8")
        (folder / "twice.sql").write_text(TWICE, encoding="utf-8")
        assert etl("run-all", "--root", root).exit_code == 1  # an item is malformed
        return root

    @pytest.mark.parametrize("path", ["traces/z.eval!result.json", "evidence/traces/z.eval!result.json"])
    def test_member(self, units: Path, path: str) -> None:
        """A member of an archive is a file after an exclamation mark."""
        found = explained(units, f"{path}:1")
        assert [place["outcome"] for place in found["places"]] == ["record"]
        assert [record["task_id"] for record in found["records"]] == ["z"]
        assert "1: traces/z.eval!steps.jsonl:1" in shown(units, f"{path}:1")

    @pytest.mark.parametrize(
        ("file", "owner"), [("a/steps.jsonl", "a/result.json"), ("z.eval!steps.jsonl", "z.eval!result.json")]
    )
    def test_part(self, units: Path, file: str, owner: str) -> None:
        """A part says of which record it is part, and shows that record."""
        found = explained(units, f"traces/{file}:1")
        (place,) = found["places"]
        assert (place["outcome"], found["kinds"]) == ("part", ["path:item"])
        assert place["part_of"] == [{"source_path": f"traces/{owner}", "item_number": 1, "record_number": 1}]
        assert [record["source_path"] for record in found["records"]] == [f"traces/{owner}"]
        assert f"traces/{file}:1 is a part of traces/{owner}:1." in shown(units, f"traces/{file}:1")

    def test_skipped_item_of_a_member(self, units: Path) -> None:
        """A skipped item of a member, and a member that is one entry, have their reasons."""
        assert [item["reason"] for item in explained(units, "traces/z.eval!steps.jsonl:3")["skipped"]] == ["malformed_json"]
        assert [item["reason"] for item in explained(units, "traces/z.eval!notes.txt:7")["skipped"]] == ["unknown_format"]

    @pytest.mark.parametrize("place", ["traces/z.eval!steps.jsonl:2", "traces/z.eval!nobody.json:1"])
    def test_nothing_came_of_it(self, units: Path, place: str) -> None:
        """Of a blank item of a member, and of a member that is not there, the warehouse knows nothing; peek reads again."""
        assert refusal(units, place).endswith(f"etl peek traces --at '{place}' reads it again.")

    def test_member_as_a_whole(self, units: Path) -> None:
        """Item 0 of a member is the member."""
        assert "is a member of an archive" in shown(units, "traces/z.eval!result.json:0")

    def test_record_number(self, units: Path) -> None:
        """An item of two records has both, each with its number."""
        found = explained(units, "twice.jsonl:1")
        assert [(record["record_number"], record["run_id"]) for record in found["records"]] == [(1, "r1"), (2, "r2")]
        assert "twice.jsonl:1 record 2" in shown(units, "twice.jsonl:1")
        assert "twice.jsonl:1 record 2 (twice)" in shown(units, "r2")


GRADED: dict[str, list[Any]] = {
    "evidence.jsonl": [
        evidence_line("a", source_class="telemetry", run_id="1"),
        evidence_line("a", source_class="telemetry", run_id="2"),
    ],
    "verdicts.jsonl": [
        {"run_id": "1", "verdict": "accept", "by": "mia", "note": "Tests | pass.\x1b[31m"},
        {"task_id": "a", "score": 1},
        {"run_id": "9", "verdict": "pass"},
        {"task_id": "a", "human_override": "rejected", "by": "kim"},
    ],
}


def test_grades(tmp_path: Path) -> None:
    """A record has the grades that count for it; a grade says who gave it, and for which records it counts, or why for none."""
    write_evidence(tmp_path / "evidence", GRADED)
    run = etl("run-all", "--root", tmp_path)
    assert "(ambiguous_grade): 2, at verdicts.jsonl:2, verdicts.jsonl:4; name both run_id and task_id" in run.stdout
    assert "(unmatched_grade): 1, at verdicts.jsonl:3;" in run.stdout
    health = etl("health", "--root", tmp_path).stdout
    assert "verdicts.jsonl:2, verdicts.jsonl:4" in health

    found = etl("explain", "evidence.jsonl:1", "--root", tmp_path, "--json").json
    assert [grade["item_number"] for grade in found["grades"]] == [1, 4]
    assert '"by": "mia"' in found["grades"][0]["item"]
    assert found["records"][0]["reasons"][0] == "human_override: rejected"
    shown = etl("explain", "evidence.jsonl:1", "--root", tmp_path).stdout
    assert "note Tests | pass." in " ".join(shown.split())
    assert "\x1b" not in shown

    ambiguous = etl("explain", "verdicts.jsonl:2", "--root", tmp_path)
    assert "counts for nothing: it meets several attempts" in " ".join(ambiguous.stdout.split())
    unmatched = etl("explain", "verdicts.jsonl:3", "--root", tmp_path)
    assert "counts for nothing: it meets no attempt" in " ".join(unmatched.stdout.split())
    by_person = etl("explain", "verdicts.jsonl:4", "--root", tmp_path)
    assert "counts for evidence.jsonl:1, evidence.jsonl:2" in " ".join(by_person.stdout.split())

    write_evidence(tmp_path / "evidence", {"verdicts.jsonl": GRADED["verdicts.jsonl"][1:]})
    changed = etl("explain", "verdicts.jsonl:1", "--root", tmp_path, "--json").json
    assert [grade["item"] for grade in changed["grades"]] == [None]
    assert "not in the evidence folder as the run read it" in etl("explain", "1", "--root", tmp_path).stdout

    write_evidence(tmp_path / "elsewhere", GRADED)
    given = etl("explain", "1", "--root", tmp_path, "--evidence", tmp_path / "elsewhere").stdout
    assert "note Tests | pass." in " ".join(given.split())
    assert etl("explain", "1", "--root", tmp_path, "--evidence", tmp_path / "nowhere").exit_code == 2

"""``etl peek SOURCE``: what a run would make of items, without a run."""

import gzip
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import etl, evidence_line, write_evidence

from etl.ingest.directives import directives_of
from etl.ingest.formats.lines import HashedFile
from etl.inspect.suggestion import suggest_fields
from etl.warehouse.sql_files import View

#: A record for each folder that holds a result.json; all else in the folder is a part of it.
TRACES = """-- One row per trace.
-- grain: folder result.json
-- fields:
--   task text = /task
with part as (
    select unit, list({'source_path': source_path, 'item_number': item_number} order by source_path, item_number) as parts
    from raw.item
    where task is null
    group by unit
)
select item.source_path, item.item_number, 'verdict' as source_class, task as task_id, part.parts, 'pass' as verdict
from raw.item as item
left join part on item.unit = part.unit
where task is not null
"""

LINES = """-- One row per line.
-- fields:
--   task text required = /task
--   score number = /score
select source_path, item_number, 'verdict' as source_class, task as task_id, score
from raw.item
"""


def make(root: Path, mapping: str, files: dict[str, list[Any]], source: str = "traces") -> Path:
    """Make a root with one mapping and these files."""
    write_evidence(root / "evidence", files)
    file = root / "sql" / "2_sources" / f"{source}.sql"
    file.parent.mkdir(parents=True)
    file.write_text(mapping, encoding="utf-8")
    return root


def peeked(root: Path, *arguments: str) -> dict[str, Any]:
    """Return the document that peek gives."""
    found: dict[str, Any] = etl("peek", "--root", root, "--json", *arguments).json
    return found


def outcomes(found: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Return the place, the outcome and the reason of each item."""
    return [(f"{item['source_path']}:{item['item_number']}", item["outcome"], item["reason"]) for item in found["items"]]


def snapshot(root: Path) -> dict[Path, int]:
    """Return all paths below a root, with their times."""
    return {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))}


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Give a root whose source has two folders, an archive, and files that are not read."""
    steps = ['{"step": 1}', '{"step": 2}', "{bad", " "]
    files: dict[str, list[Any]] = {
        "traces/a/steps.jsonl": steps,
        "traces/a/result.json": [{"task": "a"}],
        "traces/b/steps.jsonl": steps,
        "traces/b/result.json": [{"task": "b"}],
        "traces/README.md": ["about"],
        "traces/notes.txt": ["notes"],
    }
    make(tmp_path, TRACES, files)
    with ZipFile(tmp_path / "evidence/traces/z.eval", "w") as archive:
        archive.writestr("result.json", '{"task": "z"}')
        archive.writestr("steps.jsonl", '{"step": 1}\n')
    return tmp_path


class TestItems:
    """The first items of a source that has a mapping."""

    def test_fields_columns_and_category(self, tmp_path: Path) -> None:
        """An item has its typed fields, the columns of its record, and the category that its own record gives it."""
        make(tmp_path, LINES, {"traces.jsonl": [{"task": "t", "score": 0.95}, {"task": "u"}]})
        found = peeked(tmp_path, "traces", "-n", "1")
        (item,) = found["items"]
        assert [(each["name"], each["type"], each["pointer"], each["value"]) for each in item["fields"]] == [
            ("task", "text", "/task", "t"),
            ("score", "number", "/score", 0.95),
        ]
        (record,) = item["records"]
        assert (record["task_id"], record["score"], record["category"], record["rule"]) == ("t", 0.95, "accepted", "score")
        text = etl("peek", "--root", tmp_path, "traces", "-n", "1").stdout
        assert "accepted by the rule score" in text
        assert "an attempt's other records and grades are not looked at" in text

    def test_problems(self, tmp_path: Path) -> None:
        """An item that is skipped has its reason, what is wrong with each field, and what the mapping gave."""
        lines = [{"task": 7, "score": "x"}, "{bad", "", {"score": 1}, {"task": "t"}]
        found = peeked(make(tmp_path, LINES, {"traces.jsonl": lines}), "traces", "-n", "4")
        assert outcomes(found) == [
            ("traces.jsonl:1", "skipped", "bad_task"),
            ("traces.jsonl:2", "skipped", "malformed_json"),
            ("traces.jsonl:4", "skipped", "missing_task"),
            ("traces.jsonl:5", "mapped", None),
        ]
        first = found["items"][0]
        assert [each["problem"] for each in first["fields"]] == ["bad_task", "bad_score"]
        assert [record["problem"] for record in first["records"]] == ["bad_task"]
        assert found["items"][1]["text"] == "{bad"

    def test_long_texts_are_cut(self, tmp_path: Path) -> None:
        """People see the beginning of a long text and its length; --json has all of it."""
        line = evidence_line(response="long " * 1000, verdict="pass")
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": [line]})
        assert max(map(len, etl("peek", "--root", tmp_path, "evidence").stdout.splitlines())) < 300
        assert peeked(tmp_path, "evidence")["items"][0]["records"][0]["response"] == "long " * 1000

    def test_no_escape_sequence_reaches_the_terminal(self, tmp_path: Path) -> None:
        """What a terminal would obey is made harmless, in keys too."""
        write_evidence(tmp_path / "evidence", {"a.jsonl": [{"\x1b[31mkey": "\x1b[31mtext"}]})
        assert "\x1b" not in etl("peek", "--root", tmp_path, "a").stdout

    def test_as_a_run_maps_them(self, traces: Path) -> None:
        """All items of a source have the outcome, the reason and the record that a run gives them."""
        found = peeked(traces, "traces", "-n", "1000")
        etl("run-all", "--root", traces)
        query = (
            "select source_path || ':' || item_number, 'mapped', null from evidence.record union all "
            "select source_path || ':' || item_number, 'skipped', reason from evidence.skipped where reason <> 'unknown_format'"
        )
        rows = etl("sql", query, "--root", traces, "--json").json
        assert sorted(outcomes(found), key=str) == sorted((tuple(row.values()) for row in rows), key=str)
        records = etl("sql", "select evidence_id from evidence.record", "--root", traces, "--json").json
        ids = [record["evidence_id"] for item in found["items"] for record in item["records"]]
        assert sorted(ids) == sorted(row["evidence_id"] for row in records)

    def test_files_that_are_not_read(self, traces: Path) -> None:
        """Ignored files have their rule, and files of an unknown format are named; neither counts as an item."""
        found = peeked(traces, "traces")
        assert found["ignored"] == [{"source_path": "traces/README.md", "ignored_by": "README*"}]
        assert found["unknown_format"] == ["traces/notes.txt"]
        text = etl("peek", "--root", traces, "traces").stdout
        assert "ignored by the rule README*: traces/README.md" in text
        assert "of an unknown format: traces/notes.txt" in text

    def test_nothing_is_written(self, traces: Path) -> None:
        """The root is as before: no lock, no warehouse, no folder."""
        before = snapshot(traces)
        etl("peek", "--root", traces, "traces")
        etl("peek", "--root", traces, "traces", "--at", "traces/a/result.json:1")
        assert snapshot(traces) == before

    def test_unknown_source(self, traces: Path) -> None:
        """A source of which there is no evidence is refused, with those that there are."""
        result = etl("peek", "--root", traces, "nobody")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "has no evidence of a source 'nobody'; the sources there are traces." in result.stderr


class TestPlaces:
    """``--at path:item``."""

    def test_part(self, traces: Path) -> None:
        """A part is shown with the record of its unit."""
        (item,) = peeked(traces, "traces", "--at", "evidence/traces/b/steps.jsonl:2")["items"]
        assert (item["outcome"], item["unit"]) == ("part", "traces/b")
        assert item["part_of"] == [{"source_path": "traces/b/result.json", "item_number": 1, "record_number": 1}]
        assert [record["task_id"] for record in item["records"]] == ["b"]

    def test_member(self, traces: Path) -> None:
        """A member of an archive is a file after an exclamation mark."""
        (item,) = peeked(traces, "traces", "--at", "traces/z.eval!result.json:1")["items"]
        assert (item["outcome"], item["records"][0]["task_id"]) == ("mapped", "z")
        assert [part["source_path"] for part in item["records"][0]["parts"]] == ["traces/z.eval!steps.jsonl"]

    @pytest.mark.parametrize(
        ("place", "outcome", "reason"),
        [
            ("traces/a/steps.jsonl:3", "skipped", "malformed_json"),
            ("traces/a/steps.jsonl:4", "blank", None),
            ("traces/notes.txt:1", "skipped", "unknown_format"),
        ],
    )
    def test_no_record(self, traces: Path, place: str, outcome: str, reason: str | None) -> None:
        """An item that gives no record says what it is."""
        ((_, *found),) = outcomes(peeked(traces, "traces", "--at", place))
        assert found == [outcome, reason]

    @pytest.mark.parametrize(
        ("place", "sentence"),
        [
            ("traces/a/steps.jsonl:9", "traces/a/steps.jsonl has no item 9; give a number from 1 to 4."),
            ("traces/README.md:1", "traces/README.md is no evidence: the rule README* ignores it."),
            ("traces/z.eval!nobody.json:1", "traces/z.eval!nobody.json: its archive has no such member"),
            ("traces/nobody.json:1", "there is no such file"),
            ("other/a.jsonl:1", "this is no path of the source traces"),
            ("traces/a/steps.jsonl", "write it as path:item"),
        ],
    )
    def test_no_such_item(self, traces: Path, place: str, sentence: str) -> None:
        """A place that leads to nothing is refused with what to do."""
        result = etl("peek", "--root", traces, "traces", "--at", place)
        assert (result.exit_code, result.stdout) == (2, "")
        assert sentence in result.stderr


class TestMappingFails:
    """A mapping that does not work: its line, with a caret below the column."""

    @pytest.mark.parametrize(
        ("broken", "kind", "at"),
        [
            ("task as task_id frm", "Parser Error", "frm"),
            ("tsk as task_id", "Binder Error", "tsk"),
            ("cast(task as integer) as task_id", "Conversion Error", "cast"),
        ],
    )
    def test_line_and_caret(self, tmp_path: Path, broken: str, kind: str, at: str) -> None:
        """The sentence names file, line and column; the caret stands below the word that is wrong. Items are shown as read."""
        make(tmp_path, LINES.replace("task as task_id", broken), {"traces.jsonl": [{"task": "secret"}]})
        result = etl("peek", "--root", tmp_path, "traces")
        assert result.exit_code == 1
        sentence, line, caret, *_ = result.stdout.splitlines()
        assert sentence.startswith(f"sql/2_sources/traces.sql:5:{line.index(at) - line.index('select') + 1}: {kind}")
        assert "secret" not in sentence
        assert caret.index("^") == line.index(at)
        assert [item["outcome"] for item in peeked(tmp_path, "traces")["items"]] == ["read"]

    def test_item(self, tmp_path: Path) -> None:
        """Where the mapping fails for one item, that item is named, and shown first."""
        lines = [{"task": "1"}, {"task": "x"}, {"task": "3"}]
        make(tmp_path, LINES.replace("task as task_id", "cast(task as integer)::varchar as task_id"), {"traces.jsonl": lines})
        found = peeked(tmp_path, "traces")
        failure = found["failure"]
        assert (failure["source_path"], failure["item_number"]) == ("traces.jsonl", 2)
        assert (failure["path"], failure["line"]) == ("sql/2_sources/traces.sql", 5)
        assert [item["item_number"] for item in found["items"]] == [2, 1, 3]

    def test_other_file(self, traces: Path) -> None:
        """Another mapping that does not parse is an error, as it is for a run."""
        (traces / "sql/2_sources/other.sql").write_text("selec 1", encoding="utf-8")
        result = etl("peek", "--root", traces, "traces")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("etl: sql/2_sources/other.sql:1:1: Parser Error")


class TestNoMapping:
    """A source without a mapping: the fields of its first items, as a mapping's header names them."""

    def test_block_is_a_header(self, tmp_path: Path) -> None:
        """The lines that are shown are the header of a mapping, and it says which file to write; the exit code is 0."""
        lines = [{"id": "a", "n": 1, "in/ner": {"x~y": [], "tags": ["t"]}}, {"id": "b", "n": 1.5, "json": True, "in/ner": None}]
        write_evidence(tmp_path / "evidence", {"new.jsonl": lines})
        result = etl("peek", "--root", tmp_path, "new")
        assert result.exit_code == 0
        assert f"write it to {tmp_path / 'sql/2_sources/new.sql'}." in result.stdout
        header = [line for line in result.stdout.splitlines() if line.startswith("--")]
        fields = directives_of(View("sources", "new", "\n".join(header), "new.sql")).fields
        assert [(each.name, each.type, each.tokens) for each in fields] == [
            ("id", "text", ("id",)),
            ("n", "number", ("n",)),
            ("tags", "texts", ("in/ner", "tags")),
            ("json_2", "boolean", ("json",)),
        ]

    def test_document_of_elements(self, tmp_path: Path) -> None:
        """Of a document that is an array, the elements are looked at, and items: is suggested."""
        write_evidence(tmp_path / "evidence", {"new.json": [json.dumps([{"a": 1}, {"a": 2}])]})
        suggestion = peeked(tmp_path, "new")["suggestion"]
        assert (suggestion["elements"], suggestion["items"]) == ("/*", 2)
        assert [each["pointer"] for each in suggestion["fields"]] == ["/a"]

    def test_keys_that_no_field_can_name(self) -> None:
        """A key with a line feed, or white space at its end, is counted and not suggested."""
        found = suggest_fields([b'{"a\\nb": 1, "c ": 2, "d": 3}'])
        assert ([each.name for each in found.fields], found.unnameable) == (["d"], 2)

    def test_object_or_text(self) -> None:
        """A value that is an object in one item and a text in another is one field, of the type json."""
        found = suggest_fields([b'{"a": {"b": 1}}', b'{"a": "x"}'])
        assert [(each.pointer, each.type) for each in found.fields] == [("/a", "json")]


class TestBounds:
    """Peek reads what it needs."""

    @pytest.fixture
    def read_bytes(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Give a list to which the length of each chunk that is read from an evidence file is added."""
        lengths: list[int] = []
        take = HashedFile.take

        def counting(self: HashedFile, offset: int, chunk: memoryview) -> None:
            lengths.append(len(chunk))
            take(self, offset, chunk)

        monkeypatch.setattr(HashedFile, "take", counting)
        return lengths

    @pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
    def test_first_lines(self, tmp_path: Path, read_bytes: list[int], ending: str) -> None:
        """Of a long file of lines a chunk or two are read, and of the next file none."""
        make(tmp_path, LINES, {})
        content = b"".join(b'{"task": "%064x"}\n' % (number * 2654435761**7 % 2**256) for number in range(200_000))
        folder = tmp_path / "evidence" / "traces"
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            (folder / f"{name}{ending}").write_bytes(gzip.compress(content, 1) if ending.endswith("gz") else content)
        found = peeked(tmp_path, "traces", "-n", "3")
        assert [place for place, *_ in outcomes(found)] == [f"traces/a{ending}:{number}" for number in (1, 2, 3)]
        assert sum(read_bytes) <= 4 << 20

    def test_parquet_and_archives_are_not_hashed(self, tmp_path: Path, read_bytes: list[int]) -> None:
        """A Parquet file is not read for its hash, nor an archive of which no turn comes."""
        make(tmp_path, LINES, {})
        folder = tmp_path / "evidence" / "traces"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"task": [f"{number:064}" for number in range(100_000)]}), folder / "a.parquet")
        with ZipFile(folder / "b.zip", "w") as archive:
            archive.writestr("x.jsonl", '{"task": "z"}\n' * 100_000)
        assert len(peeked(tmp_path, "traces")["items"]) == 5
        assert sum(read_bytes) == 0

    def test_whole_units(self, traces: Path, read_bytes: list[int]) -> None:
        """Where units are mapped, the first units are read whole, and the others not at all."""
        (traces / "evidence/traces/b/steps.jsonl").write_bytes(b'{"step": 1}\n' * 100_000)
        found = peeked(traces, "traces", "-n", "2")
        assert [record["task_id"] for item in found["items"] for record in item["records"]] == ["a"]
        assert sum(read_bytes) < 10_000

    @pytest.mark.parametrize("change", ["grain", "window"])
    def test_whole_source(self, tmp_path: Path, change: str) -> None:
        """A mapping that must see its whole source gets it, and peek says so before it reads."""
        mapping = LINES.replace("score\nfrom", "count(*) over () / 10 as score\nfrom")
        if change == "grain":
            mapping = mapping.replace("-- fields:", "-- grain: source\n-- fields:")
        make(tmp_path, mapping, {"traces/a.jsonl": [{"task": "a"}] * 4, "traces/b.jsonl": [{"task": "b"}] * 4})
        result = etl("peek", "--root", tmp_path, "traces", "-n", "1", "--json")
        assert "must see all of its items at once, so all of it is read" in result.stderr
        assert result.json["is_whole"] is True
        assert [item["records"][0]["score"] for item in result.json["items"]] == [0.8]
        assert result.json["unshown"] == 7

"""A new source, added by somebody who has read one page: one SQL file beside the evidence, and no Python."""

import json
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import Line, Result, etl, jsonl, write_evidence

from etl.ingest import portion
from etl.ingest.mapping import Mapped, Mapper
from etl.warehouse.connection import Warehouse

TICKETS: list[Line] = [
    {"id": 1, "state": "resolved", "question": "Why is it slow?", "answer": "It is not cached."},
    "",
    {"id": 2, "state": "reject", "question": "Why is it slow?", "answer": "It is fast."},
    {"id": 3, "state": "resolved", "question": "Who is it?", "answer": ["a list"]},
    "{",
    {"id": 4, "state": None, "question": "Who is it?", "answer": "Nobody knows."},
]

MAPPING = """\
-- One row per ticket of the help desk: the state in which it was left is the verdict.
select
    source_path,
    item_number,
    'verdict' as source_class,
    json ->> '$.id' as task_id,
    'desk/' || (json ->> '$.id') as run_id,
    json ->> '$.question' as prompt,
    json ->> '$.answer' as response,
    json ->> '$.state' as verdict,
    case when not sources.is_text(json -> '$.answer') then 'bad_answer' end as problem,
from raw.item
"""

BRIEF = MAPPING.replace("    source_path,\n    item_number,\n", "")


def root_of(folder: Path, mapping: str, lines: Sequence[Line] = TICKETS) -> Path:
    """Return a root with one mapping and its evidence, and nothing else."""
    file = folder / "sql" / "2_sources" / "tickets.sql"
    file.parent.mkdir(parents=True)
    file.write_text(mapping, encoding="utf-8")
    write_evidence(folder / "evidence", {"tickets.jsonl": lines})
    return folder


def rows(root: Path, query: str) -> Any:
    """Return the result of a query over the published warehouse."""
    return etl("sql", query, "--root", root, "--json").json


@pytest.mark.parametrize("mapping", [MAPPING, BRIEF], ids=["with provenance", "without provenance"])
def test_one_sql_file_adds_a_source(tmp_path: Path, mapping: str) -> None:
    """One file in sql/2_sources and its JSONL: records with provenance, verdicts understood, bad lines explained."""
    root = root_of(tmp_path, mapping)
    result = etl("run-all", "--root", root)
    assert result.exit_code == 1, result.stderr  # two lines were skipped
    run = "select item_number, r.task_id, r.run_id, source, category, rule, prompt, response from evidence.record as r"
    assert rows(root, f"{run} inner join scored.run using (source_path, item_number, source) order by item_number") == [
        {"item_number": number, "task_id": task, "run_id": f"desk/{task}", "source": "tickets"} | grade | text
        for number, task, grade, text in [
            (
                1,
                "1",
                {"category": "accepted", "rule": "verdict"},
                {"prompt": "Why is it slow?", "response": "It is not cached."},
            ),
            (3, "2", {"category": "rejected", "rule": "verdict"}, {"prompt": "Why is it slow?", "response": "It is fast."}),
            (
                6,
                "4",
                {"category": "needs_human_review", "rule": "no_signal"},
                {"prompt": "Who is it?", "response": "Nobody knows."},
            ),
        ]
    ]
    assert rows(root, "select source, item_number, reason from evidence.skipped order by item_number") == [
        {"source": "tickets", "item_number": 4, "reason": "bad_answer"},
        {"source": "tickets", "item_number": 5, "reason": "malformed_json"},
    ]


def test_a_new_source_reaches_the_datasets(tmp_path: Path) -> None:
    """Records of a new source are exported like any other, and point back to their line."""
    root = root_of(tmp_path, MAPPING)
    etl("run-all", "--root", root)
    (row,) = jsonl(root / "exports" / "sft" / "instruction_response" / "part-00001.jsonl")
    line = json.dumps(TICKETS[0]).encode()
    assert (row["source"], row["instruction"], row["response"]) == ("tickets", "Why is it slow?", "It is not cached.")
    assert row["provenance"] == {
        "source_path": "tickets.jsonl",
        "item_number": 1,
        "record_number": 1,
        "item_sha256": sha256(line).hexdigest(),
    }


def test_columns_that_a_mapping_does_not_name_are_null(tmp_path: Path) -> None:
    """A task and a class are enough for a record."""
    root = root_of(tmp_path, "select 'telemetry' as source_class, json ->> '$.id' as task_id from raw.item", TICKETS[:1])
    assert etl("run-all", "--root", root).exit_code == 0
    (record,) = rows(root, "from evidence.record")
    assert {
        name: value
        for name, value in record.items()
        if value is not None
        and name not in {"evidence_id", "record_key", "is_answer_empty", "has_unparsed_call", "text_bytes"}
        and not name.startswith(("prompt_", "response_", "answer_", "turn_", "content_"))
    } == {
        "source": "tickets",
        "source_class": "telemetry",
        "source_path": "tickets.jsonl",
        "item_number": 1,
        "record_number": 1,
        "item_sha256": sha256(json.dumps(TICKETS[0]).encode()).hexdigest(),
        "task_id": "1",
    }


def test_what_holds_for_all_sources_holds_for_a_new_one(tmp_path: Path) -> None:
    """A mapping need not check task, class, override and time: that is done for every source."""
    mapping = """
select
    source_path,
    item_number,
    json ->> '$.class' as source_class,
    json ->> '$.id' as task_id,
    json ->> '$.at' as created_at,
    json ->> '$.override' as human_override,
    (json ->> '$.score')::double as score,
from raw.item
"""
    good: dict[str, Any] = {"class": "verdict", "id": "a", "at": "2026-01-31T12:00:00+02:00", "override": "accepted"}
    fates = [
        (good, None),
        (good | {"id": " "}, "missing_task_id"),
        (good | {"id": None}, "missing_task_id"),
        (good | {"class": None}, "missing_source_class"),
        (good | {"class": "hearsay"}, "bad_source_class"),
        (good | {"override": "fine"}, "bad_human_override"),
        (good | {"at": "yesterday"}, "bad_created_at"),
        (good | {"at": "infinity"}, "bad_created_at"),
        (good | {"score": "nan"}, "bad_score"),
        (good | {"class": "hearsay", "id": ""}, "missing_task_id"),
    ]
    root = root_of(tmp_path, mapping, [line for line, _ in fates])
    etl("run-all", "--root", root)
    assert rows(root, "select item_number, strftime(created_at, '%H:%M') as at from evidence.record") == [
        {"item_number": 1, "at": "10:00"}
    ]
    assert rows(root, "select item_number, reason from evidence.skipped order by all") == [
        {"item_number": number, "reason": reason} for number, (_, reason) in enumerate(fates, start=1) if reason
    ]


def test_a_file_of_the_root_replaces_that_of_the_package(tmp_path: Path) -> None:
    """A mapping of the same name in the root's sql folder is used in place of the package's."""
    root = root_of(tmp_path, MAPPING, [])
    (root / "sql" / "2_sources" / "outcomes.sql").write_text(
        "select source_path, item_number, 'experiment' as source_class, json ->> '$.t' as task_id from raw.item"
    )
    write_evidence(root / "evidence", {"outcomes.jsonl": [{"t": "a"}]})
    assert etl("run-all", "--root", root).exit_code == 0
    assert rows(root, "select source, source_class, task_id from evidence.record") == [
        {"source": "outcomes", "source_class": "experiment", "task_id": "a"}
    ]


def with_score(expression: str) -> str:
    """Return the mapping with one more column."""
    return MAPPING.replace("from raw.item", f"    {expression} as score,\nfrom raw.item")


LINES = TICKETS[0], TICKETS[2], TICKETS[5]

#: Mappings that run, and do not work: what is wrong with them.
FAILING = {
    "multiplies lines": (f"{MAPPING}cross join range(2)", "tickets.jsonl:1 with the record_number 1"),
    "filters, without provenance": (f"{BRIEF}where json ->> '$.id' <> '1'", "source_path and item_number"),
    "multiplies lines, without provenance": (f"{BRIEF}cross join range(2)", "source_path and item_number"),
    "orders lines, without provenance": (f"{BRIEF}order by item_number desc", "source_path and item_number"),
    "names half of the key": (BRIEF.replace("select\n", "select\n    item_number,\n"), "source_path and item_number"),
    "gives all rows to one line": (
        MAPPING.replace("    item_number,", "    1::bigint as item_number,"),
        "not those of its item",
    ),
    "gives rows to no line": (
        MAPPING.replace("    item_number,", "    item_number + 1 as item_number,"),
        "not those of its item",
    ),
    "names an unknown column": (MAPPING.replace("as verdict", "as colour"), "colour"),
    "names a column twice": (MAPPING.replace("as verdict", "as prompt"), "prompt"),
    "reads an unknown column": (
        MAPPING.replace("from raw.item", "from (select 1 as item_number from raw.item)"),
        'tickets.sql:3:5: Binder Error: Referenced column "source_path"',
    ),
    "reads an unknown relation": (MAPPING.replace("raw.item", "raw.lines"), "tickets.sql:12:6: Catalog Error"),
    "fails on a line": (with_score("(json ->> '$.answer')::double"), "tickets.sql:12:26: Conversion Error at tickets.jsonl:1."),
    "fails on the last line": (
        with_score("case when item_number = 3 then (json ->> '$.answer')::double end"),
        "tickets.sql:12:57: Conversion Error at tickets.jsonl:3.",
    ),
}

#: Mappings that cannot be run at all.
BROKEN = {
    "holds two statements": (f"{MAPPING}; drop table evidence.record", "2 statements"),
    "reads what mappings make": (
        MAPPING.replace("from raw.item", "    (select count(*) from scored.run) as latency_ms,\nfrom raw.item"),
        "scored.run",
    ),
    "is no SQL": ("selec 1\n", "selec"),
    "is cut off": ("select (\n", ""),
    "is empty": ("", ""),
    "is a comment": ("-- to do\n", ""),
    "has a directive that does not work": (f"-- grain: line\n{MAPPING}", "grain: is item, file"),
}


def complains_about(result: Result, *words: str) -> None:
    """Assert that a command refused with one sentence that contains these words, and no traceback."""
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def root_of_all(tmp_path: Path, mappings: Iterable[str], lines: Sequence[dict[str, Any]]) -> Path:
    """Make a root with a source for each mapping, ``tickets_0`` and so on, with the same lines, and one of the package."""
    root = root_of(tmp_path, MAPPING, [])
    for number, mapping in enumerate(mappings):
        (root / "sql" / "2_sources" / f"tickets_{number}.sql").write_text(mapping, encoding="utf-8")
        write_evidence(root / "evidence", {f"tickets_{number}.jsonl": lines})
    write_evidence(root / "evidence", {"evidence.jsonl": [{"source_class": "verdict", "task_id": "a"}]})
    return root


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run with all mappings that fail."""
    root = root_of_all(tmp_path_factory.mktemp("failing"), (mapping for mapping, _ in FAILING.values()), LINES)
    assert etl("run-all", "--root", root).exit_code == 1
    return root


@pytest.mark.parametrize("name", FAILING)
def test_a_mapping_that_fails_skips_its_source(failed: Path, name: str) -> None:
    """Each item of its source is skipped as mapping_failed, with what is wrong and where, and no text; other sources go on."""
    source = f"tickets_{[*FAILING].index(name)}"
    skipped = rows(
        failed, f"select item_number, reason, detail, raw from evidence.skipped where source = '{source}' order by item_number"
    )
    assert [(row["item_number"], row["reason"]) for row in skipped] == [(number, "mapping_failed") for number in (1, 2, 3)]
    assert [json.loads(row["raw"]) for row in skipped] == list(LINES)
    assert {row["detail"] for row in skipped} == {skipped[0]["detail"]}
    assert f"sql/2_sources/{source}.sql" in skipped[0]["detail"]
    assert FAILING[name][1].replace("tickets", source) in skipped[0]["detail"]
    assert rows(failed, "select source from evidence.record") == [{"source": "evidence"}]
    assert not any(b"It is not" in file.read_bytes() for file in failed.glob("reports/**/*") if file.is_file())


def test_the_first_portion_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions are mapped at once: whichever fails first, the run names the first in the order of the evidence."""
    root = root_of(tmp_path, with_score("(json ->> '$.state')::double"), [])
    files = {
        f"tickets/{name}.jsonl": [{"id": name, "state": state}]
        for name, state in zip("abcd", ("1", "x", "x", "x"), strict=True)
    }
    write_evidence(root / "evidence", files)
    map_portion = Mapper.map

    def map_slowly(mapper: Mapper, items: pa.Table, *cursor: Warehouse) -> Mapped:
        time.sleep(0.2 if items["source_path"][0].as_py() == "tickets/b.jsonl" else 0)
        return map_portion(mapper, items, *cursor)

    monkeypatch.setattr(portion, "PORTION_BYTES", 1)
    monkeypatch.setattr(Mapper, "map", map_slowly)
    assert etl("run-all", "--root", root, "--set", "threads=4").exit_code == 1
    skipped = rows(root, "select source_path, detail from evidence.skipped order by all")
    assert [row["source_path"] for row in skipped] == [*files]
    assert all(row["detail"].endswith("Conversion Error at tickets/b.jsonl:1.") for row in skipped), skipped


def test_a_mapping_that_is_mended_takes_its_source_in(tmp_path: Path) -> None:
    """A line that the mapping cannot take skips all items of the source, also those of earlier runs, until it is gone."""
    root = root_of(tmp_path, with_score("(json ->> '$.state')::double"), [{"id": 1, "state": "0.5"}])
    assert etl("run-all", "--root", root).exit_code == 0
    write_evidence(root / "evidence", {"tickets/b.jsonl": [{"id": 2, "state": "half"}]})
    etl("run-all", "--root", root)
    count = "select (select count(*) from evidence.record) as records, (select count(*) from evidence.skipped) as skipped"
    assert rows(root, count) == [{"records": 0, "skipped": 2}]
    (root / "evidence" / "tickets" / "b.jsonl").unlink()
    etl("run-all", "--root", root)
    assert rows(root, count) == [{"records": 1, "skipped": 0}]


#: A column, what a mapping gives for it, and the reason why that does not fit.
VALUES = (
    ("score", "'high'", "bad_score"),
    ("score", "null", None),
    ("score", "1", None),
    ("task_id", "7", "bad_task_id"),
    ("task_id", "json -> '$.question'", None),
    ("task_id", "json -> '$.id'", "bad_task_id"),
    ("model", "true", "bad_model"),
    ("prompt_tokens", "1.5", "bad_prompt_tokens"),
    ("prompt_tokens", "sum_of::hugeint", None),
    ("cited_paths", "[1]", "bad_cited_paths"),
    ("cited_paths", "[]", None),
    ("cited_paths", "json -> '$.answer'", "bad_cited_paths"),
    ("created_at", "timestamp '2026-01-01 10:00:00'", None),
    ("parts", "[struct_pack(source_path, item_number)]", None),
    ("parts", "[{'source_path': source_path, 'item_number': 1}]", None),
    ("parts", "[{'source_path': source_path}]", "bad_parts"),
)


@pytest.fixture(scope="module")
def valued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run in which a source has each of the values."""
    mappings = []
    for column, value, _ in VALUES:
        columns = {"source_class": "'verdict'", "task_id": "'t'"} | {column: value.replace("sum_of", "5")}
        mappings.append(f"select {', '.join(f'{text} as {name}' for name, text in columns.items())} from raw.item")
    root = root_of_all(tmp_path_factory.mktemp("values"), mappings, LINES[:1])
    assert etl("run-all", "--root", root).exit_code == 1
    return root


@pytest.mark.parametrize("number", range(len(VALUES)), ids=[f"{column}-{value}" for column, value, _ in VALUES])
def test_what_does_not_fit_a_column_is_bad(valued: Path, number: int) -> None:
    """A mapping's value of another type skips its item; the detail has type and length, and nothing is coerced."""
    reason, source = VALUES[number][2], f"source = 'tickets_{number}'"
    found = rows(valued, f"select reason, detail from evidence.skipped where {source}")
    assert [row["reason"] for row in found] == ([reason] if reason else [])
    assert all("characters, where a" in row["detail"] and "It is" not in row["detail"] for row in found)
    assert len(rows(valued, f"select 1 from evidence.record where {source}")) == (0 if reason else 1)


def test_a_field_may_have_any_name(tmp_path: Path) -> None:
    """A field may be named like a column of the record, or ``content``: skipped items keep their exact bytes."""
    fields = "-- fields:\n--   content text required = /answer\n--   response text = /answer\n"
    mapping = f"{fields}select 'verdict' as source_class, content as task_id, response from raw.item"
    root = root_of(tmp_path, mapping, [TICKETS[0], TICKETS[3]])
    assert etl("run-all", "--root", root).exit_code == 1
    assert rows(root, "select task_id, response from evidence.record order by item_number") == [
        {"task_id": "It is not cached.", "response": "It is not cached."}
    ]
    assert rows(root, "select reason, raw from evidence.skipped") == [{"reason": "bad_content", "raw": json.dumps(TICKETS[3])}]


def test_lines_that_a_mapping_leaves_out_are_unmapped(tmp_path: Path) -> None:
    """An item of which no record is made, and which is part of none, is skipped with its bytes."""
    root = root_of(tmp_path, f"{MAPPING}where json ->> '$.id' <> '2'", LINES)
    assert etl("run-all", "--root", root).exit_code == 1
    found = rows(root, "select item_number, reason, raw from evidence.skipped")
    assert found == [{"item_number": 2, "reason": "unmapped", "raw": json.dumps(TICKETS[2])}]


@pytest.mark.parametrize(("mapping", "word"), BROKEN.values(), ids=BROKEN)
def test_a_mapping_that_cannot_run_is_named(tmp_path: Path, mapping: str, word: str) -> None:
    """A file that is no SELECT is named in one sentence, and nothing is published."""
    root = root_of(tmp_path, mapping, LINES)
    complains_about(etl("run-all", "--root", root), "sql/2_sources/tickets.sql", word)
    assert not (root / "warehouse" / "etl.duckdb").exists()


def test_a_source_may_be_called_anything(tmp_path: Path) -> None:
    """A source has the name of its evidence, whatever it is; the name is never read as SQL."""
    names = ["my-tickets", "2026", "Été", "a.b", "x'); drop table evidence.record; --"]
    (tmp_path / "sql" / "2_sources").mkdir(parents=True)
    for name in names:
        write_evidence(tmp_path / "evidence", {f"{name}.jsonl": LINES})
        (tmp_path / "sql" / "2_sources" / f"{name}.sql").write_text(MAPPING)
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    found = rows(tmp_path, "select source, count(*) as lines from evidence.record group by source")
    assert {row["source"]: row["lines"] for row in found} == dict.fromkeys(names, 3)


@pytest.mark.parametrize("name", ["Tickets.sql", 'a"b.sql', "deeper/tickets.sql"])
def test_a_file_that_can_be_no_view_is_named(tmp_path: Path, name: str) -> None:
    """The file's name becomes a view's name; one that cannot is refused before anything is read."""
    root = root_of(tmp_path, MAPPING, LINES)
    file = root / "sql" / "2_sources" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(MAPPING)
    complains_about(etl("run-all", "--root", root), f"sql/2_sources/{name}", "rename")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused by name."""
    root = root_of(tmp_path, MAPPING, LINES)
    (root / "sql" / "2_sources" / "other.sql").write_bytes(b"select '\xff'")
    complains_about(etl("run-all", "--root", root), "sql/2_sources/other.sql", "UTF-8")

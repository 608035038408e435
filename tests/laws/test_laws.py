"""The laws hold for evidence as nasty as hypothesis can make it, and the views follow the specification.

Each example is a small world: a few records, settings, and perhaps a manifest. It is put into a warehouse in memory, and
the views are compared with :mod:`oracle` or with themselves.
"""

import hashlib
import json
import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import SEEDS, insert_with_content, set_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import ACCEPTED, PARTIAL, REJECTED, REVIEW, Candidate, Key, Oracle, is_same_content, key

from etl.base.settings import Settings
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.sql_files import Sql, View

Row = dict[str, Any]

TEXTS = pa.list_(pa.string())
RECORD = pa.schema(
    {
        "evidence_id": pa.string(),
        "source": pa.string(),
        "source_class": pa.string(),
        "source_path": pa.string(),
        "item_number": pa.int64(),
        "record_number": pa.int64(),
        "item_sha256": pa.string(),
        "run_id": pa.string(),
        "task_id": pa.string(),
        "created_at": pa.timestamp("us"),
        "prompt": pa.string(),
        "response": pa.string(),
        "messages": pa.string(),
        "tools": pa.string(),
        "comparison": pa.string(),
        "verdict": pa.string(),
        "score": pa.float64(),
        "grounded_fraction": pa.float64(),
        "success_markers": TEXTS,
        "failure_markers": TEXTS,
        "infrastructure_error": pa.string(),
        "human_override": pa.string(),
        "cited_paths": TEXTS,
        "record_key": pa.int64(),
    }
)
SKIPPED = pa.schema({"source": pa.string(), "source_path": pa.string(), "item_number": pa.int64(), "reason": pa.string()})
FILE = pa.schema({"source": pa.string(), "source_path": pa.string(), "record_count": pa.int64(), "blank_count": pa.int64()})

PROGRAM = Sql.of(Path("/nonexistent"))

STATS = ("accepted", "rejected", "quarantined", "skipped")
UNDECIDED = {PARTIAL, REVIEW}

#: The same examples everywhere and every time; no deadline, since a machine may be busy.
PROFILE = settings(deadline=None, derandomize=True)


# Worlds.


@dataclass(frozen=True)
class World:
    """The input of the views."""

    records: Sequence[Row]
    settings: Settings
    known_paths: frozenset[str] | None
    skipped: Sequence[str]

    @property
    def scored(self) -> list[Row]:
        """The records that are no grades."""
        return [record for record in self.records if record["source_class"] != "grade"]

    @property
    def oracle(self) -> Oracle:
        """The oracle's answers about this world."""
        return Oracle(self.records, self.settings, self.known_paths)


NBSP = "\u00a0"
TASKS = ("t", "u", "T ", "ü")
FILES = ("evidence.jsonl", "evidence/a.jsonl", "evidence/B.jsonl", "evidence/\uffee.jsonl", "evidence/\U0001f600.jsonl")

#: Numbers at, near and far from the thresholds below. 0.1 + 0.2 is not 0.3.
NUMBERS = (
    *(-0.01, -5e-324, -0.0, 0.0, 5e-324, 0.3, 0.1 + 0.2, math.nextafter(0.5, 0), 0.5, 0.8, math.nextafter(0.9, 0), 0.9),
    *(math.nextafter(0.9, 1), math.nextafter(1, 0), 1.0, math.nextafter(1, 2), 1.5),
)
THRESHOLDS = (0.0, 0.3, 0.5, 0.8, 0.9, 1.0)

WORDS = (
    *("accept", "approve", "pass", "resolved", "partial", "request_changes", "cycle", "reject", "fail", "block"),
    *("review", "escalate", "APPROVE", " Pass\n", f"{NBSP}rEject\u2003", "\u3000Cycle\t", "\u2028fail", "bloc\u212a"),
    *("approved", "request changes", "acc ept", "pa\u017fs", "pass\u200b", "\x1cpass", "0", "null", "", " ", NBSP),
)

PATHS = ("etl/cli.py", "README.md", "etl/cli.py ", "ETL/cli.py", "gone.py", "../x.py", "etl/../x.py", "etl\\..\\x.py")
PATHS += ("..", "..x/y.py", "x../y", "/etc/passwd", "\\share", "C:\\x.py", "c:x.py", "ü:x", "/", "")


def often(*usual: Any, rare: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """Draw a usual value about three times out of four, a rare one otherwise."""
    repeated = usual * -(-3 * len(rare) // len(usual))
    return st.sampled_from([*repeated, *rare] if rare else usual)


#: An answer that is long enough to count as constant where it answers many prompts.
CONSTANT = "I am sorry, I cannot help with that."

#: Texts that are alike when normalised, blank ones among them.
ALIKE = (
    *("Shared", "\x1c", None, "", f"\t{NBSP}", "shared ", "sha\u00adred", f"{NBSP}shared\r\n", "caf\u00e9", "cafe\u0301"),
    *("a  b", "a\u200b \u200bb", "a\u0085b", f"{CONSTANT}\n", CONSTANT.replace(" ", "\u3000"), "\ue000"),
)

numbers = st.sampled_from(NUMBERS)
clocks = st.sampled_from([None, *(datetime(2026, 1, 31, 12) + timedelta(microseconds=after) for after in range(3))])  # noqa: DTZ001
markers = st.sampled_from([None, [], ["done"], ["done", ""]])
paths = often(None, rare=([], *([path] for path in PATHS), [PATHS[0], PATHS[4], PATHS[5]]))
overrides = often(None, rare=(ACCEPTED, PARTIAL, REJECTED, REVIEW))

#: The fields that grade a record: usually one signal, sometimes several or none.
signals = st.one_of(
    st.fixed_dictionaries({"verdict": often("accept", "partial", "reject", rare=WORDS), "score": st.none() | numbers}),
    st.fixed_dictionaries({"score": numbers, "grounded_fraction": st.none() | numbers}),
    st.fixed_dictionaries({"grounded_fraction": numbers, "success_markers": markers}),
    st.fixed_dictionaries({"success_markers": markers, "failure_markers": markers}),
    st.fixed_dictionaries({"human_override": overrides, "verdict": st.sampled_from(WORDS), "score": numbers}),
)

CLASSES = ("verdict", "verdict", "extraction", "telemetry", "experiment")

#: Records with any kind of fault.
wild = st.builds(
    operator.or_,
    st.fixed_dictionaries(
        {
            "source_class": st.sampled_from(CLASSES),
            "source_path": st.sampled_from(FILES),
            "run_id": often("own", "own", "shared", rare=("Shared", None, "", NBSP)),
            "task_id": often("t", rare=TASKS),
            "created_at": clocks,
            "prompt": often("p", "p", "q", rare=("p ", None, "", f"{NBSP}\u2003\n", "\u200b")),
            "response": often("own", "own", "shared", CONSTANT, rare=ALIKE),
            "infrastructure_error": often(None, rare=("out of disk", NBSP)),
            "cited_paths": paths,
            "spaces": st.sampled_from([0, 0, 0, 1, 1, 1, None]),
        }
    ),
    signals,
)

#: Records with few faults, crowded in few tasks, so that there are pairs, full windows and tied ranks.
crowd = st.fixed_dictionaries(
    {
        "source_class": st.sampled_from(CLASSES),
        "source_path": st.sampled_from(FILES),
        "run_id": st.sampled_from(["own", "own", "own", "shared"]),
        "task_id": often("t", rare=TASKS[:2]),
        "created_at": clocks,
        "prompt": often("p", "q", rare=(None, NBSP)),
        "response": st.sampled_from(["own", "own", "own", "shared"]),
        "verdict": often("accept", "reject", rare=("partial", "review")),
        "score": st.sampled_from([None, -0.0, 0.0, 0.5, 0.9, 1.5]),
    }
)


@st.composite
def retold(draw: st.DrawFn) -> list[Row]:
    """Draw records that tell of the same attempts or have the same contents, some with a person's word."""
    told = st.fixed_dictionaries(
        {
            "source_class": st.sampled_from(CLASSES),
            "source_path": st.sampled_from(FILES),
            "run_id": st.sampled_from(["run 1", "run 2", None]),
            "task_id": often("t", rare=TASKS[:2]),
            "created_at": clocks,
            "prompt": st.sampled_from(["p", " p", "q"]),
            "response": st.sampled_from(["one", "one ", "two", CONSTANT]),
            "verdict": often("accept", "reject", rare=("partial", None)),
            "human_override": overrides,
        }
    )
    return draw(st.lists(told, max_size=8))


def call(arguments: Any) -> Row:
    """Return a message that only calls a tool."""
    made = {"id": "c", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [made]}


def said(role: str, content: str, **more: str) -> Row:
    """Return a message with a text."""
    return {"role": role, "content": content, **more}


#: What the assistant and the tools may do between the question and the last answer.
STEPS = (
    *([], [], [call({"at": "a"}), said("tool", "r", tool_call_id="c")], [call({"at": "a "}), said("tool", "r")]),
    *([call({"at": 1}), said("tool", "r")], [call({"unparsed": "a"})], [said("assistant", "Wait."), said("user", "q")]),
)

BEFORE = ([], [], [said("system", "s")], [said("assistant", "Hello.")], [said("user", "p", name="mia")])

ENDS = ([], [], [said("user", "bye")], [said("assistant", " ", reasoning="r")], [call({})])


@st.composite
def conversed(draw: st.DrawFn) -> list[Row]:
    """Draw records with conversations that share prompts, turns and contents, and texts with the same turns."""
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        asked, told = draw(st.sampled_from(["p", "p ", "q"])), draw(st.sampled_from(["one", "one ", "two", CONSTANT, " "]))
        first = [*draw(st.sampled_from(BEFORE)), said("user", asked)]
        messages = [*first, *draw(st.sampled_from(STEPS)), said("assistant", told), *draw(st.sampled_from(ENDS))]
        is_text = draw(st.sampled_from([True, False, False]))
        texts = [one["content"] for one in messages[len(first) :] if one["role"] == "assistant" and one["content"].strip()]
        rows.append(
            {
                "source_class": draw(st.sampled_from(CLASSES)),
                "source_path": draw(st.sampled_from(FILES)),
                "run_id": draw(st.sampled_from(["own", "own", "run 1"])),
                "task_id": draw(often("t", rare=TASKS[:2])),
                "prompt": asked,
                "response": told if is_text else texts[-1] if texts else None,
                "messages": None if is_text else json.dumps(messages),
                "tools": draw(st.sampled_from([None, None, None, '[{"name":"look"}]'])),
                "comparison": draw(contests),
                "verdict": draw(often("accept", "reject", rare=("partial", None))),
                "score": draw(st.sampled_from([None, 0.0, 0.9, 1.0])),
            }
        )
    return rows


contests = often(None, None, rare=("a", "b"))


@st.composite
def graded(draw: st.DrawFn) -> list[Row]:
    """Draw attempts, and grades of them: some name a run alone, or a task alone, and meet one, several or none."""
    told = st.fixed_dictionaries(
        {
            "source_class": st.sampled_from(CLASSES),
            "source_path": st.sampled_from(FILES),
            "run_id": st.sampled_from(["run 1", "run 2", None]),
            "task_id": st.sampled_from(TASKS[:2]),
            "prompt": st.just("p"),
            "response": st.sampled_from(["own", "one"]),
            "comparison": contests,
            "verdict": often(None, rare=("accept", "reject", "no word")),
            "failure_markers": st.sampled_from([None, None, ["slow"]]),
            "created_at": clocks,
        }
    )
    grades = st.fixed_dictionaries(
        {
            "source_class": st.just("grade"),
            "source_path": st.sampled_from(FILES),
            "run_id": st.sampled_from(["run 1", "run 2", "run 3", None]),
            "task_id": st.sampled_from([*TASKS[:2], None]),
            "created_at": clocks,
            "comparison": contests,
            "infrastructure_error": often(None, rare=("out of disk",)),
            "verdict": st.sampled_from([None, "accept", "reject", "no word", "partial"]),
            "score": st.sampled_from([None, None, 0.0, 0.9, 7.0]),
            "success_markers": markers,
            "human_override": often(None, rare=(ACCEPTED, REJECTED)),
        }
    )
    kept = grades.filter(lambda row: row["run_id"] is not None or row["task_id"] is not None)
    return draw(st.lists(told, max_size=6)) + draw(st.lists(kept, max_size=5))


@st.composite
def families(draw: st.DrawFn) -> list[Row]:
    """Draw records of one task: verdicts that agree unless one dissents, and extractions from the task."""
    task = {"source_path": FILES[0], "run_id": "own", "task_id": draw(st.sampled_from(TASKS[1:])), "response": "own"}
    word = draw(st.sampled_from(["accept", "reject", "cycle", "unheard-of", " "]))
    dissent = draw(st.sampled_from([None, None, "approve", "fail", "escalate"]))
    verdicts = [{"source_class": "verdict", "verdict": word, "run_id": run} for run in draw(runs)]
    verdicts += [{"source_class": "verdict", "verdict": dissent}] if dissent else []
    extracted = [{"source_class": "extraction", "prompt": "p", "failure_markers": ["gap"]}] * draw(st.integers(1, 2))
    return [task | row for row in [*verdicts, *extracted]]


runs = st.lists(st.sampled_from(["own", None]), max_size=3)

manifests = st.none() | st.frozensets(st.sampled_from(PATHS), max_size=6) | st.just(frozenset(PATHS))


@st.composite
def setting_rows(draw: st.DrawFn) -> Settings:
    """Draw settings with ordered thresholds."""
    partial_at, accept_at = sorted((draw(st.sampled_from(THRESHOLDS)), draw(st.sampled_from(THRESHOLDS))))
    grounded = sorted((draw(st.sampled_from(THRESHOLDS)), draw(st.sampled_from(THRESHOLDS))))
    return Settings(
        accept_at=accept_at,
        partial_at=partial_at,
        grounded_accept_at=grounded[1],
        grounded_partial_at=grounded[0],
        max_pairs_per_task=draw(st.integers(1, 3)),
        max_prompts_per_response=draw(st.integers(1, 3)),
        include_partial=draw(st.booleans()),
        include_review=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a world: distinct lines, copies of some of them, in any physical order."""
    least = draw(st.sampled_from([0, 4, 8]))
    drawn = draw(st.lists(wild, max_size=8)) + draw(st.lists(crowd, min_size=least, max_size=least + 4))
    drawn += draw(st.just([]) | families() | retold() | conversed() | graded())
    lines = [line(told, number) for number, told in enumerate(drawn)]
    if lines:
        copies = st.tuples(st.sampled_from(lines), st.sampled_from(FILES))
        lines += [copied | {"source_path": path} for copied, path in draw(st.lists(copies, max_size=3))]
    known_paths = draw(manifests)
    chosen = draw(setting_rows())
    if known_paths is not None:
        chosen = chosen.model_copy(update={"known_paths_sha256": "0" * 64})
    skipped = draw(st.lists(st.sampled_from(["malformed_json", "bad_score"]), max_size=2))
    return World(draw(st.permutations(numbered(lines))), chosen, known_paths, skipped)


def line(told: Row, number: int) -> Row:
    """Return the record of a line; a text "own" gets a number that no other line has.

    Lines with the same fields and the same number of ``spaces`` are the same line; None makes a line without a hash.
    """
    row = dict.fromkeys(RECORD.names) | {"spaces": 0, "source": "evidence"} | told
    for column in ("run_id", "response"):
        if row[column] == "own":
            row[column] = f"{column} {number}"
    spaces = row.pop("spaces")
    fields = {name: value for name, value in row.items() if name != "source_path"}
    row["item_sha256"] = "" if spaces is None else sha256(json.dumps(fields, default=str) + " " * spaces)
    row["evidence_id"] = sha256("\x1f".join((row["source"], row["run_id"] or "", row["task_id"] or "", row["item_sha256"])))
    return row


def sha256(text: str) -> str:
    """Return sha256 hex of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def numbered(lines: Sequence[Row]) -> list[Row]:
    """Give each record a key; an item has two records, and those of each file count from 9 on: as text, 10 would come first."""
    following = Counter(dict.fromkeys(FILES, 18))
    rows = []
    for row in lines:
        item_number, record_number = divmod(following[row["source_path"]], 2)
        rows.append(row | {"item_number": item_number, "record_number": record_number + 1, "record_key": len(rows)})
        following[row["source_path"]] += 1
    return rows


# The warehouse.


@pytest.fixture(scope="module")
def pure() -> Iterator[Warehouse]:
    """One warehouse for all worlds of this module; each example replaces the world before it."""
    opened = Warehouse.create(PROGRAM, Settings(threads=1))
    yield opened
    opened.close()


@cache
def views() -> list[View]:
    """Return the views that label records or pairs, each after the views that it reads."""
    with closing(Warehouse.create(PROGRAM, Settings())) as warehouse:
        lineage = Lineage.of(warehouse)
    labelling = [view for view in PROGRAM.views if view.schema in {"scored", "pairs", "datasets"}]
    return sorted(labelling, key=lambda view: len(lineage.above([view.qualified])))


@pytest.fixture(scope="module")
def ground() -> Iterator[Warehouse]:
    """Give a warehouse that computes each view once per world, from its definition, and keeps the result for later views.

    It answers ten times faster; a law below compares it with the plain views.
    """
    opened = Warehouse.create(PROGRAM, Settings(threads=1))
    opened.execute("create schema definition")
    opened.execute("create schema held")
    for view in views():
        opened.execute(f'create view definition."{view.qualified}" as\n{view.body}')
        hold(opened, view)
        opened.execute(f'create or replace view {view.qualified} as from held."{view.qualified}"')
    yield opened
    opened.close()


def hold(ground: Warehouse, view: View) -> None:
    """Compute a view from its definition and keep the result."""
    ground.execute(f'create or replace table held."{view.qualified}" as from definition."{view.qualified}"')


def put(warehouse: Warehouse, world: World) -> None:
    """Replace the world before by this one."""
    warehouse.execute("delete from evidence.stored_record")
    insert_with_content(warehouse, pa.Table.from_pylist(list(world.records), RECORD))
    warehouse.replace("policy.known_path", pa.table({"path": pa.array(sorted(world.known_paths or ()), pa.string())}))
    set_settings(warehouse, **world.settings.model_dump())


def settle(ground: Warehouse, world: World, *names: str) -> None:
    """Replace the world before by this one, and compute the named views or schemas; all views if none is named."""
    put(ground, world)
    for view in views():
        if not names or view.schema in names or view.qualified in names:
            hold(ground, view)


def settle_books(ground: Warehouse, world: World) -> None:
    """Settle a world, with the files and skipped lines that collect would note."""
    settle(ground, world)
    skipped = [
        {"source": "evidence", "source_path": FILES[0], "item_number": number, "reason": reason}
        for number, reason in enumerate(world.skipped, start=1)
    ]
    own = {(row["source_path"], row["item_number"]) for row in world.records}
    lines = Counter([path for path, _ in own] + [str(row["source_path"]) for row in skipped])
    files = [
        {"source": "evidence", "source_path": path, "record_count": count, "blank_count": 0} for path, count in lines.items()
    ]
    ground.replace("evidence.skipped", pa.Table.from_pylist(skipped, SKIPPED))
    ground.replace("evidence.file", pa.Table.from_pylist(files, FILE))


def rows_of(warehouse: Warehouse, view: str) -> list[str]:
    """Return the rows of a view in a form that can be sorted and compared."""
    return sorted(map(repr, warehouse.execute(f"from {view}")))


def contents(warehouse: Warehouse) -> dict[str, list[str]]:
    """Return the rows of every view that labels records or pairs."""
    return {view.qualified: rows_of(warehouse, view.qualified) for view in views()}


def by_record(warehouse: Warehouse, view: str, *columns: str) -> dict[Key, tuple[Any, ...]]:
    """Return columns of a view with one row per record, by the record's key."""
    rows = warehouse.execute(f"select source_path, item_number, record_number, {', '.join(columns)} from {view}")
    found = {row[:3]: row[3:] for row in rows}
    assert len(found) == len(rows), f"{view} has a record twice"
    return found


# The views follow the specification.


@settings(PROFILE, max_examples=60)
@given(world=worlds())
def test_the_views_say_what_the_specification_says(ground: Warehouse, world: World) -> None:
    """Scores, pairs, outcomes, decisions and counts of a world are exactly those of the specification."""
    the_views_are_the_specification(ground, world)


def the_views_are_the_specification(ground: Warehouse, world: World) -> None:
    """Fill the tables with a world and compare every view with the specification."""
    settle_books(ground, world)
    scores_are_the_specifications(ground, world)
    pairs_are_the_specifications(ground, world)
    decisions_are_the_specifications(ground, world)
    books_are_the_specifications(ground, world)
    never_is_never(ground, world)


def scores_are_the_specifications(ground: Warehouse, world: World) -> None:
    """Every record is scored once, with the category and rule of section 4."""
    oracle = world.oracle
    assert by_record(ground, "scored.run", "category", "rule") == {key(record): oracle.score(record) for record in world.scored}
    columns = ("comparison", "has_several_comparisons", "decided_in", "score")
    expected = {}
    for record in world.scored:
        told = oracle.decision(record)
        expected[key(record)] = (*(getattr(told, name) for name in columns[:3]), oracle.lowest_score(record))
    assert by_record(ground, "scored.run", *columns) == expected
    assert by_record(ground, "scored.grade", "outcome") == {
        key(record): (oracle.grade_outcome(record),) for record in world.records if record["source_class"] == "grade"
    }


def pairs_are_the_specifications(ground: Warehouse, world: World) -> None:
    """Assert that pairs (with ranks, outcomes and reasons) and the outcome of each record follow section 5."""
    rows = ground.execute("""
        select
            chosen_source_path, chosen_item_number, chosen_record_number,
            rejected_source_path, rejected_item_number, rejected_record_number,
            chosen_rank, rejected_rank, gap, outcome, quarantine_reasons, quarantine_reason,
        from pairs.candidate
    """)
    found = Counter(Candidate(row[0:3], row[3:6], *row[6:10], reasons=tuple(row[10])) for row in rows)
    oracle = world.oracle
    assert found == Counter(oracle.candidates)
    assert all(first == (reasons[0] if reasons else None) for *_, reasons, first in rows)
    assert by_record(ground, "pairs.record", "outcome") == {
        key(record): (oracle.pairing_outcome(record),) for record in world.scored
    }


def decisions_are_the_specifications(ground: Warehouse, world: World) -> None:
    """Datasets refuse a record or pair for all the reasons of section 6, in their order; the first one decides."""
    oracle = world.oracle
    for dataset, reasons_of in (("rag", oracle.rag_reasons), ("sft", oracle.sft_reasons)):
        expected = {key(record): reasons_of(record) for record in world.scored}
        decisions = f"datasets.decision where dataset = '{dataset}'"
        assert by_record(ground, decisions, "quarantine_reasons", "quarantine_reason") == {
            record: (list(reasons), reasons[0] if reasons else None) for record, reasons in expected.items()
        }
    rows = ground.execute("""
        select
            provenance.chosen.source_path, provenance.chosen.item_number, provenance.chosen.record_number,
            provenance.rejected.source_path, provenance.rejected.item_number, provenance.rejected.record_number,
            reason, quarantine_reasons, quarantine_reason, skip_reason,
        from datasets.preference
    """)
    assert sorted(rows) == sorted(
        (
            *(*pair.chosen, *pair.rejected, pair.gap, list(pair.reasons), pair.reasons[0] if pair.reasons else None),
            "over_cap" if pair.outcome == "over_cap" else None,
        )
        for pair in oracle.candidates
    )


def books_are_the_specifications(ground: Warehouse, world: World) -> None:
    """Assert that the counts add up, and count the categories, reasons and outcomes of the specification."""
    books_balance(ground, world)
    oracle, records = world.oracle, world.scored
    reasons = {
        ("collect", "skipped"): world.skipped,
        ("score", "rejected"): [category for category in map(oracle.category, records) if category == REJECTED],
        ("score", "quarantined"): [category for category in map(oracle.category, records) if category in UNDECIDED],
        ("export-rag", "quarantined"): firsts(map(oracle.rag_reasons, records)),
        ("export-sft", "quarantined"): firsts(map(oracle.sft_reasons, records)),
        ("export-preference", "quarantined"): firsts(pair.reasons for pair in oracle.candidates),
        ("export-preference", "skipped"): [pair.outcome for pair in oracle.candidates if pair.outcome == "over_cap"],
    }
    counted = "select stage, stat, reason, records from receipts.reason_count where reason is not null"
    assert sorted(ground.execute(counted)) == sorted(
        (*of, reason, number) for of, names in reasons.items() for reason, number in Counter(names).items()
    )
    shipped = {
        "export-rag": sum(not oracle.rag_reasons(record) for record in records),
        "export-sft": sum(not oracle.sft_reasons(record) for record in records),
        "export-preference": sum(pair.outcome == "exported" for pair in oracle.candidates),
    }
    assert dict(ground.execute("select stage, accepted from receipts.stage_count where stage like 'export%'")) == shipped
    outcomes = Counter(map(oracle.pairing_outcome, records))
    assert dict(ground.execute("select outcome, records from receipts.outcome_count")) == outcomes


def never_is_never(ground: Warehouse, world: World) -> None:
    """Law 3: under any settings sft ships nothing that is rejected or needs human review, and rag nothing that is rejected.

    Neither ships what is rejected in its attempt or content, nor does a pair prefer it.
    """
    oracle = world.oracle
    category = {key(record): oracle.category(record) for record in world.scored}
    spoiled = {key(record) for record in world.scored if is_spoiled(world.scored, record, oracle)}
    chosen = {pair.chosen for pair in oracle.candidates if pair.outcome == "exported"}
    assert not spoiled & chosen
    for view, never in (("datasets.sft", {REJECTED, REVIEW}), ("datasets.rag", {REJECTED})):
        shipped = [record for record, (reason,) in by_record(ground, view, "quarantine_reason").items() if not reason]
        assert never.isdisjoint(category[record] for record in shipped), view
        assert not spoiled.intersection(shipped), view


def is_spoiled(records: Sequence[Row], record: Row, oracle: Oracle) -> bool:
    """Return whether a person last rejected the attempt of a record, or law 3 counts its attempt or content as rejected."""
    by_person = [one for one in records if oracle.score(one) == (REJECTED, "human_override")]
    rejected = by_person
    if oracle.score(record) != (ACCEPTED, "human_override"):
        contests = {None, oracle.decision(record).comparison}
        rejected += [one for one in records if oracle.category(one) == REJECTED and oracle.decision(one).decided_in in contests]
    of_attempt = any(one in oracle.attempt(record) for one in rejected)
    return of_attempt or any(one["task_id"] == record["task_id"] and is_same_content(one, record) for one in rejected)


def firsts(reasons: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the first reason of each that has one."""
    return [each[0] for each in reasons if each]


# Law 1: every row has one outcome.


def books_balance(ground: Warehouse, world: World) -> None:
    """At every stage the records in are those accepted, rejected, quarantined and skipped, and the next stage takes in all."""
    book = {row.pop("stage"): row for row in ground.dicts("from receipts.stage_count")}
    assert list(book) == ["collect", "score", "export-rag", "export-sft", "export-preference"]
    for stage, stats in book.items():
        assert stats["records_in"] == sum(stats[stat] for stat in STATS), stage
    records = len(world.scored)
    items = len({(row["source_path"], row["item_number"]) for row in world.records})
    assert book["collect"]["records_in"] == items + len(world.skipped)
    assert book["collect"]["accepted"] == items
    assert [book[stage]["records_in"] for stage in ("score", "export-rag", "export-sft")] == [records] * 3

    reasons = Counter[tuple[str, str]]()
    counted = "select stage, stat, records from receipts.reason_count where reason is not null"
    for stage, stat, number in ground.execute(counted):
        reasons[stage, stat] += number
    set_aside = {(stage, stat): stats[stat] for stage, stats in book.items() for stat in STATS if stat != "accepted"}
    assert reasons == Counter(set_aside), "the reasons do not sum to the stats"

    assert ground.one("select coalesce(sum(records), 0) from receipts.outcome_count") == records


@pytest.mark.slow
@settings(PROFILE, max_examples=25 * SEEDS)
@given(world=worlds())
def test_the_views_say_so_in_many_worlds(ground: Warehouse, world: World) -> None:
    """The same in 25 worlds for each seed."""
    the_views_are_the_specification(ground, world)


# Laws 4 and 6: what the rows depend on.


@settings(PROFILE, max_examples=8)
@given(world=worlds(), data=st.data())
def test_order_does_not_matter(ground: Warehouse, world: World, data: st.DataObject) -> None:
    """The same records in another physical order give the same rows in every view."""
    assert_order_does_not_matter(ground, world, data)


@pytest.mark.slow
@settings(PROFILE, max_examples=5 * SEEDS)
@given(world=worlds(), data=st.data())
def test_order_does_not_matter_in_many_worlds(ground: Warehouse, world: World, data: st.DataObject) -> None:
    """The same in 5 worlds for each seed."""
    assert_order_does_not_matter(ground, world, data)


def assert_order_does_not_matter(ground: Warehouse, world: World, data: st.DataObject) -> None:
    """Assert that every view gives the same rows for the same records in another order."""
    settle(ground, world)
    whole = contents(ground)
    settle(ground, replace(world, records=data.draw(st.permutations(world.records))))
    assert contents(ground) == whole


#: Views that compare texts across tasks: their header names a hash as their key. Views of tasks are given them whole.
BY_CONTENT = {
    "scored.shared_content": "content_hash",
    "scored.shared_turn": "turn_hash",
    "scored.constant_response": "answer_hash",
    "datasets.equal_content": "content_hash",
    "datasets.duplicate": "turn_hash",
}

#: Views that look at all grades, or at all tasks; views of tasks are given them whole.
WHOLE = frozenset({"scored.graded_attempt", "scored.grade", "scored.task_group", "scored.holdout_match"})

PARTS = st.lists(st.integers(0, 3), min_size=len(TASKS), max_size=len(TASKS))


@settings(PROFILE, max_examples=8)
@given(world=worlds(), parts=PARTS)
def test_partitions_by_task_add_up(ground: Warehouse, world: World, parts: list[int]) -> None:
    """However tasks are spread over four partitions, their rows together are those of the whole, in every view of tasks."""
    assert_partitions_add_up(ground, world, parts)


@pytest.mark.slow
@settings(PROFILE, max_examples=5 * SEEDS)
@given(world=worlds(), parts=PARTS)
def test_partitions_by_task_add_up_in_many_worlds(ground: Warehouse, world: World, parts: list[int]) -> None:
    """The same in 5 worlds for each seed."""
    assert_partitions_add_up(ground, world, parts)


def assert_partitions_add_up(ground: Warehouse, world: World, parts: list[int]) -> None:
    """Assert that the rows of four partitions of the tasks, together, are those of the whole."""
    # a grade without a task belongs to none, and what it says is asked of scored.graded_attempt and of its own signals
    world = replace(world, records=[row for row in world.records if row["task_id"] is not None])
    settle(ground, world)
    whole = contents(ground)
    part_of = dict(zip(TASKS, parts, strict=True))
    names = [view.qualified for view in views() if view.qualified not in {*BY_CONTENT, *WHOLE}]
    together: dict[str, list[str]] = {name: [] for name in names}
    for part in range(4):
        put(ground, replace(world, records=[row for row in world.records if part_of[row["task_id"]] == part]))
        for view in views():
            if view.qualified in together:
                hold(ground, view)
                together[view.qualified] += rows_of(ground, view.qualified)
    assert {name: sorted(rows) for name, rows in together.items()} == {name: whole[name] for name in names}


@settings(PROFILE, max_examples=8)
@given(world=worlds())
def test_partitions_by_content_add_up(ground: Warehouse, world: World) -> None:
    """Views that compare texts across tasks can be computed in parts by the hash that is their key."""
    settle(ground, world)
    whole = contents(ground)
    records, scored, equal = (
        pa.table(ground.arrow(f"from {name}")) for name in ("evidence.stored_record", "scored.run", "datasets.equal_content")
    )
    for name, column in BY_CONTENT.items():
        (view,) = (view for view in views() if view.qualified == name)
        together: list[str] = []
        for part in range(4):
            is_of_records = name.startswith("scored.")
            take(ground, "evidence.stored_record", records, column if is_of_records else None, part)
            take(ground, 'held."scored.run"', scored, None if is_of_records else column, part)
            if name == "datasets.duplicate":
                take(ground, 'held."datasets.equal_content"', equal, column, part)
            hold(ground, view)
            together += rows_of(ground, name)
        assert sorted(together) == whole[name], name
        put(ground, world)
        for each in views():
            hold(ground, each)


def take(ground: Warehouse, relation: str, rows: pa.Table, column: str | None, part: int) -> None:
    """Let a table hold one of four parts of rows by the hash of a column; all of them where no column is named."""
    with ground.lent("given", rows):
        ground.execute(f"delete from {relation}")
        where = "true" if column is None else f"hash({column}) % 4 = {part}"
        ground.execute(f"insert into {relation} by name from given where {where}")


# Law 5: a run may materialise.


@settings(PROFILE, max_examples=4)
@given(world=worlds())
def test_holding_changes_nothing(ground: Warehouse, pure: Warehouse, world: World) -> None:
    """Every view, computed whole from the evidence, gives the same rows as over materialised views."""
    assert_holding_changes_nothing(ground, pure, world)


@pytest.mark.slow
@settings(PROFILE, max_examples=2 * SEEDS)
@given(world=worlds())
def test_holding_changes_nothing_in_many_worlds(ground: Warehouse, pure: Warehouse, world: World) -> None:
    """The same in 2 worlds for each seed."""
    assert_holding_changes_nothing(ground, pure, world)


def assert_holding_changes_nothing(ground: Warehouse, pure: Warehouse, world: World) -> None:
    """Assert that views over materialised views equal those over plain ones."""
    settle(ground, world)
    put(pure, world)
    assert contents(ground) == contents(pure)

"""Scoring by example: for given records, the category of each, the rule that decided, and what sets a record aside."""

from collections.abc import Iterator, Mapping, Sequence
from math import nextafter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import insert_records, set_settings

from etl.base.settings import Settings
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

Record = Mapping[str, Any]

ACCEPTED, PARTIAL, REJECTED, REVIEW = "accepted", "partially_accepted", "rejected", "needs_human_review"

BLANKS = [None, "", " ", "\t\r\n\x0b\x0c", "\u00a0", "\u2003\u3000\u2028"]


@pytest.fixture(scope="module")
def opened() -> Iterator[Warehouse]:
    """Give one warehouse for all examples, because making one takes longer than querying it."""
    warehouse = Warehouse.create(Sql.of(Path("/nonexistent")), Settings())
    yield warehouse
    warehouse.close()


@pytest.fixture
def warehouse(opened: Warehouse) -> Warehouse:
    """Give the warehouse without records, with default settings and no manifest."""
    opened.execute("truncate evidence.stored_record")
    opened.execute("truncate policy.known_path")
    set_settings(opened)
    return opened


def scored(warehouse: Warehouse, columns: str = "category, rule") -> list[tuple[Any, ...]]:
    """Return the row of scored.run for each record, in the order in which the records were given."""
    return warehouse.execute(f"select {columns} from scored.run order by item_number")


# One rule at a time.

OVERRIDES = [({"human_override": category}, category, "human_override") for category in (ACCEPTED, PARTIAL, REJECTED, REVIEW)]

WORDS = {
    ACCEPTED: [
        *("accept", "accepted", "approve", "approved", "pass", "passed", "success", "succeeded"),
        *("resolved", "correct", "true", "lgtm"),
    ],
    PARTIAL: ["partial", "partially_accepted", "request_changes", "cycle"],
    REJECTED: ["reject", "rejected", "fail", "failed", "failure", "block", "blocked", "unresolved", "incorrect", "false"],
    REVIEW: ["review", "escalate", "needs_human_review"],
}

VERDICTS = [
    ({"verdict": written}, category, "verdict")
    for category, words in WORDS.items()
    for word in words
    for written in [word, word.upper(), word.title(), f" {word}\t\r\n", f"\u00a0\u2003{word}\u3000\u2028"]
] + [
    ({"verdict": unknown}, REVIEW, "verdict")
    for unknown in ["ship it", "acceptable", "acceptt", "acc ept", "request changes", "accept.", "0", "null"]
]

SCORES = [
    ({"score": score}, category, "score")
    for score, category in [
        (1.0, ACCEPTED),
        (nextafter(0.9, 1), ACCEPTED),
        (0.9, ACCEPTED),
        (nextafter(0.9, 0), PARTIAL),
        (nextafter(0.5, 1), PARTIAL),
        (0.5, PARTIAL),
        (nextafter(0.5, 0), REJECTED),
        (0.0, REJECTED),
        (-0.0, REJECTED),
        (nextafter(0.0, -1), REVIEW),
        (nextafter(1.0, 2), REVIEW),
        (-1.0, REVIEW),
        (95.0, REVIEW),
        (1e308, REVIEW),
    ]
]

FRACTIONS = [
    ({"grounded_fraction": fraction}, category, "grounded_fraction")
    for fraction, category in [
        (1.0, ACCEPTED),
        (0.8, ACCEPTED),
        (nextafter(0.8, 0), PARTIAL),
        (0.5, PARTIAL),
        (nextafter(0.5, 0), REJECTED),
        (0.0, REJECTED),
        (nextafter(0.0, -1), REVIEW),
        (nextafter(1.0, 2), REVIEW),
    ]
]

MARKERS = [
    ({"failure_markers": ["slow"]}, REJECTED, "markers"),
    ({"success_markers": ["fast"]}, ACCEPTED, "markers"),
    ({"success_markers": ["fast", "small"], "failure_markers": []}, ACCEPTED, "markers"),
    ({"success_markers": ["fast"], "failure_markers": ["large", "old"]}, PARTIAL, "markers"),
    ({"success_markers": [], "failure_markers": ["slow"]}, REJECTED, "markers"),
]

NO_SIGNAL = [
    ({}, REVIEW, "no_signal"),
    ({"success_markers": [], "failure_markers": []}, REVIEW, "no_signal"),
    ({"response": None, "latency_ms": 1.0, "cost_usd": 0.0}, REVIEW, "no_signal"),
    *(({"verdict": blank}, REVIEW, "no_signal") for blank in BLANKS),
]


@pytest.mark.parametrize("source_class", ["verdict", "telemetry", "experiment"])
@pytest.mark.parametrize(
    "examples",
    [OVERRIDES, VERDICTS, SCORES, FRACTIONS, MARKERS, NO_SIGNAL],
    ids=["human_override", "verdict", "score", "grounded_fraction", "markers", "no_signal"],
)
def test_each_rule_by_itself(warehouse: Warehouse, examples: Sequence[tuple[Record, str, str]], source_class: str) -> None:
    """A record with one signal has the category of this signal, in every class except extraction."""
    insert_records(warehouse, *({"source_class": source_class} | dict(record) for record, _, _ in examples))
    found = scored(warehouse)
    assert [(record, *row) for (record, _, _), row in zip(examples, found, strict=True)] == examples


# Which rule comes first.

#: One signal per rule, in the order of the rules; neighbours have different categories.
SIGNALS: list[tuple[str, Record, str]] = [
    ("human_override", {"human_override": REJECTED}, REJECTED),
    ("verdict", {"verdict": "accept"}, ACCEPTED),
    ("score", {"score": 0.6}, PARTIAL),
    ("grounded_fraction", {"grounded_fraction": 0.1}, REJECTED),
    ("markers", {"success_markers": ["fast"]}, ACCEPTED),
    ("no_signal", {}, REVIEW),
]


@pytest.mark.parametrize("first", range(len(SIGNALS)), ids=[rule for rule, _, _ in SIGNALS])
def test_the_first_rule_that_applies_decides(warehouse: Warehouse, first: int) -> None:
    """The first signal decides, whatever signals of later rules a record has."""
    record: dict[str, Any] = {}
    for _, signal, _ in SIGNALS[first:]:
        record |= signal
    insert_records(warehouse, record)
    rule, _, category = SIGNALS[first]
    assert scored(warehouse) == [(category, rule)]


@pytest.mark.parametrize(
    ("record", "category", "rule"),
    [
        ({"human_override": REVIEW, "verdict": "accept"}, REVIEW, "human_override"),
        ({"verdict": "no such word", "score": 1.0}, REVIEW, "verdict"),
        ({"verdict": " ", "score": 1.0}, ACCEPTED, "score"),
        ({"score": 7.0, "grounded_fraction": 1.0}, REVIEW, "score"),
        ({"grounded_fraction": 2.0, "success_markers": ["fast"]}, REVIEW, "grounded_fraction"),
        ({"score": 0.0, "success_markers": ["fast"]}, REJECTED, "score"),
    ],
)
def test_a_rule_that_cannot_tell_still_decides(warehouse: Warehouse, record: Record, category: str, rule: str) -> None:
    """An unknown word or a number outside 0..1 is a signal, which no later rule overrules; a blank word is not a signal."""
    insert_records(warehouse, record)
    assert scored(warehouse) == [(category, rule)]


# Settings.


@pytest.mark.parametrize(
    ("settings", "column", "expected"),
    [
        ({"accept_at": 0.7, "partial_at": 0.2}, "score", {0.7: ACCEPTED, 0.69: PARTIAL, 0.2: PARTIAL, 0.19: REJECTED}),
        ({"accept_at": 0.5}, "score", {0.5: ACCEPTED, 0.49: REJECTED}),
        ({"accept_at": 1, "partial_at": 0}, "score", {1.0: ACCEPTED, 0.99: PARTIAL, 0.0: PARTIAL, -0.1: REVIEW}),
        (
            {"grounded_accept_at": 0.95, "grounded_partial_at": 0.6, "accept_at": 0.6},
            "grounded_fraction",
            {0.95: ACCEPTED, 0.94: PARTIAL, 0.6: PARTIAL, 0.59: REJECTED},
        ),
    ],
)
def test_thresholds_are_settings(
    warehouse: Warehouse, settings: Mapping[str, Any], column: str, expected: Mapping[float, str]
) -> None:
    """The bounds of score and grounded_fraction are separate settings, and a bound itself has the better category."""
    set_settings(warehouse, **settings)
    insert_records(warehouse, *({column: number} for number in expected))
    assert scored(warehouse) == [(category, column) for category in expected.values()]


# Reasons.

ALL_SIGNALS: Record = {
    "human_override": REJECTED,
    "verdict": " ACCEPT\n",
    "score": 0.95,
    "grounded_fraction": 0.25,
    "success_markers": ["fast", "small"],
    "failure_markers": ["old"],
}

ALL_REASONS = [
    "human_override: rejected",
    "verdict: accept",
    "score: 0.95",
    "grounded_fraction: 0.25",
    "success: fast",
    "success: small",
    "failure: old",
]


@pytest.mark.parametrize(
    ("record", "reasons"),
    [
        (ALL_SIGNALS, ALL_REASONS),
        ({"source_class": "extraction"} | dict(ALL_SIGNALS), [*ALL_REASONS, "parent: none"]),
        ({"verdict": "LGTM", "score": -7.0}, ["verdict: lgtm", "score: -7.0"]),
        ({"verdict": " \u00a0", "failure_markers": ["old"]}, ["failure: old"]),
        ({}, []),
        ({"source_class": "extraction"}, ["parent: none"]),
    ],
)
def test_reasons_list_all_signals_seen(warehouse: Warehouse, record: Record, reasons: list[str]) -> None:
    """Every signal is listed in the order of the rules, including those that did not decide."""
    insert_records(warehouse, record)
    assert scored(warehouse, "reasons") == [(reasons,)]


# Parents.

EXTRACTED = {"source_class": "extraction", "source": "distilled_facts"}

PARENTS: dict[str, tuple[list[Record], str, str]] = {
    "none": ([], REVIEW, "none"),
    "one": ([{"verdict": "accept"}], ACCEPTED, ACCEPTED),
    "two that agree": ([{"verdict": "reject"}, {"verdict": "fail"}], REJECTED, REJECTED),
    "two that agree by other words": ([{"verdict": "cycle"}, {"score": 0.6}], PARTIAL, PARTIAL),
    "two that disagree": ([{"verdict": "accept"}, {"verdict": "reject"}], REVIEW, "disagree"),
    "three of whom one disagrees": ([{"verdict": "accept"}] * 2 + [{"verdict": "partial"}], REVIEW, "disagree"),
    "two who want a person": ([{"verdict": "review"}, {"verdict": "escalate"}], REVIEW, REVIEW),
    "one who wants a person": ([{"verdict": "accept"}, {"verdict": "review"}], REVIEW, "disagree"),
    "one who said nothing": ([{"verdict": "accept"}, {}], REVIEW, "disagree"),
    "nobody who said anything": ([{}, {}], REVIEW, REVIEW),
    "one overruled by a person": ([{"verdict": "accept", "human_override": REJECTED}], REJECTED, REJECTED),
    "two of whom a person overruled one": (
        [{"verdict": "accept"}, {"verdict": "reject", "human_override": ACCEPTED}],
        ACCEPTED,
        ACCEPTED,
    ),
    "one graded by its score": ([{"score": 0.9}], ACCEPTED, ACCEPTED),
    "one graded by its grounded fraction": ([{"grounded_fraction": 0.1}], REJECTED, REJECTED),
    "one graded by its markers": ([{"success_markers": ["fast"]}], ACCEPTED, ACCEPTED),
    "one that is not eligible": ([{"verdict": "accept", "run_id": None, "response": ""}], ACCEPTED, ACCEPTED),
    "one that is not eligible and disagrees": (
        [{"verdict": "accept"}, {"verdict": "reject", "run_id": " "}],
        REVIEW,
        "disagree",
    ),
    "two that are copies": (
        [{"verdict": "accept", "evidence_id": "e"}, {"verdict": "accept", "evidence_id": "e"}],
        ACCEPTED,
        ACCEPTED,
    ),
    "one of another task": ([{"verdict": "accept", "task_id": "task "}], REVIEW, "none"),
    "one under another prompt and run": ([{"verdict": "accept", "prompt": None, "run_id": "other"}], ACCEPTED, ACCEPTED),
    "one of another source": ([{"verdict": "accept", "source": "scrum_reviews"}], ACCEPTED, ACCEPTED),
    "telemetry and an experiment": (
        [{"verdict": "accept", "source_class": "telemetry"}, {"score": 1.0, "source_class": "experiment"}],
        REVIEW,
        "none",
    ),
    "telemetry that disagrees with a verdict": (
        [{"verdict": "accept"}, {"source_class": "telemetry", "verdict": "reject"}],
        ACCEPTED,
        ACCEPTED,
    ),
    "another extraction": ([{"verdict": "accept", "source_class": "extraction"}], REVIEW, "none"),
}


@pytest.mark.parametrize(("parents", "category", "reason"), PARENTS.values(), ids=PARENTS)
def test_an_extraction_is_as_good_as_its_parents(
    warehouse: Warehouse, parents: Sequence[Record], category: str, reason: str
) -> None:
    """It has the category that all verdict-class records of its task have; otherwise a person must look."""
    insert_records(warehouse, EXTRACTED, *parents)
    assert scored(warehouse, "category, rule, reasons")[0] == (category, "parent", [f"parent: {reason}"])


@pytest.mark.parametrize(
    ("record", "category", "rule"),
    [
        ({"human_override": REJECTED}, REJECTED, "human_override"),
        ({"verdict": "partial"}, PARTIAL, "verdict"),
        ({"verdict": "who knows"}, REVIEW, "verdict"),
        ({"score": 0.1}, REJECTED, "score"),
        ({"grounded_fraction": 0.6}, PARTIAL, "grounded_fraction"),
        ({"failure_markers": ["stuck"]}, ACCEPTED, "parent"),
        ({}, ACCEPTED, "parent"),
    ],
)
def test_parents_come_before_markers_and_after_the_rest(warehouse: Warehouse, record: Record, category: str, rule: str) -> None:
    """An extraction's own override, verdict, score and fraction take precedence over its parents; its markers do not."""
    insert_records(warehouse, EXTRACTED | dict(record), {"verdict": "accept"})
    assert scored(warehouse)[0] == (category, rule)


def test_markers_never_decide_for_an_extraction(warehouse: Warehouse) -> None:
    """Without parents a person must look, whatever the markers say."""
    insert_records(warehouse, EXTRACTED | {"success_markers": ["fast"]}, EXTRACTED | {"failure_markers": ["stuck"]})
    assert scored(warehouse, "category, rule, reasons") == [
        (REVIEW, "parent", ["success: fast", "parent: none"]),
        (REVIEW, "parent", ["failure: stuck", "parent: none"]),
    ]


@pytest.mark.parametrize("source_class", ["verdict", "telemetry", "experiment"])
def test_only_extractions_have_parents(warehouse: Warehouse, source_class: str) -> None:
    """A record of another class without a signal stays without one, whatever other records of its task say."""
    insert_records(warehouse, {"source_class": source_class}, {"source_class": "verdict", "verdict": "accept"})
    assert scored(warehouse, "category, rule, reasons")[0] == (REVIEW, "no_signal", [])


def test_parents_are_verdicts_and_what_a_grade_decided(warehouse: Warehouse) -> None:
    """An extraction has the category that a task's verdicts share; a record that a grade decided is one of them."""
    tasks = {
        "a": [{"verdict": "accept"}, {"score": 1.0}],
        "b": [{"verdict": "accept"}, {"verdict": "reject"}],
        "c": [{}],
        "d": [{"source_class": "telemetry", "verdict": "accept"}],
        "e": [{"source_class": "telemetry"}, {"source_class": "grade", "run_id": None, "verdict": "reject"}],
    }
    for task_id, records in tasks.items():
        insert_records(warehouse, *({"task_id": task_id} | record for record in records))
        insert_records(warehouse, {"task_id": task_id, "source_class": "extraction", "run_id": "own"})
    extracted = "select category, reasons from scored.run where source_class = 'extraction' order by task_id"
    assert warehouse.execute(extracted) == [
        (ACCEPTED, ["parent: accepted"]),
        (REVIEW, ["parent: disagree"]),
        (REVIEW, ["parent: needs_human_review"]),
        (REVIEW, ["parent: none"]),
        (REVIEW, ["parent: none"]),
    ]


def test_grade_says_what_each_rule_would_say(warehouse: Warehouse) -> None:
    """scored.signal has for each record and rule the category that the rule gives, null if it gives none."""
    insert_records(
        warehouse,
        ALL_SIGNALS,
        {"verdict": "hm", "score": 0.5, "failure_markers": ["old"]},
        {"verdict": "", "grounded_fraction": 3.0},
        {},
    )
    rules = "by_verdict, is_verdict_known, by_score, by_grounded_fraction, by_markers"
    assert warehouse.execute(f"select {rules} from scored.signal order by item_number") == [
        (ACCEPTED, True, ACCEPTED, REJECTED, PARTIAL),
        (REVIEW, False, PARTIAL, None, REJECTED),
        (None, None, None, REVIEW, None),
        (None, None, None, None, None),
    ]


def test_every_record_is_scored_once(warehouse: Warehouse) -> None:
    """No record is lost or doubled if others share its task, its id or its line number; each keeps its identity."""
    records = [
        {"task_id": task, "source_class": source_class, "source_path": path, "item_number": 1, "verdict": "accept"}
        for task, source_class, path in [
            ("a", "verdict", "1"),
            ("a", "verdict", "2"),
            ("a", "extraction", "3"),
            ("b", "extraction", "4"),
            ("b", "telemetry", "5"),
        ]
    ]
    insert_records(warehouse, *({"evidence_id": "same", "run_id": "same"} | record for record in records))
    for view in ("scored.signal", "scored.run"):
        keys = warehouse.execute(f"select source_path, item_number, record_number from {view} order by all")
        assert keys == [(str(number), 1, 1) for number in range(1, 6)]
    kept = (
        "source_path, item_number, record_number, item_sha256, evidence_id, source, source_class, run_id, task_id, "
        "created_at, model"
    )
    assert warehouse.execute(f"select {kept} from scored.run order by all") == warehouse.execute(
        f"select {kept} from evidence.record order by all"
    )


# What sets a record aside.

NO_PROVENANCE = {"missing_provenance": "source_path, item_number, record_number or item_sha256"}


def defects(warehouse: Warehouse) -> list[dict[str, str]]:
    """Return the defects of each record in order, with their details."""
    found: dict[int, dict[str, str]] = {
        key: {} for (key,) in warehouse.execute("select record_key from evidence.record order by source_path, item_number")
    }
    for key, defect, detail in warehouse.execute("select record_key, defect, detail from scored.eligibility order by all"):
        assert defect not in found[key], f"{defect} is told twice"
        found[key][defect] = detail
    return list(found.values())


@pytest.mark.parametrize(
    ("column", "defect"),
    [
        ("run_id", {"missing_run_id": "run_id"}),
        ("response", {"empty_answer": "response", "empty_response": "response"}),
        ("prompt", {"empty_prompt": "prompt"}),
    ],
)
def test_a_blank_text_is_a_defect(warehouse: Warehouse, column: str, defect: Record) -> None:
    """A missing or blank run or response sets a record aside; a missing prompt is up to the dataset."""
    insert_records(warehouse, *({column: blank} for blank in BLANKS))
    assert defects(warehouse) == [defect] * len(BLANKS)


def test_provenance_must_be_there(warehouse: Warehouse) -> None:
    """A record without the place or the hash of its line is set aside."""
    insert_records(warehouse, {"source_path": ""}, {"source_path": "\u00a0"}, {"item_sha256": " "})
    assert defects(warehouse) == [NO_PROVENANCE] * 3


@pytest.mark.parametrize(
    "record", [{}, {"response": "\u00ad."}, {"response": " . "}, *({"human_override": grade} for grade in (REJECTED, REVIEW))]
)
def test_a_category_is_no_defect(warehouse: Warehouse, record: Record) -> None:
    """Any category is eligible, and any text of which something is left when it is normalised counts."""
    insert_records(warehouse, record)
    assert defects(warehouse) == [{}]


def test_defects_are_told_one_by_one(warehouse: Warehouse) -> None:
    """A record can have several defects, and each is listed."""
    insert_records(warehouse, {"run_id": None, "response": None, "prompt": None, "item_sha256": ""})
    assert defects(warehouse) == [
        {
            **NO_PROVENANCE,
            "missing_run_id": "run_id",
            "empty_answer": "response",
            "empty_response": "response",
            "empty_prompt": "prompt",
        }
    ]


KNOWN = ["src/a.py", "src/b c.py", "src/\u00e9.py", "a..b/...", ".env", "-", "ab:c/C:d.py"]

#: Paths that cannot lie inside a repository, listed in the manifest nevertheless.
OUTSIDE = [
    "..",
    "../src/a.py",
    "src/../../a.py",
    "src/..",
    "src\\..\\..\\a.py",
    "/src/a.py",
    "/",
    "\\src\\a.py",
    "\\\\host\\share\\a.py",
    "C:\\src\\a.py",
    "c:/src/a.py",
    "C:a.py",
    "src/a.py\x00",
]

UNKNOWN = ["src/c.py", "SRC/A.PY", "./src/a.py", "src//a.py", "src/a.py ", "src", "src/", "", " ", "a.py", "src/e\u0301.py"]


def give_manifest(warehouse: Warehouse, *paths: str) -> None:
    """Give the warehouse a manifest of known paths, as --known-paths does."""
    set_settings(warehouse, known_paths_sha256="0" * 64)
    warehouse.replace("policy.known_path", pa.table({"path": pa.array(paths, pa.string())}))


@pytest.mark.parametrize(
    ("manifest", "cited", "absent"),
    [
        *((KNOWN, [path], None) for path in KNOWN),
        *((KNOWN + OUTSIDE, [path], "cited_paths[1]") for path in OUTSIDE),
        *((KNOWN, [path], "cited_paths[1]") for path in UNKNOWN),
        (KNOWN, KNOWN, None),
        (KNOWN, ["src/a.py", "src/a.py"], None),
        (KNOWN, ["src/a.py", "x", "src/b c.py", "..", "x"], "cited_paths[2], cited_paths[4], cited_paths[5]"),
        (KNOWN, [f"x{number}" for number in range(11)], ", ".join(f"cited_paths[{n}]" for n in range(1, 12))),
        (KNOWN, [], None),
        (KNOWN, None, None),
        ([], [], None),
        ([], ["src/a.py"], "cited_paths[1]"),
    ],
)
def test_a_cited_path_is_in_the_manifest_or_hallucinated(
    warehouse: Warehouse, manifest: list[str], cited: list[str] | None, absent: str | None
) -> None:
    """A path that the manifest does not list, or that leaves the repository, is named by its place."""
    give_manifest(warehouse, *manifest)
    insert_records(warehouse, {"cited_paths": cited}, {})
    assert defects(warehouse) == [{"absent_path": absent} if absent else {}, {}]


@pytest.mark.parametrize("cited", [["src/a.py"], ["../../etc/passwd"], ["/etc/passwd", "C:\\x"], [""], []])
def test_without_a_manifest_no_path_is_hallucinated(warehouse: Warehouse, cited: list[str]) -> None:
    """Without a manifest no path is known to be absent."""
    insert_records(warehouse, {"cited_paths": cited})
    assert defects(warehouse) == [{}]


def test_all_copies_but_the_first_are_duplicates(warehouse: Warehouse) -> None:
    """Of records with one evidence_id the first by source_path and item_number stays; the others name it."""
    insert_records(
        warehouse,
        *(
            {"evidence_id": evidence_id, "source_path": path, "item_number": line}
            for evidence_id, path, line in [
                ("x", "b.jsonl", 1),
                ("x", "a.jsonl", 10),
                ("x", "a.jsonl", 9),
                ("x", "a/b.jsonl", 2),
                ("y", "a.jsonl", 3),
                ("z", "a.jsonl", 4),
                ("z", "B.jsonl", 5),
            ]
        ),
    )
    found = (
        "select source_path, item_number, detail from scored.eligibility inner join evidence.record using (record_key) "
        "where defect = 'repeated_evidence' order by all"
    )
    assert warehouse.execute(found) == [
        ("a.jsonl", 4, "first at B.jsonl:5"),
        ("a.jsonl", 10, "first at a.jsonl:9"),
        ("a/b.jsonl", 2, "first at a.jsonl:9"),
        ("b.jsonl", 1, "first at a.jsonl:9"),
    ]
    assert sum(map(len, defects(warehouse))) == 4


def test_equal_texts_of_other_lines_are_no_duplicates(warehouse: Warehouse) -> None:
    """Only the evidence_id identifies a copy."""
    insert_records(warehouse, {"response": "same", "run_id": "same"}, {"response": "same", "run_id": "same"})
    assert defects(warehouse) == [{}, {}]

"""The sources that ship: for each one a line, the record that it becomes, and what makes it skipped.

All lines are collected in one go; each example checks the outcome of its own line.
"""

import gzip
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import SHARED_DATA

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Run
from etl.ingest.collect import collect
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

ABSENT = object()


def raw(text: str) -> str:
    """Return the JSON that a line has in place of a value that Python would not write, such as 1e999."""
    return f"<raw {text}>"


@dataclass(frozen=True)
class Source:
    """A source by example; a field inside another one is written with a dot."""

    line: dict[str, Any]
    record: dict[str, Any]
    required: tuple[str, ...]
    wrong: dict[str, list[Any]]
    may_be_empty: tuple[str, ...] = ()
    file: str = "examples.jsonl"


HUGE = raw("1e999")
NO_TEXT = [5, 1.5, True, [], ["a"], {}, {"a": "b"}]
NO_TEXTS = ["a", "", 5, True, {}, {"a": "b"}, [1], ["a", None], [["a"]], [{}]]
NO_NUMBER = ["0.5", "", "one", True, False, [], [1], {}, HUGE, raw("-1e999"), raw("1" * 400)]
NO_INTEGER = ["5", "", True, [], [5], {}, 1.5, 2**63, -(2**63) - 1, 2**64, raw("1" * 400), HUGE]
NO_CLOCK = [*NO_TEXT, 1767225600, "nonsense"]

WHEN = {"created_at": "2026-01-31T12:00:00Z"}
THEN = {"created_at": datetime(2026, 1, 31, 12, 0, 0)}  # noqa: DTZ001 (the column is UTC and has no zone)

MADE = {"run_id": "run-1", "task_id": "task-1"} | WHEN
MADE_RECORD = {"run_id": "run-1", "task_id": "task-1"} | THEN
MADE_WRONG = {"run_id": NO_TEXT, "task_id": NO_TEXT, "created_at": NO_CLOCK}

DISTILLED = Source(
    line=MADE | {"text": "Retries are bounded.", "cited_paths": ["src/a.py", "src/b.py"]},
    record=MADE_RECORD
    | {"source_class": "extraction", "response": "Retries are bounded.", "cited_paths": ["src/a.py", "src/b.py"]},
    required=("task_id", "created_at"),
    wrong=MADE_WRONG | {"text": NO_TEXT, "cited_paths": NO_TEXTS},
)

SOURCES = {
    "evidence": Source(
        line=MADE
        | {
            "source_class": "experiment",
            "model": "model-a",
            "file": "src/a.py",
            "prompt": "Say \u20ac.\n",
            "response": "\u20ac \U0001f600 \u0000",
            "messages": [{"role": "user", "content": "Say \u20ac."}, {"role": "assistant", "content": "\u20ac"}],
            "tools": [{"type": "function", "function": {"name": "say", "parameters": {}}}],
            "comparison": "judge-1",
            "verdict": "Accept",
            "score": 0.75,
            "grounded_fraction": 1,
            "success_markers": ["tests pass", "no \u00e9diff"],
            "failure_markers": ["slow"],
            "human_override": "partially_accepted",
            "cited_paths": ["src/a.py", "../b.py"],
            "latency_ms": 1250.5,
            "cost_usd": 0,
            "prompt_tokens": 0,
            "completion_tokens": 2**63 - 1,
        },
        record=MADE_RECORD
        | {
            "source_class": "experiment",
            "model": "model-a",
            "file": "src/a.py",
            "prompt": "Say \u20ac.\n",
            "response": "\u20ac \U0001f600 \u0000",
            "messages": [{"role": "user", "content": "Say \u20ac."}, {"role": "assistant", "content": "\u20ac"}],
            "tools": [{"type": "function", "function": {"name": "say", "parameters": {}}}],
            "comparison": "judge-1",
            "verdict": "Accept",
            "score": 0.75,
            "grounded_fraction": 1.0,
            "success_markers": ["tests pass", "no \u00e9diff"],
            "failure_markers": ["slow"],
            "human_override": "partially_accepted",
            "cited_paths": ["src/a.py", "../b.py"],
            "latency_ms": 1250.5,
            "cost_usd": 0.0,
            "prompt_tokens": 0,
            "completion_tokens": 2**63 - 1,
        },
        required=("source_class", "task_id"),
        wrong=MADE_WRONG
        | {
            "source_class": [*NO_TEXT, "review", "Verdict", "verdict "],
            "model": NO_TEXT,
            "file": NO_TEXT,
            "prompt": NO_TEXT,
            "response": NO_TEXT,
            "messages": [5, True, {}, {"role": "user"}, "hello", "null", "[nan]", [5], [{"role": "robot"}]],
            "tools": [5, {}, "hello", [{}]],
            "comparison": NO_TEXT,
            "verdict": NO_TEXT,
            "score": NO_NUMBER,
            "grounded_fraction": NO_NUMBER,
            "success_markers": NO_TEXTS,
            "failure_markers": NO_TEXTS,
            "human_override": [*NO_TEXT, "accept", "Accepted", "accepted "],
            "cited_paths": NO_TEXTS,
            "latency_ms": NO_NUMBER,
            "cost_usd": NO_NUMBER,
            "prompt_tokens": NO_INTEGER,
            "completion_tokens": NO_INTEGER,
        },
    ),
    "outcomes": Source(
        line=MADE
        | {
            "model": "model-a",
            "prompt": "Fix it.",
            "response": "Fixed.",
            "ok_events": 3,
            "error_events": 1,
            "gap_signals": 2,
            "latency_ms": 10,
            "cost_usd": 0.5,
            "prompt_tokens": 7,
            "completion_tokens": 8,
        },
        record=MADE_RECORD
        | {
            "source_class": "telemetry",
            "model": "model-a",
            "prompt": "Fix it.",
            "response": "Fixed.",
            "success_markers": ["ok_events"],
            "failure_markers": ["error_events", "gap_signals"],
            "latency_ms": 10.0,
            "cost_usd": 0.5,
            "prompt_tokens": 7,
            "completion_tokens": 8,
        },
        required=("task_id", "created_at"),
        wrong=MADE_WRONG
        | {
            "model": NO_TEXT,
            "prompt": NO_TEXT,
            "response": NO_TEXT,
            "ok_events": NO_NUMBER,
            "error_events": NO_NUMBER,
            "gap_signals": NO_NUMBER,
            "latency_ms": NO_NUMBER,
            "cost_usd": NO_NUMBER,
            "prompt_tokens": NO_INTEGER,
            "completion_tokens": NO_INTEGER,
        },
    ),
    "scrum_reviews": Source(
        line=MADE
        | {
            "model": "model-a",
            "file": "src/a.py",
            "prompt": "Review it.",
            "review": "It leaks.",
            "verdict": "request_changes",
            "attempts": ["kept", "nowhere"],
            "cited_paths": ["src/a.py"],
        },
        record=MADE_RECORD
        | {
            "source_class": "verdict",
            "model": "model-a",
            "file": "src/a.py",
            "prompt": "Review it.",
            "response": "It leaks.",
            "verdict": "request_changes",
            "cited_paths": ["src/a.py"],
        },
        required=("task_id", "created_at"),
        wrong=MADE_WRONG
        | {
            "model": NO_TEXT,
            "file": NO_TEXT,
            "prompt": NO_TEXT,
            "review": NO_TEXT,
            "verdict": NO_TEXT,
            "cited_paths": NO_TEXTS,
        },
    ),
    "observer_reviews": Source(
        line=MADE
        | {
            "model": "model-a",
            "file": "src/a.py",
            "prompt": "Observe it.",
            "review": "Again.",
            "verdict": "cycle",
            "confidence": 0.5,
        },
        record=MADE_RECORD
        | {
            "source_class": "verdict",
            "model": "model-a",
            "file": "src/a.py",
            "prompt": "Observe it.",
            "response": "Again.",
            "verdict": "cycle",
        },
        required=("task_id", "created_at"),
        wrong=MADE_WRONG | {"model": NO_TEXT, "file": NO_TEXT, "prompt": NO_TEXT, "review": NO_TEXT, "verdict": NO_TEXT},
    ),
    "mode_experiments": Source(
        line=MADE
        | {
            "mode": "careful",
            "model": "model-a",
            "prompt": "Try it.",
            "response": "Tried.",
            "validation_results": {"grounded_fraction": 0.8, "claims": 5},
        },
        record=MADE_RECORD
        | {
            "run_id": "run-1/careful",
            "source_class": "experiment",
            "model": "model-a",
            "prompt": "Try it.",
            "response": "Tried.",
            "grounded_fraction": 0.8,
        },
        required=("task_id", "created_at"),
        wrong=MADE_WRONG
        | {
            "mode": NO_TEXT,
            "model": NO_TEXT,
            "prompt": NO_TEXT,
            "response": NO_TEXT,
            "validation_results.grounded_fraction": NO_NUMBER,
        },
    ),
    "distilled_facts": DISTILLED,
    "distilled_procedures": DISTILLED,
    "distilled_config_hints": DISTILLED,
    "audit_facts": Source(
        line=MADE | {"fact": "It is unused.", "file": "src/a.py"},
        record=MADE_RECORD
        | {"source_class": "extraction", "response": "It is unused.", "file": "src/a.py", "cited_paths": ["src/a.py"]},
        required=("task_id", "created_at"),
        wrong=MADE_WRONG | {"fact": NO_TEXT, "file": NO_TEXT},
    ),
    "observer_escalations": Source(
        line=MADE | {"reason": "no progress", "text": "It went in circles."},
        record=MADE_RECORD
        | {"source_class": "extraction", "response": "It went in circles.", "failure_markers": ["no progress"]},
        required=("task_id", "created_at"),
        wrong=MADE_WRONG | {"reason": NO_TEXT, "text": NO_TEXT},
    ),
    "alpaca_eval": Source(
        line={
            "instruction": "Name a caf\u00e9.",
            "output_1": "No.",
            "generator_1": "baseline",
            "dataset": "helpful_base",
            "output_2": "Flore",
            "generator_2": "model-b",
            "annotator": "judge",
            "preference": 1.75,
        },
        record={
            "source_class": "verdict",
            "run_id": "model-b/judge",
            "task_id": sha256("Name a caf\u00e9.".encode()).hexdigest(),
            "model": "model-b",
            "prompt": "Name a caf\u00e9.",
            "response": "Flore",
            "score": 0.75,
        },
        required=("instruction", "output_2", "generator_2", "annotator"),
        wrong=dict.fromkeys(("instruction", "output_1", "generator_1", "output_2", "generator_2", "annotator"), NO_TEXT),
        may_be_empty=("output_2",),
    ),
    "tau_bench": Source(
        line={
            "task_id": 7,
            "trial": 0,
            "reward": 1.0,
            "info": {"task": {"user_id": "mia", "instruction": "Cancel my flight."}, "cost": None},
            "traj": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Cancelled."},
            ],
        },
        record={
            "source_class": "verdict",
            "run_id": "gpt-4o-airline/7/0",
            "task_id": "airline/7",
            "model": "gpt-4o",
            "prompt": "Hi",
            "response": "Cancelled.",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Cancelled."},
            ],
            "score": 1.0,
        },
        required=("task_id", "trial", "traj"),
        wrong={
            "task_id": [1.5, True, [], [7], {}],
            "trial": [1.5, True, [], [0], {}],
            "traj": [5, True, "a", {}, {"role": "assistant", "content": "a"}],
            "reward": NO_NUMBER,
        },
        file="gpt-4o-airline.jsonl",
    ),
    "verdicts": Source(
        line={
            "run_id": "run-1",
            "task_id": "task-1",
            "verdict": "reject",
            "score": 0.25,
            "human_override": "rejected",
            "comparison": "judge-1",
            "created_at": "2026-01-31T12:00:00Z",
            "note": "It deletes the tests.",
            "by": "mia",
        },
        record={
            "source_class": "grade",
            "run_id": "run-1",
            "task_id": "task-1",
            "verdict": "reject",
            "score": 0.25,
            "human_override": "rejected",
            "comparison": "judge-1",
            "created_at": datetime(2026, 1, 31, 12),  # noqa: DTZ001
        },
        required=(),
        wrong={
            "run_id": NO_TEXT,
            "task_id": NO_TEXT,
            "verdict": NO_TEXT,
            "score": NO_NUMBER,
            "human_override": [*NO_TEXT, "reject"],
            "comparison": NO_TEXT,
            "created_at": NO_CLOCK,
        },
    ),
}


def changed(line: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a line with other values; a double underscore in a name goes into an object, ABSENT removes a field."""
    line = deepcopy(line)
    for path, value in fields.items():
        *outer, name = path.split("__")
        inside = line
        for part in outer:
            inside = inside[part]
        inside[name] = value
        if value is ABSENT:
            del inside[name]
    return line


@dataclass(frozen=True)
class Example:
    """A line and its outcome: the record it becomes (only what is not null or empty), or the reason why it is skipped."""

    name: str
    source: str
    line: dict[str, Any] | str
    fate: dict[str, Any] | str
    file: str | None = None

    @property
    def path(self) -> str:
        """The file that the line is in."""
        return f"{self.source}/{self.file or SOURCES[self.source].file}"

    @property
    def text(self) -> str:
        """The line."""
        if isinstance(self.line, str):
            return self.line
        return re.sub(r'"<raw (.*?)>"', r"\1", json.dumps(self.line, ensure_ascii=False))


def without(record: dict[str, Any], *columns: str) -> dict[str, Any]:
    """Return an expected record without some columns."""
    return {name: value for name, value in record.items() if name not in columns}


def says(value: Any) -> str:
    """Return a short name for a value."""
    text = re.sub(r"<raw (.*?)>", r"\1", json.dumps(value))
    return text if len(text) < 30 else f"{text[:12]}... ({len(text)})"


BLANK = ["", " ", " \t\r\n", "\u00a0\u2003\u2028"]

FULL = [Example("a full line", name, source.line, source.record) for name, source in SOURCES.items()]

MISSING = [
    Example(f"{field} is {says(value) if value is not ABSENT else 'absent'}", name, line, f"missing_{field.split('.')[-1]}")
    for name, source in SOURCES.items()
    for field in source.required
    for value in [ABSENT, None, *([] if field != "task_id" or name == "tau_bench" else BLANK)]
    for line in [changed(source.line, **{field.replace(".", "__"): value})]
]

BAD = [
    Example(f"{field} is {says(value)}", name, line, f"bad_{field.split('.')[-1]}")
    for name, source in SOURCES.items()
    for field, values in source.wrong.items()
    for value in values
    for line in [changed(source.line, **{field.replace(".", "__"): value})]
]


def only_required(source: Source, absent: Any) -> dict[str, Any]:
    """Return a source's line with its required fields; the others are null, or absent."""
    optional = {field.split(".")[0] for field in source.wrong if field not in source.required}
    others = {field: absent for field in optional if field not in {name.split(".")[0] for name in source.required}}
    return changed(source.line, **others)


def of_required(name: str, source: Source) -> dict[str, Any] | str:
    """Return the record of such a line, or why it is skipped."""
    kept = {"source_class", "task_id", *({"created_at"} if "created_at" in source.required else ())}
    if name == "tau_bench":
        return without(source.record, "score")
    if name == "alpaca_eval":
        return source.record
    if name == "verdicts":
        return "missing_task_id"
    return {column: value for column, value in source.record.items() if column in kept}


SPARSE = [
    Example(f"optional fields are {word}", name, only_required(source, value), of_required(name, source))
    for name, source in SOURCES.items()
    for word, value in [("absent", ABSENT), ("null", None)]
]

HOUSE = SOURCES["evidence"]
REVIEW = SOURCES["scrum_reviews"]
OUTCOME = SOURCES["outcomes"]
EXPERIMENT = SOURCES["mode_experiments"]
AUDIT = SOURCES["audit_facts"]
ESCALATION = SOURCES["observer_escalations"]
ALPACA = SOURCES["alpaca_eval"]
TAU = SOURCES["tau_bench"]

#: A missing field is reported before a bad one.
FIRST = [
    Example(
        "a field missing, another bad", "evidence", changed(HOUSE.line, run_id=5, source_class=None), "missing_source_class"
    ),
    Example("created_at missing", "outcomes", changed(OUTCOME.line, task_id=5, created_at=None), "missing_created_at"),
    Example("the last one missing", "alpaca_eval", changed(ALPACA.line, instruction=5, annotator=None), "missing_annotator"),
]

#: Fields that become no column may hold anything.
NOT_KEPT = [
    *(
        Example(f"{field} is {says(value)}", name, changed(SOURCES[name].line, **{field: value}), SOURCES[name].record)
        for name, field in [
            ("scrum_reviews", "attempts"),
            ("observer_reviews", "confidence"),
            ("alpaca_eval", "dataset"),
            ("tau_bench", "anything"),
            ("outcomes", "verdict"),
            ("evidence", "evidence_id"),
            ("evidence", "source"),
            ("evidence", "source_path"),
            ("evidence", "item_number"),
            ("evidence", "item_sha256"),
            ("evidence", "problem"),
        ]
        for value in [None, "other", 5, HUGE, [], {"task_id": 5}]
    ),
    Example("TASK_ID is another field", "evidence", HOUSE.line | {"TASK_ID": 5, "Score": "high"}, HOUSE.record),
    Example("TASK_ID is no task_id", "evidence", {"source_class": "verdict", "TASK_ID": "a"}, "missing_task_id"),
    Example(
        "an escaped name is the same name",
        "evidence",
        r'{"source\u005fclass": "verdict", "\u0074ask_id": "\u0061"}',
        {"source_class": "verdict", "task_id": "a"},
    ),
]

#: Values that are neither null nor an error are kept unchanged.
AS_IT_IS = [
    *(
        Example(f"{field} is {says(value)}", "evidence", HOUSE.line | {field: value}, HOUSE.record | {field: kept})
        for field, value, kept in [
            ("score", 7, 7.0),
            ("score", -0.5, -0.5),
            ("score", raw("9e-1"), 0.9),
            ("score", raw("0.50000000000000000000000000001"), 0.5),
            ("cost_usd", raw("1E+3"), 1000.0),
            ("latency_ms", 2**64, float(2**64)),
            ("prompt_tokens", -(2**63), -(2**63)),
            ("verdict", " \u00a0Accept\n", " \u00a0Accept\n"),
            ("verdict", "no such word", "no such word"),
            ("task_id", " a ", " a "),
            ("cited_paths", ["", "a", "a"], ["", "a", "a"]),
            ("response", "null", "null"),
            ("response", '{"a": 1}', '{"a": 1}'),
            ("response", '"', '"'),
            ("comparison", " ", " "),
            *(("source_class", word, word) for word in ("verdict", "telemetry", "experiment", "extraction", "grade")),
            *(("human_override", word, word) for word in ("accepted", "partially_accepted", "rejected", "needs_human_review")),
        ]
    ),
    Example("no cited paths", "evidence", changed(HOUSE.line, cited_paths=[]), without(HOUSE.record, "cited_paths")),
    Example("no messages", "evidence", changed(HOUSE.line, messages=[]), without(HOUSE.record, "messages")),
    Example("messages as text", "evidence", changed(HOUSE.line, messages=json.dumps(HOUSE.line["messages"])), HOUSE.record),
    Example("no tools", "evidence", changed(HOUSE.line, tools=" []"), without(HOUSE.record, "tools")),
    Example(
        "texts of the conversation",
        "evidence",
        changed(HOUSE.line, prompt=None, response=None),
        HOUSE.record | {"prompt": "Say \u20ac.", "response": "\u20ac"},
    ),
    Example(
        "a grade of a run",
        "evidence",
        {"source_class": "grade", "run_id": "run-1", "task_id": " ", "verdict": "pass"},
        {"source_class": "grade", "run_id": "run-1", "verdict": "pass"},
    ),
]

GRADES = [
    Example(f"a grade is {json.dumps(fields)}", "verdicts", fields, fate)
    for fields, fate in [
        ({"run_id": "r", "verdict": "pass"}, {"source_class": "grade", "run_id": "r", "verdict": "pass"}),
        ({"task_id": "t", "score": 0}, {"source_class": "grade", "task_id": "t", "score": 0.0}),
        ({"run_id": "", "task_id": "t", "score": 1}, {"source_class": "grade", "task_id": "t", "score": 1.0}),
        ({"run_id": " ", "task_id": "", "score": 1}, "missing_task_id"),
        ({"verdict": "pass"}, "missing_task_id"),
        ({"run_id": "r"}, "missing_verdict"),
        ({"run_id": "r", "verdict": " ", "note": "fine"}, "missing_verdict"),
        ({"run_id": "r", "human_override": "fine"}, "bad_human_override"),
    ]
]

CLOCK = [
    Example(f"created_at is {text}", "evidence", HOUSE.line | {"created_at": text}, fate)
    for text, fate in [
        *(
            (text, HOUSE.record | {"created_at": datetime.fromisoformat(utc)})
            for text, utc in [
                ("2026-01-31T12:00:00Z", "2026-01-31 12:00"),
                ("2026-01-31t12:00:00z", "2026-01-31 12:00"),
                ("2026-01-31 12:00:00Z", "2026-01-31 12:00"),
                ("2026-01-31T12:00:00", "2026-01-31 12:00"),
                ("2026-01-31 12:00:00", "2026-01-31 12:00"),
                ("2026-01-31T12:00:00+00:00", "2026-01-31 12:00"),
                ("2026-01-31T12:00:00+02:00", "2026-01-31 10:00"),
                ("2026-01-31T12:00:00-05:30", "2026-01-31 17:30"),
                ("2026-01-31T12:00:00+14:00", "2026-01-30 22:00"),
                ("2026-12-31T23:30:00-01:00", "2027-01-01 00:30"),
                ("2026-01-31T12:00:00.5Z", "2026-01-31 12:00:00.500"),
                ("2026-01-31T12:00:00.123456+02:00", "2026-01-31 10:00:00.123456"),
                # Digits beyond the sixth are cut, not rounded.
                ("2026-01-31T12:00:00.1234569Z", "2026-01-31 12:00:00.123456"),
                ("2026-01-31 12:00:59.99999999999999", "2026-01-31 12:00:59.999999"),
                ("2026-01-31 23:59", "2026-01-31 23:59"),
                ("2024-02-29T00:00:00Z", "2024-02-29 00:00"),
                ("1969-12-31T23:59:59Z", "1969-12-31 23:59:59"),
                ("0001-01-01T00:00:00Z", "0001-01-01 00:00"),
                ("9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999"),
                # A summer hour that some zones skip, and one that they have twice: UTC has each once.
                ("2026-03-29T02:30:00", "2026-03-29 02:30"),
                ("2026-10-25T02:30:00", "2026-10-25 02:30"),
            ]
        ),
        *(
            (text, "bad_created_at")
            for text in [
                "nonsense",
                "infinity",
                "-infinity",
                "epoch",
                "now",
                "today",
                "2026-01-31T12:00:00 Europe/Berlin",
                "2026-01-31 12:00:00 America/New_York",
                "2026-01-31T12:00:00 UTC",
                "2026-01-31T12:00:00 CET",
                "2026-02-30T12:00:00Z",
                "2025-02-29T12:00:00Z",
                "2026-13-01T12:00:00Z",
                "2026-01-31T24:00:00Z",
                "2026-01-31 24:00",
                "2026-01-31T25:00:00Z",
                "2026-01-31T12:00:60Z",
                "2026-01-31T12:00:5912Z",
                "2026-01-31T12:00:00.Z",
                "2026-01-31T12:60:00Z",
                "2026-01-31T12:00:61Z",
                "2026-01-31T12:00:00+25:00",
                "2026-01-31T12:00:00+02:75",
                "2026-01-31T12:00:00+",
                "2026-01-31T12:00:00Z+02:00",
                "2026-01-31T12:00:00ZZ",
                "2026-01-31T12:00:00Z or so",
                "31.01.2026 12:00",
                "01/31/2026 12:00:00",
                "1767225600.5",
                "2026-01-31 (BC) 12:00:00",
                "10000-01-01T00:00:00Z",
                "290000-01-01T00:00:00Z",
                "0001-01-01T00:00:00+01:00",
                "9999-12-31T23:59:59-01:00",
            ]
        ),
    ]
]

MARKERS = [
    *(
        Example(
            f"{ok} ok_events, {error} error_events, {gap} gap_signals",
            "outcomes",
            changed(OUTCOME.line, ok_events=ok, error_events=error, gap_signals=gap),
            without(OUTCOME.record, "success_markers", "failure_markers") | markers,
        )
        for ok, error, gap, markers in [
            (1, 0, 0, {"success_markers": ["ok_events"]}),
            (0, 1, 0, {"failure_markers": ["error_events"]}),
            (0, 0, 1, {"failure_markers": ["gap_signals"]}),
            (0, 0, 0, {}),
            (-1, -1, -1, {}),
            (None, None, None, {}),
            (0.5, None, 2**70, {"success_markers": ["ok_events"], "failure_markers": ["gap_signals"]}),
        ]
    ),
    *(
        Example(
            f"the reason is {says(reason)}",
            "observer_escalations",
            changed(ESCALATION.line, reason=reason),
            without(ESCALATION.record, "failure_markers"),
        )
        for reason in [None, *BLANK]
    ),
]

NESTED = [
    Example(
        f"validation_results is {says(value)}",
        "mode_experiments",
        changed(EXPERIMENT.line, validation_results=value),
        without(EXPERIMENT.record, "grounded_fraction"),
    )
    for value in [{}, {"grounded_fraction": None}, {"Grounded_Fraction": 1}, {"claims": HUGE}]
]

PREFERENCES = [
    Example(
        f"the preference is {says(preference) if preference is not ABSENT else 'absent'}",
        "alpaca_eval",
        changed(ALPACA.line, preference=preference),
        ALPACA.record | {"score": score} if score is not None else without(ALPACA.record, "score"),
    )
    for preference, score in [
        (1, 0.0),
        (1.0, 0.0),
        (2, 1.0),
        (1.5, 0.5),
        (raw("15e-1"), 0.5),
        (0, None),
        (0.999, None),
        (2.001, None),
        (-1.5, None),
        (None, None),
        (ABSENT, None),
        ("1.5", None),
        ("", None),
        (True, None),
        ([1.5], None),
        ({}, None),
        (HUGE, None),
    ]
] + [
    Example("output_2 is empty", "alpaca_eval", changed(ALPACA.line, output_2=""), without(ALPACA.record, "response")),
    Example("output_2 is blank", "alpaca_eval", changed(ALPACA.line, output_2=" "), ALPACA.record | {"response": " "}),
]


def trajectory(*traj: Any) -> dict[str, Any]:
    """Return a tau-bench line with another conversation."""
    return changed(TAU.line, traj=list(traj))


SAID = {"role": "assistant", "content": "Said."}
HI = {"role": "user", "content": "Hi"}
EMPTY = {"role": "assistant", "content": ""}
#: Trajectories, and what they are as prompt, response and messages.
TALKS = [
    ("the last message is the user's", [HI, SAID, {"role": "user", "content": "Thanks"}], "Hi", "Said.", ...),
    ("the last message lacks content", [HI, SAID, {"role": "assistant"}], "Hi", "Said.", [HI, SAID, EMPTY]),
    ("the last content is empty", [HI, SAID, EMPTY], "Hi", "Said.", ...),
    ("a tool spoke last", [HI, SAID, {"role": "tool", "content": "42"}], "Hi", "Said.", ...),
    ("the assistant spoke twice", [HI, SAID, {"role": "assistant", "content": "Again."}], "Hi", "Again.", ...),
    ("the assistant spoke first", [SAID, HI, {"role": "assistant", "content": "Again."}], "Hi", "Again.", ...),
    ("no user", [SAID], None, "Said.", ...),
    ("no assistant", [HI, {"role": "user", "content": "Who?"}], "Who?", None, None),
    ("no content", [HI, {"role": "assistant", "content": None}], "Hi", None, [HI, EMPTY]),
    ("nothing was said", [], None, None, None),
    ("content in lines", [HI, {"role": "assistant", "content": ' "a"\n\u20ac '}], "Hi", ' "a"\n\u20ac ', ...),
]

TRAJECTORIES = [
    *(
        Example(
            name,
            "tau_bench",
            trajectory(*traj),
            without(TAU.record, "prompt", "response", "messages")
            | {
                column: value
                for column, value in (("prompt", prompt), ("response", said), ("messages", traj if normal is ... else normal))
                if value
            },
        )
        for name, traj, prompt, said, normal in TALKS
    ),
    *(
        Example(f"the trajectory is {says(traj)}", "tau_bench", trajectory(*traj), "bad_messages")
        for traj in ([5], ["hello"], [None], [{"content": "Who?"}], [SAID, {"role": "robot"}])
    ),
    *(
        Example(
            f"task_id is {says(task_id)}, trial {says(trial)}",
            "tau_bench",
            changed(TAU.line, task_id=task_id, trial=trial),
            TAU.record | {"task_id": f"airline/{task_id}", "run_id": f"gpt-4o-airline/{task_id}/{trial}"},
        )
        for task_id, trial in [(0, 3), ("0", "3"), ("a/b", 0), (-1, "last"), ("\u00fc", 2**53)]
    ),
    *(
        Example(f"the reward is {says(reward)}", "tau_bench", changed(TAU.line, reward=reward), TAU.record | {"score": score})
        for reward, score in [(0, 0.0), (0.25, 0.25), (1.5, 1.5)]
    ),
    *(
        Example(
            f"the file is {file}",
            "tau_bench",
            TAU.line,
            TAU.record | {"run_id": f"{stem}/7/0", "task_id": f"{domain}/7", "model": model},
            file,
        )
        for file, stem, domain, model in [
            ("sonnet-35-new-retail.jsonl", "sonnet-35-new-retail", "retail", "sonnet-35-new"),
            ("a-b/o1-airline.jsonl", "o1-airline", "airline", "o1"),
            ("gpt-4.1.mini-retail.jsonl.gz", "gpt-4.1.mini-retail", "retail", "gpt-4.1.mini"),
        ]
    ),
]

EXAMPLES = [
    *FULL,
    *SPARSE,
    *MISSING,
    *BAD,
    *FIRST,
    *NOT_KEPT,
    *AS_IT_IS,
    *CLOCK,
    *MARKERS,
    *NESTED,
    *PREFERENCES,
    *GRADES,
    *TRAJECTORIES,
]


def evidence_of(folder: Path) -> Path:
    """Write the lines of all examples, in order, into the files that they belong to. Returns the folder."""
    contents: dict[str, bytes] = {}
    for example in EXAMPLES:
        contents[example.path] = contents.get(example.path, b"") + example.text.encode() + b"\n"
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def collect_into_memory(folder: Path) -> Warehouse:
    """Return a warehouse in memory with the evidence of a folder."""
    sql = Sql.of(Path("/nonexistent"))
    warehouse = Warehouse.create(sql, Settings())
    collect(Run(Project.at(folder, folder), Settings(), sql, warehouse, folder / "exports"))
    return warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Give a warehouse in memory with the lines of all examples."""
    opened = collect_into_memory(evidence_of(tmp_path_factory.mktemp("evidence")))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def fates(warehouse: Warehouse) -> dict[str, dict[str, Any] | str]:
    """Return the outcome of each example: its record, or the reason why it was skipped."""
    rows: dict[tuple[str, int], dict[str, Any] | str] = {
        (row["source_path"], row["item_number"]): _said(row)
        for row in warehouse.dicts("from evidence.record order by record_number")
    }
    for path, line, reason in warehouse.execute("select source_path, item_number, reason from evidence.skipped"):
        assert (path, line) not in rows
        rows[path, line] = reason
    lines: dict[str, int] = {}
    found = {}
    for example in EXAMPLES:
        lines[example.path] = lines.get(example.path, 0) + 1
        found[identity(example)] = rows[example.path, lines[example.path]]
    return found


PROVENANCE = ("evidence_id", "source", "source_path", "item_number", "record_number", "item_sha256", "record_key")
CONTENT = (
    *("prompt_sha256", "prompt_hash", "prompt_length", "response_length", "answer_hash", "answer_length", "turn_hash"),
    *("is_answer_empty", "has_unparsed_call", "content_hash", "tools_sha256", "prompt_end", "answer_end"),
    "text_bytes",
)


def _said(row: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in row.items() if value not in (None, [], "") and name not in PROVENANCE + CONTENT}
    if row["source"] == "alpaca_eval":
        assert said.pop("comparison") == row["item_sha256"]
    return said | {name: json.loads(said[name]) for name in ("messages", "tools") if name in said}


def identity(example: Example) -> str:
    """Return the source and name that identify an example."""
    return f"{example.source}: {example.name}"


@pytest.mark.parametrize("example", EXAMPLES, ids=identity)
def test_a_line_has_its_fate(fates: dict[str, dict[str, Any] | str], example: Example) -> None:
    """A line becomes the record expected, every column of it, or is skipped with the reason expected."""
    assert fates[identity(example)] == example.fate


def test_both_outputs_of_an_annotation_are_records(tmp_path: Path) -> None:
    """The outputs of one comparison are two attempts whose scores add up to one; without output_1 there is one record."""
    lines = [ALPACA.line, changed(ALPACA.line, output_1=None), changed(ALPACA.line, preference=3)]
    file = tmp_path / "alpaca_eval.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    columns = "item_number, record_number, run_id, response, score"
    found = collect_into_memory(tmp_path).execute(f"select {columns} from evidence.record order by all")
    assert found == [
        (1, 1, "baseline/judge", "No.", 0.25),
        (1, 2, "model-b/judge", "Flore", 0.75),
        (2, 2, "model-b/judge", "Flore", 0.75),
        (3, 1, "baseline/judge", "No.", None),
        (3, 2, "model-b/judge", "Flore", None),
    ]


def test_no_example_hides_another() -> None:
    """Each example has its own name."""
    assert len({identity(example) for example in EXAMPLES}) == len(EXAMPLES)


def test_every_source_that_ships_has_examples() -> None:
    """The sources that ship are those of these examples; a session is no single line, test_source_views.py has one."""
    assert Sql.of(Path("/nonexistent")).sources == SOURCES.keys() | {"sessions"}


def test_provenance_is_the_line_s_own(warehouse: Warehouse) -> None:
    """Source, path, number and hash come from the place of the line, whatever the line itself says."""
    numbers: dict[str, int] = {}
    expected = {}
    for example in EXAMPLES:
        numbers[example.path] = numbers.get(example.path, 0) + 1
        digest = sha256(example.text.encode()).hexdigest()
        expected[example.path, numbers[example.path]] = (example.source, digest)
    query = "select source_path, item_number, source, item_sha256 from evidence."
    rows = [*warehouse.execute(f"{query}record"), *warehouse.execute(f"{query}skipped")]  # some are of one item
    assert {(path, number): facts for path, number, *facts in rows} == {key: [*facts] for key, facts in expected.items()}


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"the real evidence in {SHARED_DATA} is not here")
def test_real_evidence_loads_without_loss() -> None:
    """The published AlpacaEval annotations and tau-bench trajectories become records, every line of them."""
    warehouse = collect_into_memory(SHARED_DATA)
    assert warehouse.execute("select reason, count(*) from evidence.skipped group by reason") == []
    counts = "count(*), count(distinct task_id), count(distinct run_id)"
    assert warehouse.execute(f"select source, {counts} from evidence.record group by source order by source") == [
        ("alpaca_eval", 19314, 805, 15),
        ("tau_bench", 200, 50, 200),
    ]
    warehouse.close()


def test_prompts_are_the_same_however_they_are_given(tmp_path: Path) -> None:
    """A prompt, a conversation in which no assistant speaks, and one of that prompt and an answer have the prompt in common."""
    file = tmp_path / "evidence.jsonl"
    system = {"role": "system", "content": "Be kind."}
    lines = [
        changed(HOUSE.line, messages=ABSENT, prompt="Hi", response="Said."),
        changed(HOUSE.line, messages=[HI], prompt=ABSENT, response="Said."),
        changed(HOUSE.line, messages=[system, HI], prompt=ABSENT, response="Said."),
        changed(HOUSE.line, messages=[HI, SAID], prompt=ABSENT, response=ABSENT),
        changed(HOUSE.line, messages=[system, HI, SAID], prompt=ABSENT, response=ABSENT),
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    shared = "list(item_number order by item_number) over (partition by {}) as alike"
    columns = ", ".join(map(shared.format, ("prompt_sha256", "turn_hash", "content_hash", "answer_hash")))
    rows = collect_into_memory(tmp_path).execute(f"select item_number, {columns} from evidence.record order by all")
    alike = {number: [set(numbers) for numbers in by_column] for number, *by_column in rows}
    assert [alike[number] for number in (1, 3, 4, 5)] == [
        [{1, 2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}],
        [{1, 2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}],
        [{1, 2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}],
        [{5}, {1, 2, 3, 4, 5}, {5}, {1, 2, 3, 4, 5}],
    ]


#: Arguments of a call, each line those that are compared as equal.
ARGUMENTS = [
    [
        '{"a": "b c"}',
        '{"a": "b  c"}',
        '{"a":" b c"}',
        '{"a": "b c "}',
        r'{"a": "b\nc"}',
        '{"a": "b\u200b c"}',
        r'{"a": "b\u0020c"}',
    ],
    ['{"a": "\u00e9"}', '{"a": "e\u0301"}', r'{"a": "\u00e9"}'],
    ['{"a": "b", "c": ["d", {"e": "f"}]}', r'{"a": " b", "c": ["d ", {"e": "\u200bf"}]}'],
    ['{"c": ["d", {"e": "f"}], "a": "b"}'],
    ['{"a ": "b"}'],
    ['{"a  ": "b"}'],
    ['{"a": 1}'],
    ['{"a": "1"}'],
    [r'{"a": "\"}:[1,2"}', r'{"a": "\"}:[1,2 "}'],
    [r'{"a": "\\"}', r'{"a": " \\ "}'],
]


def test_arguments_are_compared_with_their_strings_normalised(tmp_path: Path) -> None:
    """White space at the ends, repeated or escaped, characters that nobody sees and other forms of letters change nothing."""
    flat = [arguments for alike in ARGUMENTS for arguments in alike]
    calls = [{"function": {"name": "f", "arguments": arguments}} for arguments in flat]
    lines = [changed(HOUSE.line, messages=[HI, {"role": "assistant", "tool_calls": [call]}]) for call in calls]
    (tmp_path / "evidence.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = collect_into_memory(tmp_path).execute("select item_number, content_hash from evidence.record order by all")
    hashes = dict(found)
    numbers = iter(range(1, len(flat) + 1))
    by_class = [{hashes[next(numbers)] for _ in alike} for alike in ARGUMENTS]
    assert [len(alike) for alike in by_class] == [1] * len(ARGUMENTS)
    assert len(set.union(*by_class)) == len(ARGUMENTS)


def test_the_id_of_a_record_covers_its_number_and_its_parts(warehouse: Warehouse) -> None:
    """An item's second record has an id of its own; the item's hash and those of its other parts count, in order, each once."""
    digests = [sha256(str(number).encode()).hexdigest() for number in (1, 2, 3)]
    for number, digest in enumerate(digests, start=1):
        warehouse.execute("insert into raw.item values ('builds', 'b.jsonl', ?, ?, null, null, '{}')", [number, digest])
    records: list[tuple[int, int | None, list[int] | None, str]] = [
        (1, None, None, digests[0]),
        (1, 2, None, f"{digests[0]}\x1f2"),
        (1, 3, [3, 2, 3], sha256("\x1f".join(digests).encode()).hexdigest() + "\x1f3"),
        (2, None, [2], sha256(digests[1].encode()).hexdigest()),
        (3, None, [1], sha256("\x1f".join([digests[2], digests[0]]).encode()).hexdigest()),
    ]
    for number, record_number, parts, _ in records:
        places = [{"source_path": "b.jsonl", "item_number": part} for part in parts] if parts else None
        item = {"source": "builds", "source_path": "b.jsonl", "item_number": number, "item_sha256": digests[number - 1]}
        row: dict[str, Any] = item | {"record_number": record_number, "parts": places}
        warehouse.insert("raw.mapped", pa.Table.from_pylist([row | {"source_class": "telemetry", "task_id": "task"}]))
    found = warehouse.execute("select evidence_id from evidence.incoming order by item_number, record_number")
    assert found == [(sha256(f"builds\x1f\x1ftask\x1f{content}".encode()).hexdigest(),) for *_, content in records]

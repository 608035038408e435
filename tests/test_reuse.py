"""Reuse is honest: whatever was edited in between, a run publishes what a fresh root would, and does what the plan said.

``pytest -m slow`` tries 100 random sequences of edits and runs; otherwise there are four.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest
import verifier
from conftest import Result, etl, evidence_line, write_evidence
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from etl.pipeline import STAGES
from etl.views import Sql

STAGE_NAMES = [stage.name for stage in STAGES]
EXPORTS = STAGE_NAMES[2:]
REPORTS = "reports/distillation"

#: Lines that each setting below makes a difference for, and lines that are skipped or blank.
LINES = [
    json.dumps(evidence_line("a", run_id="1", verdict="accept", cited_paths=["src/one.py"])),
    json.dumps(evidence_line("a", run_id="2", verdict="reject", response="Worse.")),
    json.dumps(evidence_line("a", run_id="3", verdict="reject", response="Worse still.")),
    json.dumps(evidence_line("b", run_id="4", verdict="partial")),
    json.dumps(evidence_line("b", run_id="5", verdict="escalate", response="Who knows?")),
    json.dumps(evidence_line("c", run_id="6", score=0.8)),
    json.dumps(evidence_line("c", run_id="7", score=0.1, response="No.")),
    json.dumps(evidence_line("d", run_id="8", verdict="accept", cited_paths=["src/two.py"])),
    "not json",
    '{"task_id": "x"}',
    "",
]
START = {"evidence.jsonl": LINES[:7], "evidence/more.jsonl": LINES[7:8]}
FILES = [*START, "evidence/other.jsonl"]
MANIFESTS = {"one.txt": "src/one.py\n", "both.txt": "src/one.py\nsrc/two.py\n"}
FLAGS = {
    "--include-partial": [None, ""],
    "--include-review": [None, ""],
    "--set=accept_at": [None, "0.7"],
    "--set=max_pairs_per_task": [None, "1"],
    "--known-paths": [None, *MANIFESTS],
}


def exports(root: Path) -> dict[str, bytes]:
    """Return what is published in exports/, by its path."""
    found = sorted((root / "exports").rglob("*"))
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in found if file.is_file()}


def newest(root: Path) -> dict[str, dict[str, Any]]:
    """Return the documents of the newest run by name."""
    run_id = json.loads((root / REPORTS / "head").read_bytes())["run_id"]
    return documents(root, run_id)


def documents(root: Path, run_id: str) -> dict[str, dict[str, Any]]:
    """Return the documents of a run by name."""
    return {file.stem: json.loads(file.read_bytes()) for file in (root / REPORTS / run_id).glob("*.json")}


def write_to_warehouse(root: Path) -> None:
    """Do what somebody does who opens the published warehouse for writing."""
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb")) as warehouse:
        warehouse.execute("create or replace table mine as select 1 as one")


class Root(RuleBasedStateMachine):
    """A root, the edits that somebody may make there, and runs; what each run leaves is held against a fresh root."""

    template: ClassVar[Path]
    scratch: ClassVar[Path]
    fresh: ClassVar[dict[str, tuple[dict[str, bytes], str]]]
    count: ClassVar[int]
    compared: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        type(self).count += 1
        self.root = Path(shutil.copytree(self.template, self.scratch / f"root-{self.count}"))
        self.evidence = {name: list(lines) for name, lines in START.items()}
        self.flags: dict[str, str | None] = dict.fromkeys(FLAGS)
        self.is_edited = False

    def teardown(self) -> None:
        """End each sequence with a run, unless it just had one."""
        if self.is_edited:
            self.run_stages(STAGE_NAMES, force=False)
        shutil.rmtree(self.root)

    @rule(name=st.sampled_from(FILES), line=st.sampled_from(LINES))
    def append(self, name: str, line: str) -> None:
        """Append a line to a file, which may be a new one."""
        self.write(name, [*self.evidence.get(name, []), line])

    @rule(name=st.sampled_from(FILES), at=st.integers(0, 9), line=st.sampled_from(LINES))
    def rewrite(self, name: str, at: int, line: str) -> None:
        """Put another line in the place of one."""
        if lines := list(self.evidence.get(name, [])):
            lines[at % len(lines)] = line
            self.write(name, lines)

    @rule(name=st.sampled_from(FILES))
    def delete(self, name: str) -> None:
        """Delete a file, but not the last one."""
        if name in self.evidence and len(self.evidence) > 1:
            del self.evidence[name]
            (self.root / "evidence" / name).unlink()
            self.is_edited = True

    @rule(flag=st.sampled_from(list(FLAGS)), data=st.data())
    def set_flag(self, flag: str, data: st.DataObject) -> None:
        """Run with another value of a setting from now on."""
        value = data.draw(st.sampled_from(FLAGS[flag]))
        self.is_edited |= value != self.flags[flag]
        self.flags[flag] = value

    @rule(at=st.integers(0, 11), kind=st.sampled_from(["delete", "append", "edit", "empty"]))
    def spoil_export(self, at: int, kind: str) -> None:
        """Change or delete a published file."""
        files = sorted(file for file in (self.root / "exports").rglob("*") if file.is_file())
        file = files[at % len(files)]
        content = file.read_bytes()
        if kind == "delete":
            file.unlink()
        else:
            edited = {"append": content + b"\n", "edit": content[:-1] + b"?", "empty": b""}
            file.write_bytes(edited[kind])
        self.is_edited = True

    @rule(kind=st.sampled_from(["write", "delete"]))
    def touch_warehouse(self, kind: str) -> None:
        """Write to the published warehouse, or delete it."""
        warehouse = self.root / "warehouse" / "etl.duckdb"
        if kind == "delete":
            warehouse.unlink(missing_ok=True)
        elif warehouse.is_file():
            write_to_warehouse(self.root)
        self.is_edited = True

    @rule(force=st.sampled_from([False, False, True]))
    @precondition(lambda self: self.is_edited)
    def run_all(self, force: bool) -> None:
        """Run every stage that must run, or every one."""
        self.run_stages(STAGE_NAMES, force)

    @rule(stages=st.sets(st.sampled_from(STAGE_NAMES), min_size=1, max_size=4), force=st.booleans())
    def run_some(self, stages: set[str], force: bool) -> None:
        """Run some stages."""
        self.run_stages(sorted(stages), force)

    def write(self, name: str, lines: list[str]) -> None:
        """Write a file of evidence."""
        self.is_edited |= self.evidence.get(name) != lines
        self.evidence[name] = lines
        write_evidence(self.root / "evidence", {name: lines})

    @property
    def options(self) -> list[str]:
        """The flags as the command takes them."""
        given = {flag: value for flag, value in self.flags.items() if value is not None}
        manifest = str(self.template / str(given.pop("--known-paths", "")))
        known_paths = ["--known-paths", manifest] if self.flags["--known-paths"] else []
        return [*(f"{flag}={value}" if value else flag for flag, value in given.items()), *known_paths]

    def command(self, *arguments: str) -> Result:
        """Run a command on this root."""
        return etl(*arguments, "--root", self.root)

    def run_stages(self, stages: list[str], force: bool) -> None:
        """Run stages; all that was said before must be true afterwards."""
        before, head = exports(self.root), (self.root / REPORTS / "head").read_bytes()
        plan = self.command("plan", "--check", "--json", *self.options)
        steps = plan.json["steps"]
        assert plan.exit_code == any(step["action"] == "run" for step in steps)
        stale = {step["stage"] for step in steps if step["action"] == "run"}
        name = ["run-all"] if stages == STAGE_NAMES else ["run", *stages]
        result = self.command(*name, *(["--force"] if force else []), *self.options)
        if stale <= set(stages):
            self.assert_published(result, steps, stale | (set(stages) if force else set()))
            self.is_edited = False
        else:
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
            assert " cannot be carried over: " in result.stderr
            assert (exports(self.root), (self.root / REPORTS / "head").read_bytes()) == (before, head)

    def assert_published(self, result: Result, steps: list[dict[str, Any]], expected: set[str]) -> None:
        """Hold the run's receipts against the plan, and what it published against a fresh root."""
        assert result.exit_code in {0, 1, 3}, result
        done = newest(self.root)
        for step in steps:
            receipt = done[step["stage"]]
            if step["stage"] in expected:
                assert (receipt["status"], receipt["made_by"]) == ("ok", None)
            else:
                assert (receipt["status"], receipt["made_by"]) == ("reused", step["made_by"])
                maker = documents(self.root, step["made_by"])[step["stage"]]
                assert (maker["status"], maker["outputs"]) == ("ok", receipt["outputs"])
        assert self.command("plan", "--check", *self.options).exit_code == 0
        assert self.command("verify", "--all").exit_code == 0
        assert verifier.check(self.root) == []
        assert (exports(self.root), done["summary"]["run_hash"]) == self.fresh_root()
        type(self).compared += 1

    def fresh_root(self) -> tuple[dict[str, bytes], str]:
        """Return what a fresh root publishes of this evidence with these flags: its exports, and the hash over its stages."""
        key = json.dumps([sorted(self.evidence.items()), self.options])
        if key not in self.fresh:
            root = self.scratch / "fresh"
            root.mkdir()
            etl("run-all", "--root", root, "--evidence", self.root / "evidence", *self.options)
            self.fresh[key] = exports(root), newest(root)["summary"]["run_hash"]
            shutil.rmtree(root)
        return self.fresh[key]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with one published run; copies of it are changed."""
    root = tmp_path_factory.mktemp("template")
    write_evidence(root / "evidence", START)
    for name, paths in MANIFESTS.items():
        (root / name).write_text(paths, encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code == 0
    return root


def machine(template: Path, scratch: Path) -> type[Root]:
    """Return the state machine with nothing tried yet."""
    return type("Tried", (Root,), {"template": template, "scratch": scratch, "fresh": {}, "count": 0, "compared": 0})


def try_sequences(tried: type[Root], number: int, examples: int) -> None:
    """Try random sequences of edits and runs, the same ones for the same number."""
    run_state_machine_as_test(
        seed(number)(tried),
        settings=settings(
            max_examples=examples,
            stateful_step_count=6,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_few_sequences_of_edits_and_runs(template: Path, tmp_path: Path) -> None:
    """Four random sequences: after each run all is as in a fresh root, and what the plan said has come true."""
    tried = machine(template, tmp_path)
    try_sequences(tried, 0, examples=4)
    assert tried.compared >= 4
    print(f"{tried.count} sequences, {tried.compared} runs held against {len(tried.fresh)} fresh roots")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 5))
def test_many_sequences_of_edits_and_runs(number: int, template: Path, tmp_path: Path) -> None:
    """Four times 25 random sequences: after each run all is as in a fresh root, and what the plan said has come true."""
    tried = machine(template, tmp_path)
    try_sequences(tried, number, examples=25)
    assert tried.compared >= 25
    print(f"{tried.count} sequences, {tried.compared} runs held against {len(tried.fresh)} fresh roots")

"""Reuse is honest: whatever was edited in between, a run publishes what a fresh root would, and does what the plan said.

``pytest -m slow`` tries ten random sequences of edits and runs for each of 12 seeds; otherwise there are four.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest
import verifier
from conftest import SEEDS, Result, etl, evidence_line, write_evidence
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from etl.pipeline.stages import STAGES
from etl.warehouse.sql_files import Sql

STAGE_NAMES = [stage.name for stage in STAGES]
EXPORTS = STAGE_NAMES[2:]
REPORTS = "reports/distillation"

#: Lines whose result each setting below changes, and lines that are skipped or blank.
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
#: The last of these is never edited: a run over evidence without an item is a mistake.
START = {"evidence.jsonl": LINES[:7], "evidence/more.jsonl": LINES[7:8], "evidence/same.jsonl": LINES[:1]}
FILES = ["evidence.jsonl", "evidence/more.jsonl", "evidence/other.jsonl"]
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
    """A root, the edits that somebody may make there, and runs; the result of each run is compared with a fresh root's."""

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
        """Replace a line by another one."""
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
        """Run stages; everything that the plan said must be true afterwards."""
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
            assert " cannot be reused: " in result.stderr
            assert (exports(self.root), (self.root / REPORTS / "head").read_bytes()) == (before, head)

    def assert_published(self, result: Result, steps: list[dict[str, Any]], expected: set[str]) -> None:
        """Compare the run's receipts with the plan, and the published files with a fresh root."""
        assert result.exit_code in {0, 1, 3}, result
        done = newest(self.root)
        for step in steps:
            receipt = done[step["stage"]]
            if step["stage"] in expected:
                assert (receipt["status"], receipt["made_by"]) == ("ok", None), receipt["validation"]
            else:
                assert (receipt["status"], receipt["made_by"]) == ("reused", step["made_by"])
                maker = documents(self.root, step["made_by"])[step["stage"]]
                assert (maker["status"], maker["outputs"]["hash"]) == ("ok", receipt["outputs"]["hash"])
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
    """Try random sequences of edits and runs; the same number gives the same sequences."""
    run_state_machine_as_test(
        seed(number)(tried),
        settings=settings(
            max_examples=examples,
            stateful_step_count=8,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, SEEDS + 1))
def test_many_sequences_of_edits_and_runs(number: int, template: Path, tmp_path: Path) -> None:
    """Ten random sequences for each seed: after each run everything is as in a fresh root, and the plan was right."""
    tried = machine(template, tmp_path)
    try_sequences(tried, number, examples=10)
    assert tried.compared >= 10
    print(f"{tried.count} sequences, {tried.compared} runs held against {len(tried.fresh)} fresh roots")


# What etl plan says, and why.


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """Give a root with one published run."""
    return Path(shutil.copytree(template, tmp_path / "root"))


def reasons(root: Path, *options: str | Path) -> dict[str, str]:
    """Return the stages that would run, and why."""
    steps = etl("plan", "--root", root, "--json", *options).json["steps"]
    assert [step["stage"] for step in steps] == STAGE_NAMES
    return {step["stage"]: step["reason"] for step in steps if step["action"] == "run"}


def every(reason: str, stages: Iterable[str] = STAGE_NAMES) -> dict[str, str]:
    """Return the same reason for each of these stages."""
    return dict.fromkeys(stages, reason)


def published(root: Path) -> str:
    """Return the id of the published run."""
    return str(etl("plan", "--root", root, "--json").json["published_run_id"])


def test_plan_where_nothing_is_published(tmp_path: Path) -> None:
    """Before the first run, and after a first run that failed: every stage runs, as nothing is published yet."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": LINES})
    assert reasons(tmp_path) == every("nothing is published yet.")
    assert etl("run-all", "--fail-fast", "--root", tmp_path).exit_code == 1
    assert reasons(tmp_path) == every("nothing is published yet.")


def test_plan_as_json(root: Path) -> None:
    """The published run, and for each stage what happens to it, why, and which run made the output that would be reused."""
    made_by = newest(root)["summary"]["run_id"]
    assert etl("plan", "--root", root, "--json").json == {
        "schema_version": 1,
        "published_run_id": made_by,
        "steps": [
            {"stage": stage, "action": "reuse", "reason": f"nothing changed since run {made_by}.", "made_by": made_by}
            for stage in STAGE_NAMES
        ],
    }
    (root / "warehouse" / "etl.duckdb").unlink()
    assert etl("plan", "--root", root, "--json").json == {
        "schema_version": 1,
        "published_run_id": None,
        "steps": [
            {
                "stage": stage,
                "action": "run",
                "reason": "somebody changed the warehouse since it was published.",
                "made_by": None,
            }
            for stage in STAGE_NAMES
        ],
    }


@pytest.mark.slow
def test_plan_for_people(root: Path) -> None:
    """A line per stage, with its reason in full."""
    shown = etl("plan", "--root", root, "--include-partial").stdout.splitlines()
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in shown if line.split() and line.split()[0] in STAGE_NAMES}
    assert list(lines) == STAGE_NAMES
    assert lines["collect"] == f"reuse nothing changed since run {published(root)}."
    assert lines["export-sft"] == "run settings changed: include_partial is True, and was False."


def test_plan_check(root: Path) -> None:
    """--check has exit code 1 if a stage must run, and 0 if none must; without --check the exit code of a plan is 0."""
    assert [etl("plan", *check, "--root", root).exit_code for check in ([], ["--check"])] == [0, 0]
    options = ["--include-review", "--root", root]
    assert [etl("plan", *check, *options).exit_code for check in ([], ["--check"], ["--check", "--json"])] == [0, 1, 1]


def test_plan_writes_nothing(root: Path) -> None:
    """A plan changes no file, and no file's time."""
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    assert reasons(root, "--include-partial")
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == before


@pytest.mark.slow
def test_plan_without_evidence(root: Path) -> None:
    """If the evidence folder is missing, a plan says so in one sentence, with exit code 2."""
    shutil.rmtree(root / "evidence")
    result = etl("plan", "--root", root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"etl: {root / 'evidence'}: there is no such evidence folder")


SETTINGS: dict[str, tuple[list[str], str, list[str]]] = {
    "include_partial": (["--include-partial"], "is True, and was False", ["export-sft"]),
    "include_review": (["--include-review"], "is True, and was False", ["export-rag"]),
    "max_pairs_per_task": (["--set=max_pairs_per_task=1"], "is 1, and was 5", ["export-preference"]),
    "accept_at": (["--set=accept_at=0.7"], "is 0.7, and was 0.9", STAGE_NAMES[1:]),
    "partial_at": (["--set=partial_at=0.7"], "is 0.7, and was 0.5", STAGE_NAMES[1:]),
    "grounded_accept_at": (["--set=grounded_accept_at=0.7"], "is 0.7, and was 0.8", STAGE_NAMES[1:]),
    "max_depth": (["--set=max_depth=3"], "is 3, and was 64", STAGE_NAMES),
    "max_values": (["--set=max_values=9"], "is 9, and was 1000000", STAGE_NAMES),
    "max_line_bytes": (["--set=max_line_bytes=100"], f"is 100, and was {64 << 20}", STAGE_NAMES),
    "follow_links": (["--follow-links"], "is True, and was False", STAGE_NAMES),
    "threads": (["--set=threads=1"], "", []),
    "memory_limit": (["--set=memory_limit=1GB"], "", []),
    "drift_threshold": (["--set=drift_threshold=0.9"], "", []),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_concerns_the_stages_that_it_can_change(root: Path, name: str) -> None:
    """Another value: the stages whose output it can change run, and the reason has both values; the others are reused."""
    options, change, stages = SETTINGS[name]
    assert reasons(root, *options) == every(f"settings changed: {name} {change}.", stages)


@pytest.mark.slow
def test_a_manifest_concerns_the_exports(root: Path) -> None:
    """Known paths decide what is exported: the exports run, collect and score are reused; the same paths change nothing."""
    manifest = root / "one.txt"
    assert list(reasons(root, "--known-paths", manifest)) == EXPORTS
    assert etl("run-all", "--root", root, "--known-paths", manifest).exit_code in {0, 3}
    copy = manifest.rename(root / "copy.txt")
    assert reasons(root, "--known-paths", copy) == {}
    copy.write_text("src/two.py\n", encoding="utf-8")
    assert list(reasons(root, "--known-paths", copy)) == EXPORTS


def test_each_stage_is_told_of_the_settings_that_concern_it(root: Path) -> None:
    """If several settings changed, a stage names those that can change its output, and no others."""
    options = ["--include-partial", "--include-review", "--set=drift_threshold=0.9"]
    assert reasons(root, *options) == {
        "export-rag": "settings changed: include_review is True, and was False.",
        "export-sft": "settings changed: include_partial is True, and was False.",
    }


def test_an_overlay_changes_what_a_setting_concerns(root: Path) -> None:
    """If a view of the root's own names a setting, the setting concerns the stages that read the view, and no others."""
    sft = Sql.of(root).files["sql/6_datasets/sft.sql"]
    own = sft.replace("where decision", "cross join policy.setting as setting\nwhere setting.drift_threshold > 0 and decision")
    (root / "sql" / "6_datasets").mkdir(parents=True)
    (root / "sql" / "6_datasets" / "sft.sql").write_text(own, encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code in {0, 3}
    assert reasons(root) == {}
    changed = "settings changed: drift_threshold is 0.9, and was 0.2."
    assert reasons(root, "--set=drift_threshold=0.9") == {"export-sft": changed}
    changed = "settings changed: include_partial is True, and was False."
    assert reasons(root, "--include-partial") == {"export-sft": changed}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reading", "names"),
    [
        ("cross join policy.setting as s where s.* is not null", STAGE_NAMES[3:4]),
        ("where (select count(*) from policy.setting) = 1", STAGE_NAMES[3:4]),
    ],
)
def test_a_view_that_may_read_any_setting_is_concerned_by_any(root: Path, reading: str, names: list[str]) -> None:
    """A star over policy.setting, or none of its columns, names no setting, so each of them concerns the stage."""
    sft = Sql.of(root).files["sql/6_datasets/sft.sql"]
    own = f"select * from (\n{sft}\n) {reading}\n".replace("s.* is not null", "(select count(*) from (select s.*)) = 1")
    (root / "sql" / "6_datasets").mkdir(parents=True)
    (root / "sql" / "6_datasets" / "sft.sql").write_text(own, encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code in {0, 3}
    changed = "settings changed: drift_threshold is 0.9, and was 0.2."
    assert reasons(root, "--set=drift_threshold=0.9") == dict.fromkeys(names, changed)


def test_what_can_be_another_in_each_run_is_never_reused(root: Path) -> None:
    """A view that reads the receipts, or an unknown relation, makes its stage run each time."""
    sft = Sql.of(root).files["sql/6_datasets/sft.sql"]
    own = sft.rstrip() + " and (select count(*) from receipts.run) >= 0\n"
    (root / "sql" / "6_datasets").mkdir(parents=True)
    (root / "sql" / "6_datasets" / "sft.sql").write_text(own, encoding="utf-8")
    assert etl("run-all", "--root", root).exit_code in {0, 3}
    assert reasons(root) == {"export-sft": "it reads receipts.run, which can differ from run to run."}
    assert etl("run-all", "--root", root).exit_code == 0
    assert newest(root)["export-sft"]["status"] == "ok"


def add_view(root: Path) -> None:
    """Add a view to the root's overlay."""
    overlay = root / "sql" / "9_mine"
    overlay.mkdir(parents=True)
    (overlay / "view.sql").write_text("select 1 as one\n", encoding="utf-8")


@pytest.mark.slow
def test_other_sql_concerns_every_stage(root: Path) -> None:
    """A view added under ROOT/sql is other code: every stage runs; without it again, the published version is reused."""
    add_view(root)
    assert reasons(root) == every(f"the code or the SQL is not that of run {published(root)}.")
    shutil.rmtree(root / "sql")
    assert reasons(root) == {}
    replaced = root / "sql" / "6_datasets" / "sft.sql"
    replaced.parent.mkdir(parents=True)
    replaced.write_text(Sql.of(root / "sql").files["sql/6_datasets/sft.sql"], encoding="utf-8")
    assert reasons(root) == {}, "the same text in the root's own folder is the same code"


@pytest.mark.slow
def test_another_engine_concerns_every_stage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another version of DuckDB every stage runs, and the reason has both versions."""
    was = newest(root)["collect"]["engine"]["duckdb"]
    monkeypatch.setattr("etl.receipts.header.duckdb_version", lambda: "99.0")
    assert reasons(root) == every(f"duckdb is 99.0, and was {was}.")


def grow(file: Path) -> str:
    """Append a line."""
    before = file.stat().st_size
    file.write_bytes(file.read_bytes() + b"\n")
    return f"evidence.jsonl has {before + 1:,} bytes, and had {before:,}."


def rewrite(file: Path) -> str:
    """Change a byte; size and time stay."""
    found = file.stat()
    file.write_bytes(file.read_bytes().replace(b"Worse", b"worse", 1))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    return "evidence.jsonl has changed."


def add(file: Path) -> str:
    """Add a file beside it."""
    file.with_name("new.jsonl").touch()
    return "new.jsonl is new evidence."


def lose(file: Path) -> str:
    """Delete it."""
    file.unlink()
    return "evidence.jsonl is gone from the evidence."


def lock_out(file: Path) -> str:
    """Replace it by a link that leads nowhere."""
    file.unlink()
    file.symlink_to("nowhere.jsonl")
    return "evidence.jsonl has 0 bytes, and had"


@pytest.mark.slow
@pytest.mark.parametrize("edit", [grow, rewrite, add, lose, lock_out])
def test_other_evidence_concerns_every_stage(root: Path, edit: Callable[[Path], str]) -> None:
    """If evidence is new, gone or changed, every stage runs, and the reason names the file."""
    why = edit(root / "evidence" / "evidence.jsonl")
    found = reasons(root)
    assert list(found) == STAGE_NAMES
    assert all(reason.startswith(why) for reason in found.values()), found


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("exports/sft/instruction_response/part-00001.jsonl", "export-sft"),
        ("exports/quarantine/rag/part-00001.parquet", "export-rag"),
    ],
)
def test_a_spoiled_output_concerns_its_stage(root: Path, name: str, stage: str) -> None:
    """If a published file is gone or edited, the stage that wrote it runs and restores it; the others are reused."""
    before, wanted = exports(root), {stage: f"{name} is gone, or somebody changed it."}
    (root / name).unlink()
    assert reasons(root) == wanted
    (root / name).write_bytes(before[name][:-1] + b"?" if before[name] else b"?")
    assert reasons(root) == wanted
    assert etl("run", stage, "--root", root).exit_code in {0, 1, 3}
    statuses = {name: newest(root)[name]["status"] for name in STAGE_NAMES}
    assert statuses == every("reused") | {stage: "ok"}
    assert exports(root) == before


def damage(name: str, content: bytes | None) -> Callable[[Path, Path], str]:
    """Return a way to damage a document of the published run."""

    def change(_: Path, folder: Path) -> str:
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        return f"the receipts of the published run {folder.name} are damaged."

    return change


def edit_receipt(_: Path, folder: Path) -> str:
    """Change a figure in a receipt."""
    content = (folder / "score.json").read_bytes()
    (folder / "score.json").write_bytes(content.replace(b'"duration_ms": ', b'"duration_ms": 1'))
    return f"the receipts of the published run {folder.name} are damaged."


def forge_summary(_: Path, folder: Path) -> str:
    """Change a figure in the summary, which still binds all the other documents."""
    content = (folder / "summary.json").read_bytes()
    (folder / "summary.json").write_bytes(content.replace(b'"total_skipped": 0', b'"total_skipped": 1'))
    return f"the receipts of the published run {folder.name} are damaged."


def write_elsewhere(root: Path, _: Path) -> str:
    """Write to the warehouse."""
    write_to_warehouse(root)
    return "somebody changed the warehouse since it was published."


def leave_a_log(root: Path, _: Path) -> str:
    """Leave a write-ahead log beside the warehouse, like a killed shell."""
    (root / "warehouse" / "etl.duckdb.wal").touch()
    return "somebody changed the warehouse since it was published."


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        damage("collect.json", None), damage("summary.json", b"{}"), damage("drift.json", b"{}"),
        damage("summary.md", None), edit_receipt, forge_summary, write_elsewhere, leave_a_log,
    ],
)  # fmt: skip
def test_a_damaged_version_is_not_reused(root: Path, change: Callable[[Path, Path], str]) -> None:
    """If receipts or the warehouse changed since the published run, every stage must run, and the reason says so."""
    why = change(root, root / REPORTS / published(root))
    assert reasons(root) == every(why)
    result = etl("run", "export-all", "--root", root)
    assert (result.exit_code, result.stderr) == (
        2, f"etl: collect cannot be reused: {why} Run it too, or use etl run-all.\n",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("change", [edit_receipt, leave_a_log])
def test_a_run_heals_a_damaged_version(root: Path, change: Callable[[Path, Path], str]) -> None:
    """The next run makes everything again, with the same bytes as before, and from then on stages are reused."""
    before = exports(root)
    change(root, root / REPORTS / published(root))
    assert etl("run-all", "--root", root).exit_code in {0, 3}
    assert [newest(root)[stage]["status"] for stage in STAGE_NAMES] == ["ok"] * 5
    assert exports(root) == before
    assert reasons(root) == {}


def test_force(root: Path) -> None:
    """--force runs the named stages though nothing changed, and they write the same bytes."""
    before = exports(root)
    assert etl("run", "score", "export-rag", "--force", "--root", root).exit_code == 0
    statuses = [newest(root)[stage]["status"] for stage in STAGE_NAMES]
    assert statuses == ["reused", "ok", "ok", "reused", "reused"]
    assert etl("run-all", "--force", "--root", root).exit_code == 0
    assert [newest(root)[stage]["status"] for stage in STAGE_NAMES] == ["ok"] * 5
    assert exports(root) == before


@pytest.mark.slow
def test_a_reused_stage_names_the_run_that_made_it(root: Path) -> None:
    """After several runs made_by still names, for each stage, the run whose own receipt is ok."""
    first = published(root)
    assert etl("run-all", "--root", root).exit_code == 0
    assert etl("run", "export-sft", "--force", "--root", root).exit_code == 0
    third = published(root)
    assert etl("run-all", "--root", root).exit_code == 0
    made_by = {stage: newest(root)[stage]["made_by"] for stage in STAGE_NAMES}
    assert made_by == every(first) | {"export-sft": third}
    steps = etl("plan", "--root", root, "--json").json["steps"]
    assert {step["stage"]: step["made_by"] for step in steps} == made_by


@pytest.mark.slow
def test_a_failed_run_changes_no_plan(root: Path) -> None:
    """A run that published nothing is not reused: the plan compares with the published run before and after it."""
    with (root / "evidence" / "evidence.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("not json\n")
    before = etl("plan", "--root", root, "--json").json
    assert etl("run-all", "--fail-fast", "--root", root).exit_code == 1
    assert etl("plan", "--root", root, "--json").json == before


@pytest.mark.slow
def test_fail_fast_stops_at_a_reused_collect_that_skipped_lines(root: Path) -> None:
    """Skipped lines stay skipped: a run with --fail-fast that reuses such a collect fails, as a new collect would."""
    with (root / "evidence" / "evidence.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("not json\n")
    assert etl("run-all", "--root", root).exit_code == 1
    before = exports(root)
    result = etl("run-all", "--fail-fast", "--root", root)
    assert (result.exit_code, "--fail-fast stops there" in result.stderr) == (1, True)
    summary = newest(root)["summary"]
    assert [stage["status"] for stage in summary["stages"]] == ["failed", *["not_run"] * 4]
    assert (summary["published"], exports(root)) == (False, before)

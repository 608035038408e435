"""A dataset that is added as docs/how-to/add-a-dataset.md says works like the others in every stage, plan and command."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, evidence_line, jsonl, write_evidence

PAGE = REPOSITORY / "docs" / "how-to" / "add-a-dataset.md"

#: A block of the page: a new file, or lines that go below another line of a file.
BLOCK = re.compile(r"^(New file|In) `([^`\n]+)`(?:, below `([^`\n]+)`)?:\n\n```\w+\n(.*?)```$", re.MULTILINE | re.DOTALL)

#: Two records that ship, one that needs a lower threshold, and one for each reason to refuse that the toy shares with sft.
EVIDENCE = [
    evidence_line("good", verdict="accept"),
    evidence_line("scored", score=0.95),
    evidence_line("close", score=0.8),
    evidence_line("bad", verdict="reject"),
    evidence_line("unsure"),
    evidence_line("mute", verdict="accept", prompt=None),
]


#: Runs each command that a line of stdin names, in one process, and answers with a line.
DRIVER = """
import json, sys
from typer.testing import CliRunner
from etl.cli.app import app

for line in sys.stdin:
    result = CliRunner().invoke(app, json.loads(line))
    print(json.dumps([result.exit_code, result.stdout, result.stderr]), flush=True)
"""


@dataclass(frozen=True)
class Toy:
    """A running copy of the program with one more dataset, and the root that it runs in."""

    program: Path
    root: Path
    process: "subprocess.Popen[str]"

    def etl(self, *arguments: str, exit_code: int = 0) -> Any:
        """Run a command of the copy in the root, and return its JSON output."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([*arguments, "--root", str(self.root), "--json"]) + "\n")
        self.process.stdin.flush()
        code, stdout, stderr = json.loads(self.process.stdout.readline())
        assert code == exit_code, stderr
        return json.loads(stdout)

    def rows(self, stem: str) -> list[dict[str, Any]]:
        """Return the rows of an exported file by line number, without conversations and the id, which names their dataset."""
        left_out = ("id", "messages", "tools")
        rows = [{name: value for name, value in row.items() if name not in left_out} for row in jsonl(self.file(stem))]
        return sorted(rows, key=lambda row: row["provenance"]["item_number"])

    def file(self, stem: str) -> Path:
        """Return an exported JSONL file."""
        return self.root / "exports" / f"{stem}/part-00001.jsonl"


def follow(page: str, program: Path) -> int:
    """Follow the page in a copy of the program; return how many lines it adds to existing files."""
    added = 0
    for kind, name, below, content in BLOCK.findall(page):
        file = program / name
        if kind == "New file":
            assert not file.exists()
            file.write_text(content, encoding="utf-8")
            continue
        lines = file.read_text(encoding="utf-8").split("\n")
        (place,) = (number for number, line in enumerate(lines) if line.strip() == below)
        file.write_text("\n".join([*lines[: place + 1], content.rstrip("\n"), *lines[place + 1 :]]), encoding="utf-8")
        added += content.count("\n")
    return added


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """Give the copy with its dataset, and a root with evidence."""
    program = tmp_path_factory.mktemp("program")
    for folder in ("etl", "sql"):
        shutil.copytree(REPOSITORY / folder, program / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert follow(PAGE.read_text(encoding="utf-8"), program) <= 15
    root = tmp_path_factory.mktemp("root")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    environment = os.environ | {"PYTHONPATH": str(program)}
    command = [sys.executable, "-c", DRIVER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=program, env=environment, **pipes) as process:
        yield Toy(program, root, process)


def test_a_dataset_by_the_recipe(toy: Toy) -> None:
    """It ships and refuses what its policies say; a setting makes it stale; every command knows it."""
    first = toy.etl("run-all")
    assert [stage["name"] for stage in first["stages"]][-1] == "export-toy"
    assert first["datasets"] == {"rag": 4, "sft": 2, "preference": 0, "toy": 2}
    assert toy.rows("toy/answers") == toy.rows("sft/instruction_response")
    reasons = {row["task_id"]: row["quarantine_reasons"] for row in toy.rows("quarantine/toy")}
    assert reasons == {
        "close": ["category_disallowed"],
        "bad": ["unsafe_toy_category"],
        "unsure": ["unsafe_toy_category"],
        "mute": ["empty_prompt"],
    }

    lower = toy.etl("run-all", "--set", "accept_at=0.7")
    assert lower["stages"][-1]["status"] == "ok"
    assert lower["datasets"]["toy"] == lower["datasets"]["sft"] == 3
    toy.etl("verify", "--all")
    toy.etl("verify", lower["run_id"])

    plan = {step["stage"]: step["reason"] for step in toy.etl("plan", "--set", "accept_at=0.7", "--include-partial")["steps"]}
    changed = {stage for stage, reason in plan.items() if "include_partial" in reason}
    assert changed == {"export-sft", "export-toy"}

    change = toy.etl("diff", first["run_id"], lower["run_id"])
    found = {(count["dataset"], count["change"], count["cause"]): count["rows"] for count in change["counts"]}
    assert found["toy", "entered", "setting"] == found["sft", "entered", "setting"] == 1

    drift = {stage["stage"]: stage for stage in toy.etl("drift")["stages"]}
    assert (drift["export-toy"]["delta_accepted"], drift["export-toy"]["deterministic_violation"]) == (1, False)

    (row,) = (row for row in jsonl(toy.file("quarantine/toy")) if row["task_id"] == "mute")
    (record,) = toy.etl("explain", row["id"])["records"]
    decisions = {decision["dataset"]: decision["quarantine_reasons"] for decision in record["datasets"]}
    assert decisions["toy"] == decisions["sft"] == ["empty_prompt"]

    again = toy.etl("run-all", "--set", "accept_at=0.7")
    assert {stage["status"] for stage in again["stages"]} == {"reused"}
    assert all(output["is_equal"] for output in toy.etl("replay", lower["run_id"])["outputs"])


def test_what_its_contract_does_not_know_is_refused(toy: Toy) -> None:
    """Its second layer works alone: an admission that lets rejected records through ends the run."""
    overlay = toy.root / "sql" / "1_policy"
    overlay.mkdir(parents=True)
    admission = (toy.program / "sql" / "1_policy" / "admission.sql").read_text(encoding="utf-8")
    opened = admission.replace("('toy', 'rejected', 'never', null)", "('toy', 'rejected', 'always', null)")
    assert opened != admission
    (overlay / "admission.sql").write_text(opened, encoding="utf-8")
    statuses = {stage["name"]: stage["status"] for stage in toy.etl("run-all", exit_code=1)["stages"]}
    shutil.rmtree(toy.root / "sql")
    assert (statuses["export-sft"], statuses["export-toy"]) == ("ok", "failed")

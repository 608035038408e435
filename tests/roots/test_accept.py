"""The acceptance gate is open on this version, and shut if a promise is broken."""

from pathlib import Path

import pytest
from conftest import etl
from jsonschema import Draft202012Validator
from make_reference import schema_of

from etl.pipeline import selftest
from etl.receipts import measure
from etl.warehouse.connection import Warehouse


def gates() -> dict[str, tuple[bool, str]]:
    """Return whether each gate is open, and what was seen."""
    return {gate.name: (gate.passed, gate.detail) for gate in selftest.accept().gates}


def test_every_gate_is_open() -> None:
    """This version keeps every promise, and the command says so with exit code 0."""
    result = etl("accept", "--json")
    assert (result.exit_code, result.json["fixture_sha256"]) == (0, selftest.FIXTURE_SHA256)
    assert [gate["name"] for gate in result.json["gates"] if not gate["passed"]] == []
    assert len(result.json["gates"]) == 13
    assert [error.message for error in Draft202012Validator(schema_of("acceptance")).iter_errors(result.json)] == []


@pytest.mark.slow
def test_an_edited_fixture_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One more byte in the fixture shuts the fixture's own gate, and the gate that counts."""
    for file in selftest.FIXTURE.rglob("*"):
        if file.is_file():
            copy = tmp_path / file.relative_to(selftest.FIXTURE)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes())
    with (tmp_path / "evidence" / "outcomes.jsonl").open("a", encoding="utf-8") as lines:
        lines.write("{}\n")
    monkeypatch.setattr(selftest, "FIXTURE", tmp_path)
    found = gates()
    assert found["the fixture is the one that was bundled"][0] is False
    assert "'skipped': 4" in found["a run counts what the author of the fixture counted"][1]


@pytest.mark.slow
def test_a_shut_gate_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command names a shut gate and what was seen, and ends with exit code 1."""
    monkeypatch.setattr(selftest, "EXPECTED", selftest.EXPECTED | {"rag": 28})
    result = etl("accept")
    assert result.exit_code == 1
    assert "'rag': 26" in result.stdout


@pytest.mark.slow
def test_unstable_bytes_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """If two runs give different hashes, the gates of stable hashes and of quiet drift are shut."""
    calls = iter(range(10_000))
    read = measure._read

    def unstable(file: Path, counts_lines: bool) -> tuple[str, int, int]:
        sha256, *counts = read(file, counts_lines)
        return (f"{next(calls):064x}" if file.parent.name == "rag" and file.name == "part-00001.jsonl" else sha256, *counts)

    monkeypatch.setattr(measure, "_read", unstable)
    found = gates()
    assert found["hashes are stable"] == (False, "a second run gave other bytes: exports/quarantine/rag/part-00001.jsonl")
    assert found["drift is quiet where nothing changed"][1].startswith("alert: export-rag: deterministic_violation")


@pytest.mark.slow
def test_a_firewall_without_its_other_layers_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """If neither the schemas nor the re-read refuse, the broken admission leaks, and its gate is shut."""
    monkeypatch.setattr("etl.export.export.audit", lambda *_: None)
    monkeypatch.setattr("etl.export.export._validate", lambda *_: None)
    passed, detail = gates()["the firewall holds where its first layer is broken"]
    assert (passed, detail) == (False, "a run whose admission lets rejected records through was published")


@pytest.mark.slow
def test_unbalanced_books_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One record too many in a receipt stops the run, and shuts every gate that builds on it."""
    execute = Warehouse.execute
    monkeypatch.setattr(
        Warehouse,
        "execute",
        lambda self, statement, values=(): [
            (*row[:-1], row[-1] + 1) if "receipts.score_count where" in statement and row[0] == "rejected" else row
            for row in execute(self, statement, values)
        ],
    )
    assert gates()["a run counts what the author of the fixture counted"][1].startswith("The books do not balance")

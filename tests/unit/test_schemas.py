"""JSON Schemas: every document that is written fits its schema in docs/schemas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, SAMPLE, etl, evidence_line, write_evidence
from jsonschema import Draft202012Validator
from make_reference import DIALECT, DOCUMENTS, file_of

from etl.receipts.attestation.signing import make_keys
from etl.receipts.models import Document

FOLDER = REPOSITORY / "docs" / "schemas"


def schema(name: str) -> dict[str, Any]:
    """Return a schema from docs/schemas."""
    found: dict[str, Any] = json.loads((FOLDER / file_of(name)).read_text(encoding="utf-8"))
    return found


def written_by(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each document of a root with the name of its schema."""
    reports = root / "reports" / "distillation"
    yield "head", (reports / "head").read_text(encoding="utf-8")
    for file in sorted(reports.glob("*/*.json")):
        name = {"summary.json": "run-summary", "drift.json": "drift-report"}.get(file.name, "stage-receipt")
        yield name, file.read_text(encoding="utf-8")
    for folder in sorted(path.name for path in reports.iterdir() if path.is_dir()):
        arguments = ("receipts", folder, "--format", "in-toto", "--root", root)
        for line in etl(*arguments, "--sign", root / "key").stdout.splitlines():
            yield "envelope", line


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with a whole run, a partial one, one with skipped lines, and one that failed."""
    root = tmp_path_factory.mktemp("schemas")
    make_keys(root / "key")
    assert etl("run-all", "--root", root, "--evidence", SAMPLE).exit_code == 0
    assert etl("run", "export-sft", "--root", root, "--evidence", SAMPLE).exit_code == 0
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept"), "no json"]})
    assert etl("run-all", "--root", root).exit_code == 1
    assert etl("run-all", "--root", root, "--fail-fast").exit_code == 1
    return root


def test_every_document_fits_its_schema(root: Path) -> None:
    """The documents of whole, partial, imperfect and failed runs -> each fits its schema, and every schema is used."""
    validators = {name: Draft202012Validator(schema(name)) for name in DOCUMENTS}
    met = set()
    for name, text in written_by(root):
        assert [error.message for error in validators[name].iter_errors(json.loads(text))] == []
        met.add(name)
    assert met == {"drift-report", "envelope", "head", "run-summary", "stage-receipt"}
    statuses = {json.loads(text)["status"] for name, text in written_by(root) if name == "stage-receipt"}
    assert statuses == {"ok", "reused", "failed", "not_run"}


def test_every_report_fits_its_schema(root: Path, tmp_path: Path) -> None:
    """The JSON output of commands -> it fits its schema, item by item if it is an array."""
    ids = [row["run_id"] for row in etl("sql", "from receipts.run where published", "--root", root, "--json").json]
    reports: dict[str, tuple[str | Path, ...]] = {
        "stage-count": ("run-all", "--dry-run", "--root", root),
        "check": ("verify", "--all", "--root", root),
        "diff": ("diff", ids[0], ids[-1], "--root", root),
        "key-pair": ("keygen", tmp_path / "key"),
        "plan": ("plan", "--root", root),
        "replay": ("replay", ids[-1], "--root", root),
    }
    for name, arguments in reports.items():
        printed = etl(*arguments, "--json").json
        validator = Draft202012Validator(schema(name))
        for document in printed if isinstance(printed, list) else [printed]:
            assert [error.message for error in validator.iter_errors(document)] == [], name
    findings = etl("health", "--root", root, "--json").json
    kinds = [("check", "setting-in-force")["setting" in found] for found in findings]
    assert all(Draft202012Validator(schema(name)).is_valid(found) for name, found in zip(kinds, findings, strict=True))
    assert {*kinds} == {"check", "setting-in-force"}
    assert etl("drift", "--pin", ids[-1], "--root", root).exit_code == 0
    pin = json.loads((root / "reports/distillation/pin.json").read_bytes())
    assert Draft202012Validator(schema("pin")).is_valid(pin)
    assert etl("drift", "--unpin", "--root", root).exit_code == 0


def test_schemas_promise_what_is_written(root: Path) -> None:
    """A document without one of its fields, or with one more -> it does not fit: schemas are not looser than definitions."""
    envelope_may_hold_more = {"envelope"}
    for name, text in written_by(root):
        document, validator = json.loads(text), Draft202012Validator(schema(name))
        for field in document:
            assert not validator.is_valid({key: value for key, value in document.items() if key != field}), field
        assert validator.is_valid(document | {"more": 1}) is (name in envelope_may_hold_more)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_schemas(name: str) -> None:
    """Each schema -> is of draft 2020-12, valid, and named after its file and its definition."""
    Draft202012Validator.check_schema(schema(name))
    assert (schema(name)["$schema"], schema(name)["$id"]) == (DIALECT, file_of(name))
    assert schema(name)["title"] == DOCUMENTS[name].__name__


def test_no_schema_without_a_document() -> None:
    """The folder of schemas -> one file for each document, and no other."""
    assert {file.name for file in FOLDER.iterdir()} == {file_of(name) for name in DOCUMENTS}


def test_documents_are_documents() -> None:
    """Every document in the list -> is validated before it is written, as Document does."""
    assert all(issubclass(kind, Document) for kind in DOCUMENTS.values())

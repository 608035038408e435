"""A run's receipts in the form that others know: an in-toto Statement v1 with SLSA provenance v1 for each stage.

A statement is made from the documents of its run alone, so whoever has them can make it again, byte for byte.
docs/receipts.md says where each fact stands.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from etl.base.errors import UsageError
from etl.base.files import sha256_of
from etl.base.project import Project
from etl.context import Clock
from etl.receipts.header import timestamp_of
from etl.receipts.models import FileEntry, RunSummary, StageReceipt, StageSummary
from etl.receipts.store import SUMMARY, require_documents, require_run, written_hashes
from etl.warehouse.connection import Warehouse

#: The product as a package URL: all its identifiers begin with it.
PACKAGE = "pkg:pypi/evidence-etl"

#: Facts for which the standards have no place, in the order in which they are stated; ``etl_`` goes before each name.
_EXTENSIONS = (
    *("run_id", "stage", "status", "seq", "previous", "published", "made_by", "duration_ms"),
    *(
        "records_in",
        "records_out",
        "stats",
        "counts_by_reason",
        "blank",
        "items",
        "records",
        "grades",
        "holdout",
        "splits",
        "files",
        "validation",
        "unread",
    ),
    *("inputs_hash", "outputs_hash", "run_hash"),
)


class Statement(dict[str, Any]):
    """What is stated of one stage: its outputs, and how they came about; with its keys in their order."""

    def to_line(self) -> str:
        """Return the statement as a line of JSON, without the line feed; in ASCII, so that every reader splits lines alike."""
        return json.dumps(self, separators=(",", ":"))


class Stated(NamedTuple):
    """What a run's documents state, and the receipts of the stages about which there is nothing to state."""

    statements: list[Statement]
    left_out: list[StageReceipt]


def statements_of(project: Project, history: Warehouse, run_id: str | None) -> Stated:
    """Return the statements of a run, the newest unless one is named.

    Raises UsageError where a document cannot be read, or was changed after the run: it must not be stated, let alone signed.
    """
    folder = project.reports / require_run(history, run_id)
    summary, receipts = require_documents(folder)
    hashes = written_hashes(project, history, summary)
    for name in (SUMMARY, *(f"{stage.name}.json" for stage in summary.stages)):
        if sha256_of(folder / name) != hashes.get(name):
            raise UsageError(
                f"{folder / name}: its bytes are not those that the run wrote; check it with etl verify {summary.run_id}."
            )
    statements = []
    for receipt in filter(has_statement, receipts):
        documents = {f"{project.relative(folder)}/{name}": hashes[name] for name in (f"{receipt.stage}.json", SUMMARY)}
        statements.append(statement_of(summary, receipt, documents))
    return Stated(statements, [receipt for receipt in receipts if not has_statement(receipt)])


def has_statement(receipt: StageReceipt) -> bool:
    """Tell whether there is something to state: outputs with a digest each, of a stage that did not fail."""
    outputs = receipt.outputs.files
    return receipt.status in {"ok", "reused"} and bool(outputs) and all(entry.sha256 for entry in outputs)


def statement_of(summary: RunSummary, receipt: StageReceipt, documents: Mapping[str, str]) -> Statement:
    """Return the statement of a stage that has one.

    ``documents`` are the files that hold the receipt and the summary: the sha256 of each by its path under the root.
    """
    packages = _packages(receipt)
    finished = datetime.fromisoformat(receipt.timestamp)
    predicate = {
        "buildDefinition": {
            # says how to read the rest: of a carried-over stage, inputs, engine and internal parameters are an earlier run's
            "buildType": f"{PACKAGE}#{'carry-over' if receipt.status == 'reused' else 'stage'}/v1",
            "externalParameters": summary.request.model_dump(),
            "internalParameters": receipt.model_dump(exclude_none=True, include={"git_commit", "code_hash", "settings_hash"}),
            "resolvedDependencies": [
                *(_entry(entry) for entry in receipt.inputs.files if entry.sha256),
                *(_descriptor(material.path, material.sha256, kind="material") for material in summary.materials),
                *({"name": name, "uri": uri, "annotations": {"etl_kind": "engine"}} for name, uri in packages.items()),
            ],
        },
        "runDetails": {
            "builder": {"id": packages["evidence-etl"], "version": receipt.engine.model_dump()},
            "metadata": {
                "invocationId": f"{receipt.run_id}/{receipt.stage}",
                "startedOn": timestamp_of(Clock(finished - timedelta(milliseconds=receipt.duration_ms))),
                "finishedOn": receipt.timestamp,
            },
            "byproducts": [_descriptor(path, sha256, kind="document") for path, sha256 in documents.items()],
        },
        **_extensions(summary, receipt),
    }
    return Statement(
        _type="https://in-toto.io/Statement/v1",
        subject=[_entry(entry) for entry in receipt.outputs.files],
        predicateType="https://slsa.dev/provenance/v1",
        predicate=predicate,
    )


def _extensions(summary: RunSummary, receipt: StageReceipt) -> dict[str, Any]:
    """Return the extension fields of the predicate: facts of the receipt and the summary under their own names."""
    facts = summary.model_dump() | StageSummary.of(receipt).model_dump() | receipt.model_dump(by_alias=True)
    # an input that could not be read has no digest, which a dependency must have
    facts["unread"] = [entry.model_dump() for entry in receipt.inputs.files if not entry.sha256]
    return {f"etl_{name}": facts[name] for name in _EXTENSIONS if facts[name] not in (None, [])}


def _entry(entry: FileEntry) -> dict[str, Any]:
    """Return the descriptor of a file or relation, with the figures that the receipt has of it."""
    figures = entry.model_dump(exclude={"path", "sha256"}, exclude_none=True, exclude_defaults=True)
    return _descriptor(entry.path, entry.sha256, kind="relation" if entry.bytes is None else "file", **figures)


def _descriptor(name: str, sha256: str | None, **annotations: object) -> dict[str, Any]:
    """Return a resource descriptor: the digest says which thing is meant."""
    named = {f"etl_{annotation}": value for annotation, value in annotations.items()}
    return {"name": name, "digest": {"sha256": sha256}, "annotations": named}


def _packages(receipt: StageReceipt) -> dict[str, str]:
    """Return the package URLs of what computed a stage, in which versions are percent-encoded."""
    versions = {name: quote(version, safe="") for name, version in receipt.engine}
    return {
        "duckdb": f"pkg:pypi/duckdb@{versions['duckdb']}",
        "evidence-etl": f"{PACKAGE}@{versions['etl']}",
        "python": f"pkg:generic/python@{versions['python']}",
    }

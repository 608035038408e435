"""Statements: a run's receipts in the form of in-toto and SLSA, with every fact in its place."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, SAMPLE, Result, etl, evidence_line, write_evidence
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import resource_descriptor_pb2, statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement as PublishedStatement

from etl.receipts.attestation.statement import has_statement, statement_of
from etl.receipts.models import FileEntry, RunSummary, Side, StageReceipt
from etl.receipts.store import read_documents
from etl.warehouse.sql_files import Sql

EVIDENCE = [
    evidence_line("a", verdict="accept", run_id="1"),
    evidence_line("a", verdict="reject", run_id="2", response="Worse."),
    evidence_line("b", verdict="partial"),
    evidence_line("c", verdict="escalate"),
]


def runs_of(root: Path) -> list[Path]:
    """Return the folders of a root's runs, the oldest first."""
    folders = (path for path in (root / "reports/distillation").iterdir() if path.is_dir())
    return sorted(folders, key=lambda folder: folder.name.rpartition("-")[2])


def states(root: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """Return the lines that state a run."""
    result = etl("receipts", *arguments, "--format", "in-toto", "--root", root)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root of six runs: flags varied, one with a skipped line, one partial, one pinned, one that stopped."""
    root = tmp_path_factory.mktemp("statements")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE, "Ünï code\u2028.jsonl": ["{}"]})
    (root / "paths.txt").write_text("src/login.py\n", encoding="utf-8")
    runs: list[tuple[tuple[str | Path, ...], int]] = [
        (("run-all", "--evidence", SAMPLE, "--known-paths", REPOSITORY / "evidence/known-paths.txt"), 0),
        (("run-all", "--include-partial", "--include-review", "--set", "threads=1"), 1),
        (("run-all", "--recorded-at", "2026-12-01T00:00:00Z", "--known-paths", root / "paths.txt"), 1),
        (("run", "export-sft", "export-rag", "--include-partial", "--known-paths", root / "paths.txt", "--force"), 1),
        (("run-all", "--fail-fast"), 1),
    ]
    for arguments, exit_code in runs:
        assert etl(*arguments, "--root", root).exit_code == exit_code, arguments
    (root / "evidence/Ünï code\u2028.jsonl").unlink()
    assert etl("run-all", "--set", "accept_at=0.95", "--threshold", "0.5", "--root", root).exit_code in {0, 3}
    return root


@pytest.fixture(scope="module")
def stated(root: Path) -> list[tuple[dict[str, Any], RunSummary, StageReceipt]]:
    """Give every statement of those runs, with the documents that it is made from."""
    found = []
    for folder in runs_of(root):
        summary, receipts = read_documents(folder)
        of_stage = {receipt.stage: receipt for receipt in receipts}
        result = etl("receipts", folder.name, "--format", "in-toto", "--root", root)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        found += [(line, summary, of_stage[line["predicate"]["etl_stage"]]) for line in lines]
    return found


def test_statements_keep_the_published_field_rules(stated: list[tuple[dict[str, Any], RunSummary, StageReceipt]]) -> None:
    """Each statement of runs with varied flags -> valid for in-toto's own package, and so is each descriptor in it."""
    assert len(stated) >= 25
    for line, _, _ in stated:
        PublishedStatement.copy_from_pb(ParseDict(line, statement_pb2.Statement())).validate()
        definition, details = line["predicate"]["buildDefinition"], line["predicate"]["runDetails"]
        descriptors = [*line["subject"], *definition["resolvedDependencies"], *details["byproducts"]]
        for descriptor in descriptors:
            proto = ParseDict(descriptor, resource_descriptor_pb2.ResourceDescriptor())
            ResourceDescriptor.copy_from_pb(proto).validate()
            assert descriptor.get("uri") or descriptor.get("digest"), "the rule that the package leaves out"
        names = [subject["name"] for subject in line["subject"]]
        assert len(set(names)) == len(names)


def test_provenance_keeps_the_published_field_rules(stated: list[tuple[dict[str, Any], RunSummary, StageReceipt]]) -> None:
    """A predicate without its extension fields -> SLSA's own message accepts it, with no field left over and none missing."""

    def without_extensions(value: Any) -> Any:
        if isinstance(value, list):
            return [without_extensions(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {name: without_extensions(item) for name, item in value.items() if not name.startswith("etl_")}

    for line, _, _ in stated:
        parsed = ParseDict(without_extensions(line["predicate"]), provenance_pb2.Provenance())
        definition, details = parsed.build_definition, parsed.run_details
        assert definition.build_type
        assert definition.external_parameters
        assert details.builder.id
        assert details.metadata.started_on.ToDatetime() <= details.metadata.finished_on.ToDatetime()
        assert not {*line["predicate"]["buildDefinition"]["externalParameters"]} & {
            *line["predicate"]["buildDefinition"]["internalParameters"]
        }


FACTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "run_id": lambda line: line["predicate"]["etl_run_id"],
    "stage": lambda line: line["predicate"]["etl_stage"],
    "status": lambda line: line["predicate"]["etl_status"],
    "timestamp": lambda line: line["predicate"]["runDetails"]["metadata"]["finishedOn"],
    "git_commit": lambda line: line["predicate"]["buildDefinition"]["internalParameters"].get("git_commit"),
    "stats": lambda line: line["predicate"]["etl_stats"],
    "counts_by_reason": lambda line: line["predicate"]["etl_counts_by_reason"],
    "blank": lambda line: line["predicate"]["etl_blank"],
    "items": lambda line: line["predicate"].get("etl_items"),
    "records": lambda line: line["predicate"].get("etl_records"),
    "grades": lambda line: line["predicate"].get("etl_grades"),
    "holdout": lambda line: line["predicate"].get("etl_holdout"),
    "splits": lambda line: line["predicate"].get("etl_splits"),
    "files": lambda line: line["predicate"].get("etl_files"),
    "validation": lambda line: line["predicate"]["etl_validation"],
    "duration_ms": lambda line: line["predicate"]["etl_duration_ms"],
    "code_hash": lambda line: line["predicate"]["buildDefinition"]["internalParameters"]["code_hash"],
    "settings_hash": lambda line: line["predicate"]["buildDefinition"]["internalParameters"]["settings_hash"],
    "engine": lambda line: line["predicate"]["runDetails"]["builder"]["version"],
    "made_by": lambda line: line["predicate"].get("etl_made_by"),
    "inputs": lambda line: {
        "files": [
            *_entries(line["predicate"]["buildDefinition"]["resolvedDependencies"]),
            *line["predicate"].get("etl_unread", []),
        ],
        "record_count": line["predicate"]["etl_records_in"],
        "hash": line["predicate"]["etl_inputs_hash"],
    },
    "outputs": lambda line: {
        "files": _entries(line["subject"]),
        "record_count": line["predicate"]["etl_records_out"],
        "hash": line["predicate"]["etl_outputs_hash"],
    },
}


def _entries(descriptors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "path": descriptor["name"],
            "sha256": descriptor["digest"]["sha256"],
            "bytes": descriptor["annotations"].get("etl_bytes"),
            "record_count": descriptor["annotations"]["etl_record_count"],
            "columns": descriptor["annotations"].get("etl_columns"),
            "carried": descriptor["annotations"].get("etl_carried", False),
        }
        for descriptor in descriptors
        if descriptor["annotations"]["etl_kind"] in {"file", "relation"}
    ]


def test_every_fact_of_a_receipt_stands_in_its_statement(stated: list[tuple[dict[str, Any], RunSummary, StageReceipt]]) -> None:
    """A statement -> each field of its receipt can be read back from the place that docs/receipts.md names."""
    assert FACTS.keys() == StageReceipt.model_fields.keys() - {"schema_version"}, "say where a new field stands"
    for line, summary, receipt in stated:
        expected = receipt.model_dump(mode="json", by_alias=True)
        assert {name: find(line) for name, find in FACTS.items()} == {name: expected[name] for name in FACTS}
        predicate = line["predicate"]
        assert predicate["buildDefinition"]["externalParameters"] == summary.request.model_dump(mode="json")
        materials = {
            descriptor["name"]: descriptor["digest"]["sha256"]
            for descriptor in predicate["buildDefinition"]["resolvedDependencies"]
            if descriptor["annotations"]["etl_kind"] == "material"
        }
        assert materials == {material.path: material.sha256 for material in summary.materials}
        assert (predicate["etl_seq"], predicate.get("etl_previous")) == (summary.seq, summary.previous)
        assert (predicate["etl_published"], predicate["etl_run_hash"]) == (summary.published, summary.run_hash)
        assert predicate["runDetails"]["metadata"]["invocationId"] == f"{summary.run_id}/{receipt.stage}"


def test_identifiers_of_the_product_and_its_engines(root: Path) -> None:
    """A statement -> builder, build type and engines are package URLs; no identifier needs a host of the product."""
    line = states(root)[0]
    definition, builder = line["predicate"]["buildDefinition"], line["predicate"]["runDetails"]["builder"]
    versions = builder["version"]
    assert builder["id"] == f"pkg:pypi/evidence-etl@{versions['etl']}"
    assert definition["buildType"] == "pkg:pypi/evidence-etl#stage/v1"
    engines = {
        descriptor["name"]: descriptor["uri"]
        for descriptor in definition["resolvedDependencies"]
        if descriptor["annotations"]["etl_kind"] == "engine"
    }
    assert engines == {
        "duckdb": f"pkg:pypi/duckdb@{versions['duckdb']}",
        "evidence-etl": builder["id"],
        "python": f"pkg:generic/python@{versions['python']}",
    }


def test_byproducts_bind_the_documents(root: Path) -> None:
    """A statement -> the hashes of the files of its receipt and of its run's summary, by their paths under the root."""
    for line in states(root):
        byproducts = line["predicate"]["runDetails"]["byproducts"]
        stage, run_id = line["predicate"]["etl_stage"], line["predicate"]["etl_run_id"]
        assert [item["name"].rsplit("/", 2)[1:] for item in byproducts] == [
            [run_id, f"{stage}.json"], [run_id, "summary.json"],
        ]  # fmt: skip
        for item in byproducts:
            assert hashlib.sha256((root / item["name"]).read_bytes()).hexdigest() == item["digest"]["sha256"]


def test_carried_over_stages_say_so(root: Path) -> None:
    """A partial run -> a reused stage has another build type, and names the run that made it."""
    run = runs_of(root)[3].name
    kinds = {
        line["predicate"]["etl_stage"]: (
            line["predicate"]["buildDefinition"]["buildType"].partition("#")[2],
            line["predicate"]["etl_status"],
            line["predicate"].get("etl_made_by"),
        )
        for line in states(root, run)
    }
    second, third = (runs_of(root)[at].name for at in (1, 2))
    made = ("stage/v1", "ok", None)
    assert kinds == {
        "collect": ("carry-over/v1", "reused", second),
        "score": ("carry-over/v1", "reused", second),
        "export-rag": made,
        "export-sft": made,
        "export-preference": ("carry-over/v1", "reused", third),
    }


def test_stages_without_outputs_are_left_out_aloud(root: Path, tmp_path: Path, sql: Sql) -> None:
    """A run that stopped -> its complete stages are stated as not published, the others named on stderr; none: exit code 2."""
    result = etl("receipts", runs_of(root)[4].name, "--format", "in-toto", "--root", root)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "etl: collect is left out: its status is failed, so it has no valid output." in result.stderr
    assert "No stage of this run has a valid output" in result.stderr
    overlay = tmp_path / "sql/6_datasets"
    overlay.mkdir(parents=True)
    decision = sql.files["sql/6_datasets/decision.sql"]
    (overlay / "decision.sql").write_text(decision + "where category <> 'needs_human_review'\n", encoding="utf-8")
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 1
    _, receipts = read_documents(runs_of(tmp_path)[0])
    assert [receipt.status for receipt in receipts] == ["ok", "ok", "failed", "not_run", "not_run"]
    assert receipts[2].outputs.files, "a failed stage may have been seen to the end"
    result = etl("receipts", "--format", "in-toto", "--root", tmp_path)
    assert result.exit_code == 0
    lines = [json.loads(line)["predicate"] for line in result.stdout.splitlines()]
    assert [(line["etl_stage"], line["etl_published"]) for line in lines] == [("collect", False), ("score", False)]
    assert [line.split()[1] for line in result.stderr.splitlines()] == [
        "export-rag", "export-sft", "export-preference",
    ]  # fmt: skip


def test_lines_are_ascii(root: Path) -> None:
    """Evidence with letters beyond ASCII and a line separator in its name -> each statement is still one line of ASCII."""
    result = etl("receipts", runs_of(root)[1].name, "--format", "in-toto", "--root", root)
    assert result.stdout.isascii()
    names = [item["name"] for item in json.loads(result.stdout.splitlines()[0])["predicate"]["buildDefinition"][
        "resolvedDependencies"
    ]]  # fmt: skip
    assert "Ünï code\u2028.jsonl" in names


def test_unread_inputs_are_named(root: Path) -> None:
    """An input that could not be read has no digest -> it is not a dependency, and is listed in etl_unread."""
    summary, (receipt, *_) = read_documents(runs_of(root)[0])
    unread = FileEntry(path="gone.jsonl", sha256=None, bytes=None, record_count=0)
    side = Side.of([*receipt.inputs.files, unread], receipt.inputs.record_count)
    line = statement_of(summary, receipt.model_copy(update={"inputs": side}), {}).to_line()
    predicate = json.loads(line)["predicate"]
    assert predicate["etl_unread"] == [unread.model_dump()]
    assert "gone.jsonl" not in [item["name"] for item in predicate["buildDefinition"]["resolvedDependencies"]]


def test_versions_are_encoded(root: Path) -> None:
    """A local version such as 3.13.0+ -> its plus sign is encoded, as package URLs require."""
    summary, (receipt, *_) = read_documents(runs_of(root)[0])
    engine = receipt.engine.model_copy(update={"python": "3.13.0+"})
    line = statement_of(summary, receipt.model_copy(update={"engine": engine}), {}).to_line()
    assert '"pkg:generic/python@3.13.0%2B"' in line


def test_outputs_without_a_digest_are_not_stated(root: Path) -> None:
    """A receipt with an output without a digest -> no statement, as a subject must have one."""
    _, (receipt, *_) = read_documents(runs_of(root)[0])
    unread = FileEntry(path="x", sha256=None, bytes=0, record_count=0)
    assert has_statement(receipt)
    assert not has_statement(receipt.model_copy(update={"outputs": Side.of([unread], 0)}))


def _sha(number: int) -> str:
    """Return a hash that is told from others at a glance."""
    return f"{number:064x}"


def _named(path: str, number: int) -> dict[str, str]:
    return {"path": path, "sha256": _sha(number)}


NO_COUNTS = {"accepted": 0, "rejected": 0, "quarantined": 0, "skipped": 0}

#: A receipt in which every field that may be absent is there.
FULL_RECEIPT = StageReceipt.model_validate(
    {
        "run_id": "20260102T030405Z-0002",
        "stage": "export-preference",
        "status": "reused",
        "timestamp": "2026-01-02T03:04:05.000000Z",
        "git_commit": "c0ffee",
        "inputs": {
            "files": [
                {"path": "gone.jsonl", "sha256": None, "bytes": None, "record_count": 0},
                {"path": "é.jsonl", "sha256": _sha(1), "bytes": 5, "record_count": 2, "carried": True},
            ],
            "record_count": 2,
            "hash": _sha(2),
        },
        "outputs": {
            "files": [
                {"path": "exports/x.parquet", "sha256": _sha(3), "bytes": 7, "record_count": 1, "columns": ["id: string"]},
                {"path": "pairs.candidate", "sha256": _sha(4), "bytes": None, "record_count": 1},
            ],
            "record_count": 1,
            "hash": _sha(5),
        },
        "stats": NO_COUNTS | {"accepted": 1, "skipped": 1},
        "counts_by_reason": {"skipped": {"over_cap": 1}},
        "blank": 3,
        "records": {"in": 4, "by_outcome": {"paired": 2, "refused": 2}},
        "validation": {"passed": True, "warnings": ["Look."]},
        "duration_ms": 1500,
        "code_hash": _sha(6),
        "settings_hash": _sha(7),
        "engine": {"etl": "1.0+x", "duckdb": "2.0.0", "python": "3.13.0+"},
        "made_by": "20260101T000000Z-0001",
    }
)  # fmt: skip

SUMMARY_OF_IT = RunSummary.model_validate(
    {
        "run_id": FULL_RECEIPT.run_id,
        "seq": 2,
        "previous": _sha(8),
        "started_at": "2026-01-02T03:04:00.000000Z",
        "published": True,
        "stages": [],
        "datasets": {},
        "total_records_in": 0,
        "total_records_out": 0,
        "total_accepted": 0,
        "total_rejected": 0,
        "total_quarantined": 0,
        "total_skipped": 0,
        "overall_passed": True,
        "run_hash": _sha(9),
        "request": {
            "stages": ["export-preference"],
            "evidence": "evidence",
            "known_paths": None,
            "holdout": None,
            "settings": {"accept_at": 0.9, "drift_alert_p": 1e-6, "threads": None, "include_partial": True},
            "fail_fast": False,
            "force": True,
        },
        "materials": [_named("sql", 10)],
        "documents": [],
    }
)

#: What is stated of it, key by key in the order of the line.
FULL_STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [
        {
            "name": "exports/x.parquet",
            "digest": {"sha256": _sha(3)},
            "annotations": {"etl_kind": "file", "etl_bytes": 7, "etl_record_count": 1, "etl_columns": ["id: string"]},
        },
        {
            "name": "pairs.candidate",
            "digest": {"sha256": _sha(4)},
            "annotations": {"etl_kind": "relation", "etl_record_count": 1},
        },
    ],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {
            "buildType": "pkg:pypi/evidence-etl#carry-over/v1",
            "externalParameters": {
                "stages": ["export-preference"],
                "evidence": "evidence",
                "known_paths": None,
                "holdout": None,
                "settings": {"accept_at": 0.9, "drift_alert_p": 1e-6, "threads": None, "include_partial": True},
                "fail_fast": False,
                "force": True,
                "rehash": False,
            },
            "internalParameters": {"git_commit": "c0ffee", "code_hash": _sha(6), "settings_hash": _sha(7)},
            "resolvedDependencies": [
                {
                    "name": "é.jsonl",
                    "digest": {"sha256": _sha(1)},
                    "annotations": {"etl_kind": "file", "etl_bytes": 5, "etl_record_count": 2, "etl_carried": True},
                },
                {"name": "sql", "digest": {"sha256": _sha(10)}, "annotations": {"etl_kind": "material"}},
                {"name": "duckdb", "uri": "pkg:pypi/duckdb@2.0.0", "annotations": {"etl_kind": "engine"}},
                {"name": "evidence-etl", "uri": "pkg:pypi/evidence-etl@1.0%2Bx", "annotations": {"etl_kind": "engine"}},
                {"name": "python", "uri": "pkg:generic/python@3.13.0%2B", "annotations": {"etl_kind": "engine"}},
            ],
        },
        "runDetails": {
            "builder": {
                "id": "pkg:pypi/evidence-etl@1.0%2Bx",
                "version": {"etl": "1.0+x", "duckdb": "2.0.0", "python": "3.13.0+"},
            },
            "metadata": {
                "invocationId": "20260102T030405Z-0002/export-preference",
                "startedOn": "2026-01-02T03:04:03.500000Z",
                "finishedOn": "2026-01-02T03:04:05.000000Z",
            },
            "byproducts": [
                {"name": "r/x.json", "digest": {"sha256": _sha(11)}, "annotations": {"etl_kind": "document"}},
                {"name": "r/summary.json", "digest": {"sha256": _sha(12)}, "annotations": {"etl_kind": "document"}},
            ],
        },
        "etl_run_id": "20260102T030405Z-0002",
        "etl_stage": "export-preference",
        "etl_status": "reused",
        "etl_seq": 2,
        "etl_previous": _sha(8),
        "etl_published": True,
        "etl_made_by": "20260101T000000Z-0001",
        "etl_duration_ms": 1500,
        "etl_records_in": 2,
        "etl_records_out": 1,
        "etl_stats": NO_COUNTS | {"accepted": 1, "skipped": 1},
        "etl_counts_by_reason": {"rejected": {}, "quarantined": {}, "skipped": {"over_cap": 1}},
        "etl_blank": 3,
        "etl_records": {"in": 4, "by_outcome": {"paired": 2, "refused": 2}},
        "etl_validation": {"passed": True, "errors": [], "warnings": ["Look."]},
        "etl_unread": [
            {"path": "gone.jsonl", "sha256": None, "bytes": None, "record_count": 0, "columns": None, "carried": False}
        ],
        "etl_inputs_hash": _sha(2),
        "etl_outputs_hash": _sha(5),
        "etl_run_hash": _sha(9),
    },
}


def test_a_statement_to_the_byte() -> None:
    """A receipt in which nothing is null, and its summary -> this very line."""
    documents = {"r/x.json": _sha(11), "r/summary.json": _sha(12)}
    line = statement_of(SUMMARY_OF_IT, FULL_RECEIPT, documents).to_line()
    assert line == json.dumps(FULL_STATEMENT, separators=(",", ":"))


def test_what_is_null_is_absent() -> None:
    """A receipt in which all is null that may be -> its statement has none of these keys, and differs in nothing else."""
    nothing = {"git_commit": None, "records": None, "made_by": None, "inputs": Side.of([], 2)}
    bare = FULL_RECEIPT.model_copy(update=nothing)
    predicate = json.loads(statement_of(SUMMARY_OF_IT.model_copy(update={"previous": None}), bare, {}).to_line())["predicate"]
    full = FULL_STATEMENT["predicate"]
    assert full.keys() - predicate.keys() == {"etl_previous", "etl_made_by", "etl_records", "etl_unread"}
    assert predicate["buildDefinition"]["internalParameters"].keys() == {"code_hash", "settings_hash"}
    assert predicate["runDetails"]["byproducts"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "yaml"], "--format yaml: give table or in-toto"),
        (["--format", "in-toto", "--json"], "give one of them"),
        (["--sign", "key"], "only the lines of --format in-toto can be signed"),
        (["nobody", "--format", "in-toto"], "There is no run 'nobody'"),
    ],
)
def test_bad_usage_is_one_sentence(root: Path, arguments: list[str], sentence: str) -> None:
    """Flags that do not go together -> exit code 2 and one sentence, and nothing is stated."""
    result: Result = etl("receipts", *arguments, "--root", root)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["collect.json", "summary.json"])
def test_changed_documents_are_not_stated(tmp_path: Path, name: str) -> None:
    """A document that was changed after its run, however validly -> no statement is made from it."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    file = runs_of(tmp_path)[0] / name
    file.write_bytes(file.read_bytes() + b"\n")
    result = etl("receipts", "--format", "in-toto", "--root", tmp_path)
    assert result.exit_code == 2
    assert f"{name}: its bytes are not those that the run wrote; check it with etl verify" in result.stderr
    assert result.stdout == ""

"""The acceptance gate: the whole product on a bundled fixture, each promise tried, and each alarm set off once."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from etl.base.datasets import DATASETS
from etl.base.known_paths import read_known_paths
from etl.base.project import Project
from etl.base.settings import Settings
from etl.pipeline.replay import replay
from etl.pipeline.run import Outcome, Request, execute
from etl.pipeline.stages import STAGES
from etl.receipts.chain import check_chain
from etl.receipts.drift import drift_of
from etl.receipts.models import Document, DriftReport, FileEntry, RunSummary, Sha256, StageReceipt
from etl.receipts.store import load_history
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql

FIXTURE = Path(__file__).parent / "fixture"

#: The sha256 over the fixture's paths and bytes: it is never edited, so that a result can be compared with any other.
FIXTURE_SHA256 = "3cc4bf5dee7ccdfaea5bb798e9130e87ca5c13c4c831f43839aa5eac83a5db8e"

#: What the fixture's author counted: records collected and skipped, and rows shipped in each dataset.
EXPECTED = {"collected": 54, "skipped": 3, "rag": 27, "sft": 19, "preference": 16}
EXPECTED_SKIPS = ("bad_score", "duplicate_key", "malformed_json")

#: The categories that may be in each dataset without an opt-in.
ADMITTED = {"rag": {"accepted", "partially_accepted"}, "sft": {"accepted"}}

#: An overlay that tries to let rejected records through the first layer of the firewall.
BROKEN_ADMISSION = """-- Admits everything.
select
    dataset.dataset,
    category.category,
    'always' as admission,
    null::varchar as setting,
    true as is_admitted,
    null::varchar as reason,
from (values ('rag'), ('sft')) as dataset (dataset)
cross join (
    values ('accepted'), ('partially_accepted'), ('needs_human_review'), ('rejected')
) as category (category)
"""


class Gate(Document):
    """One promise of the product, tried on the bundled fixture, and what was seen."""

    name: str
    passed: bool
    detail: str


class Acceptance(Document):
    """What came of trying every promise on the bundled fixture."""

    schema_version: Literal[1] = 1
    fixture_sha256: Sha256
    gates: list[Gate]

    @property
    def passed(self) -> bool:
        """Whether every gate is open."""
        return all(gate.passed for gate in self.gates)


@dataclass
class _Trial:
    """The scratch root, and what the runs in it left."""

    project: Project
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, force: bool = True) -> Outcome:
        manifest = read_known_paths(FIXTURE / "known-paths.txt")
        settings = Settings.model_validate({"known_paths_sha256": manifest.sha256()})
        self.outcomes.append(execute(Request(self.project, settings, manifest, force=force)))
        return self.outcomes[-1]

    @property
    def outputs(self) -> list[list[FileEntry]]:
        """The outputs of each run, stage after stage."""
        return [
            [entry for receipt in outcome.report.receipts for entry in receipt.outputs.files]
            for outcome in self.outcomes
        ]


def accept() -> Acceptance:
    """Run the fixture in a scratch root and return a gate for each promise; one that fails says what it saw."""
    gates = [_gate("the fixture is the one that was bundled", _fixture_is_whole)]
    with TemporaryDirectory(prefix="etl-accept-") as folder:
        trial = _Trial(Project.at(Path(folder), FIXTURE / "evidence"))
        gates += [_gate(name, gate, trial) for name, gate in _GATES.items()]
    return Acceptance(fixture_sha256=fixture_sha256(), gates=gates)


def fixture_sha256() -> str:
    """Return the sha256 over the fixture's paths and bytes, each after its length (8 bytes, big-endian)."""
    digest = hashlib.sha256()
    for file in sorted(file for file in FIXTURE.rglob("*") if file.is_file()):
        for part in (file.relative_to(FIXTURE).as_posix().encode(), file.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class _GateError(Exception):
    """What a gate saw that must not be."""


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise _GateError(otherwise)


def _gate(name: str, gate: Callable[..., str], *arguments: _Trial) -> Gate:
    try:
        return Gate(name=name, passed=True, detail=gate(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever stops a gate, it is shut
        return Gate(name=name, passed=False, detail=" ".join(f"{error}".split()) or type(error).__name__)


def _fixture_is_whole() -> str:
    found = fixture_sha256()
    _require(found == FIXTURE_SHA256, f"its hash is {found}, not {FIXTURE_SHA256}")
    return f"sha256 {found[:16]}…"


def _runs_and_counts(trial: _Trial) -> str:
    outcome = trial.run()
    if outcome.error is not None:
        raise outcome.error
    collect = outcome.report.receipts[0]
    found = {
        "collected": collect.stats.accepted,
        "skipped": collect.stats.skipped,
        **outcome.summary.datasets,
    }
    _require(found == EXPECTED, f"it counted {found}, not {EXPECTED}")
    return ", ".join(f"{name} {count}" for name, count in found.items())


def _books_balance(trial: _Trial) -> str:
    with PublishedWarehouse.open(trial.project.warehouse) as warehouse:
        broken = warehouse.execute("select problem from receipts.unbalanced")
        lost = warehouse.one(
            "select count(*) from scored.run as run anti join pairs.record as pairing "
            "on run.source_path = pairing.source_path and run.line_number = pairing.line_number"
        )
    _require(not broken, " ".join(problem for (problem,) in broken))
    _require(lost == 0, f"{lost} records have no outcome at the pairing")
    return "records in = accepted + rejected + quarantined + skipped, at each stage"


def _failures_are_visible(trial: _Trial) -> str:
    outcome = trial.outcomes[0]
    _require(not outcome.summary.overall_passed, "three lines were skipped, and the run says that it passed")
    reasons = tuple(sorted(outcome.report.receipts[0].counts_by_reason.skipped))
    _require(reasons == EXPECTED_SKIPS, f"the receipt of collect names {reasons}, not {EXPECTED_SKIPS}")
    return f"the run did not pass, for {', '.join(reasons)}"


def _nothing_leaks(trial: _Trial) -> str:
    with PublishedWarehouse.open(trial.project.warehouse) as warehouse:
        categories = dict(warehouse.execute("select evidence_id, category from scored.run"))
        evidence_ids = dict(warehouse.execute("select id, evidence_id from datasets.lineage"))
    for dataset in DATASETS:
        admitted = ADMITTED.get(dataset.name, {"accepted"})
        lines = (trial.project.exports / f"{dataset.stem}.jsonl").read_bytes().splitlines()
        for line in lines if dataset.grain == "record" else ():
            category = categories[evidence_ids[json.loads(line)["id"]]]
            _require(category in admitted, f"{dataset.name} holds a record that is {category}")
    return "every shipped id is of a category that its dataset admits"


def _firewall_holds(trial: _Trial) -> str:
    before = _published_bytes(trial.project)
    overlay = trial.project.overlay / "1_policy"
    overlay.mkdir(parents=True)
    (overlay / "admission.sql").write_text(BROKEN_ADMISSION, encoding="utf-8")
    outcome = trial.run()
    (overlay / "admission.sql").unlink()
    overlay.rmdir()
    trial.project.overlay.rmdir()
    trial.outcomes.pop()
    _require(outcome.error is not None, "a run whose admission lets rejected records through was published")
    statuses = [receipt.status for receipt in outcome.report.receipts]
    _require(statuses == ["ok", "ok", "failed", "not_run", "not_run"], f"its receipts say {statuses}")
    _require(_published_bytes(trial.project) == before, "the published version is not as it was")
    return "an admission that lets rejected records through fails the run, and the old version stays"


def _receipts_are_complete(trial: _Trial) -> str:
    folder = trial.project.reports / trial.outcomes[0].summary.run_id
    names = [stage.name for stage in STAGES]
    wanted = {*(f"{name}.json" for name in names), "summary.json", "summary.md", "drift.json"}
    found = {file.name for file in folder.iterdir()}
    _require(found == wanted, f"the folder holds {sorted(found)}")
    for name in names:
        StageReceipt.model_validate_json((folder / f"{name}.json").read_bytes())
    RunSummary.model_validate_json((folder / "summary.json").read_bytes())
    DriftReport.model_validate_json((folder / "drift.json").read_bytes())
    return f"{len(wanted)} documents, each as its schema says"


def _hashes_are_stable(trial: _Trial) -> str:
    outcome = trial.run()
    if outcome.error is not None:
        raise outcome.error
    first, second = trial.outputs[0], trial.outputs[-1]
    other = [entry.path for entry, again in zip(first, second, strict=True) if entry != again]
    _require(not other, f"a second run gave other bytes: {', '.join(other)}")
    return f"{len(first)} outputs of two runs are equal"


def _drift_is_quiet(trial: _Trial) -> str:
    drift = trial.outcomes[-1].report.drift
    _require(drift.severity == "ok", f"{drift.severity}: {' '.join(drift.flags)}")
    return "the second run is ok against the first"


def _drift_is_loud(trial: _Trial) -> str:
    history = load_history(trial.project, Sql.of(trial.project.overlay), Settings())
    try:
        history.execute(
            "update receipts.stage set outputs_hash = repeat('0', 64) where stage = 'export-sft' and run_id = $run",
            {"run": trial.outcomes[0].summary.run_id},
        )
        drift = drift_of(history, trial.outcomes[-1].summary.run_id)
    finally:
        history.close()
    _require(drift.severity == "alert", f"an injected violation is {drift.severity}")
    return "other bytes from the same inputs, code, settings and engine are an alert"


def _unchanged_is_reused(trial: _Trial) -> str:
    before = _published_bytes(trial.project)
    outcome = trial.run(force=False)
    statuses = {receipt.status for receipt in outcome.report.receipts}
    _require(statuses == {"reused"}, f"nothing changed, and the stages are {sorted(statuses)}")
    _require(_published_bytes(trial.project) == before, "the exports are others")
    return "no stage runs again where nothing changed"


def _replay_is_equal(trial: _Trial) -> str:
    found = replay(trial.project, trial.outcomes[0].summary.run_id)
    other = [f"{output.path}: {output.difference}" for output in found.outputs if not output.is_equal]
    _require(not other, "; ".join(other))
    return f"{len(found.outputs)} outputs of the first run come out again"


def _tampering_is_caught(trial: _Trial) -> str:
    broken = [check.what for check in check_chain(trial.project) if check.status == "failed"]
    _require(not broken, f"the untouched root fails: {', '.join(broken)}")
    for file in _tampered(trial):
        original = file.read_bytes()
        file.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
        is_caught = any(check.status == "failed" for check in check_chain(trial.project))
        file.write_bytes(original)
        _require(is_caught, f"one bit of {trial.project.relative(file)} was turned, and nothing failed")
    return "one bit turned in a receipt, a summary, the head or a dataset is found"


def _tampered(trial: _Trial) -> Iterator[Path]:
    folder = trial.project.reports / trial.outcomes[0].summary.run_id
    yield from (folder / "score.json", folder / "summary.json", trial.project.reports / "head")
    yield trial.project.exports / "sft" / "instruction_response.jsonl"
    yield trial.project.exports / "preference" / "chosen_rejected.parquet"


def _published_bytes(project: Project) -> dict[str, bytes]:
    return {project.relative(file): file.read_bytes() for file in project.exports.rglob("*") if file.is_file()}


#: In the order in which they are tried: each builds on the runs of those before it.
_GATES: dict[str, Callable[[_Trial], str]] = {
    "a run counts what the fixture's author counted": _runs_and_counts,
    "the books balance": _books_balance,
    "failures are visible": _failures_are_visible,
    "nothing leaks": _nothing_leaks,
    "the firewall holds where its first layer is broken": _firewall_holds,
    "receipts are complete and valid": _receipts_are_complete,
    "hashes are stable": _hashes_are_stable,
    "drift is quiet where nothing changed": _drift_is_quiet,
    "drift is loud where the output changed alone": _drift_is_loud,
    "what did not change is reused": _unchanged_is_reused,
    "a replay is equal": _replay_is_equal,
    "tampering is caught": _tampering_is_caught,
}

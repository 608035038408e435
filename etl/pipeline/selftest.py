"""The acceptance gate: tries every promise of the product on a bundled fixture, and sets off each alarm once."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from etl.base.datasets import DATASETS, exported_files
from etl.base.errors import EtlError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.ingest.known_paths import read_known_paths
from etl.pipeline.replay import outputs_of, replay
from etl.pipeline.request import Request
from etl.pipeline.run import execute
from etl.pipeline.stages import STAGES
from etl.receipts.chain import check_chain
from etl.receipts.drift import drift_of
from etl.receipts.models import Document, DriftReport, Sha256
from etl.receipts.report import RunReport
from etl.receipts.store import load_history, require_documents
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql, bundle_hash

FIXTURE = Path(__file__).parent / "fixture"

#: The sha256 over the fixture's paths and bytes: it is never edited, so that a result can be compared with any other.
FIXTURE_SHA256 = "3cc4bf5dee7ccdfaea5bb798e9130e87ca5c13c4c831f43839aa5eac83a5db8e"

#: What the fixture's author counted: records collected and skipped, why they were skipped, and rows shipped in each dataset.
EXPECTED = {"collected": 54, "skipped": 3, "rag": 26, "sft": 18, "preference": 16}
EXPECTED_SKIPS = ["bad_score", "duplicate_key", "malformed_json"]

#: The categories that may be in the datasets of records without an opt-in.
ADMITTED = {"rag": {"accepted", "partially_accepted"}, "sft": {"accepted"}}


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


def accept() -> Acceptance:
    """Run the fixture in a scratch root and return a gate for each promise; one that fails says what it saw."""
    files = {file.relative_to(FIXTURE).as_posix(): file.read_bytes() for file in FIXTURE.rglob("*") if file.is_file()}
    with TemporaryDirectory(prefix="etl-accept-") as folder:
        trial = _Trial(bundle_hash(files), Project.at(Path(folder), FIXTURE / "evidence"))
        gates = [_try(name, gate, trial) for name, gate in vars(_Trial).items() if not name.startswith("_")]
    return Acceptance(fixture_sha256=trial.fixture_sha256, gates=gates)


def _try(name: str, gate: "Callable[[_Trial], str]", trial: "_Trial") -> Gate:
    """Return what came of a gate; it is shut by whatever it raises."""
    try:
        passed, detail = True, gate(trial)
    except Exception as error:  # noqa: BLE001 - whatever stops a gate, it is shut
        passed, detail = False, " ".join(f"{error}".split()) or type(error).__name__
    return Gate(name=name.replace("_", " "), passed=passed, detail=detail)


def _require(is_so: bool, otherwise: str) -> None:
    """Shut the gate, for the reason ``otherwise``, unless something is so."""
    if not is_so:
        raise EtlError(otherwise)


@dataclass
class _Trial:
    """The scratch root, and the reports of the runs that published there.

    Each method without an underscore is a gate and gives it its name. They are tried in their order: later ones need the
    runs of earlier ones. What they return is what they have seen.
    """

    fixture_sha256: str
    project: Project
    _runs: list[RunReport] = field(default_factory=list)

    def the_fixture_is_the_one_that_was_bundled(self) -> str:
        _require(self.fixture_sha256 == FIXTURE_SHA256, f"its hash is {self.fixture_sha256}, not {FIXTURE_SHA256}")
        return f"sha256 {self.fixture_sha256[:16]}…"

    def a_run_counts_what_the_author_of_the_fixture_counted(self) -> str:
        report = self._run()
        stats = report.receipts[0].stats
        found = {"collected": stats.accepted, "skipped": stats.skipped, **report.summary.datasets}
        _require(found == EXPECTED, f"it counted {found}, not {EXPECTED}")
        return ", ".join(f"{name} {count}" for name, count in found.items())

    def the_books_balance(self) -> str:
        with PublishedWarehouse.open(self.project.warehouse) as warehouse:
            problems = " ".join(problem for (problem,) in warehouse.execute("select problem from receipts.unbalanced"))
            key = "source_path, item_number, record_number"
            lost = warehouse.one(f"select count(*) from scored.run anti join pairs.record using ({key})")
        _require(not problems, problems)
        _require(lost == 0, f"{lost} records have no outcome at the pairing")
        return "records in = accepted + rejected + quarantined + skipped, at each stage"

    def failures_are_visible(self) -> str:
        _require(not self._runs[0].summary.overall_passed, "three lines were skipped, and the run says that it passed")
        reasons = sorted(self._runs[0].receipts[0].counts_by_reason.skipped)
        _require(reasons == EXPECTED_SKIPS, f"the receipt of collect names {reasons}, not {EXPECTED_SKIPS}")
        return f"the run did not pass, because of {', '.join(reasons)}"

    def nothing_leaks(self) -> str:
        with PublishedWarehouse.open(self.project.warehouse) as warehouse:
            lineage = "select id, run.category from datasets.lineage inner join scored.run using (evidence_id)"
            categories = dict(warehouse.execute(lineage))
        for dataset in (dataset for dataset in DATASETS if dataset.grain == "record"):
            files = [file for file in exported_files(self.project.exports, dataset.stem) if file.suffix == ".jsonl"]
            lines = [line for file in files for line in file.read_bytes().splitlines()]
            leaked = {categories[json.loads(line)["id"]] for line in lines} - ADMITTED.get(dataset.name, {"accepted"})
            _require(not leaked, f"{dataset.name} holds records that are {', '.join(sorted(leaked))}")
        return "every shipped id is of a category that its dataset admits"

    def the_firewall_holds_where_its_first_layer_is_broken(self) -> str:
        before = self._exported()
        admission = self.project.overlay / "1_policy" / "admission.sql"
        admission.parent.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("broken_admission.sql"), admission)
        outcome = execute(self._request())
        shutil.rmtree(self.project.overlay)
        _require(outcome.error is not None, "a run whose admission lets rejected records through was published")
        statuses = [receipt.status for receipt in outcome.report.receipts]
        _require(statuses == ["ok", "ok", "failed", "not_run", "not_run"], f"its receipts say {statuses}")
        _require(self._exported() == before, "the published files have changed")
        return "a run whose admission lets rejected records through fails, and the published version stays"

    def receipts_are_complete_and_valid(self) -> str:
        folder = self.project.reports / self._runs[0].summary.run_id
        wanted = {*(f"{stage.name}.json" for stage in STAGES), "summary.json", "summary.md", "drift.json"}
        found = {file.name for file in folder.iterdir()}
        _require(found == wanted, f"the folder holds {sorted(found)}")
        require_documents(folder)
        DriftReport.model_validate_json((folder / "drift.json").read_bytes())
        return f"{len(wanted)} documents, each as its schema says"

    def hashes_are_stable(self) -> str:
        first, second = outputs_of(self._runs[0].receipts), outputs_of(self._run().receipts)
        different = ", ".join(path for path, entry in first.items() if entry != second.get(path))
        _require(not different, f"a second run gave other bytes: {different}")
        return f"{len(first)} outputs of two runs are equal"

    def drift_is_quiet_where_nothing_changed(self) -> str:
        drift = self._runs[-1].drift
        _require(drift.severity == "ok", f"{drift.severity}: {' '.join(drift.flags)}")
        return "the second run is ok against the first"

    def drift_is_loud_where_the_output_changed_alone(self) -> str:
        first, last = (self._runs[place].summary.run_id for place in (0, -1))
        change = "update receipts.stage set outputs_hash = repeat('0', 64) where stage = 'export-sft' and run_id = ?"
        with closing(load_history(self.project, Sql.packaged(), Settings())) as history:
            history.execute(change, [first])
            severity = drift_of(history, last).severity
        _require(severity == "alert", f"an injected violation is {severity}")
        return "other bytes from the same inputs, code, settings and engine are an alert"

    def what_did_not_change_is_reused(self) -> str:
        before = self._exported()
        statuses = {receipt.status for receipt in self._run(force=False).receipts}
        _require(statuses == {"reused"}, f"nothing changed, and the stages are {sorted(statuses)}")
        _require(self._exported() == before, "the published files have changed")
        return "no stage runs again where nothing changed"

    def a_replay_is_equal(self) -> str:
        found = replay(self.project, self._runs[0].summary.run_id)
        different = "; ".join(f"{output.path}: {output.difference}" for output in found.outputs if output.difference)
        _require(not different, different)
        return f"{len(found.outputs)} outputs of the first run come out again"

    def tampering_is_caught(self) -> str:
        _require(not self._broken(), f"the untouched root fails: {self._broken()}")
        run, exports = self.project.reports / self._runs[0].summary.run_id, self.project.exports
        datasets = [file for dataset in DATASETS for file in exported_files(exports, dataset.stem)]
        for file in (run / "score.json", run / "summary.json", self.project.reports / "head", *datasets):
            original = file.read_bytes()
            file.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
            is_caught = bool(self._broken())
            file.write_bytes(original)
            _require(is_caught, f"one bit of {self.project.relative(file)} was flipped, and nothing failed")
        return "one flipped bit in a receipt, a summary, the head or a dataset is found"

    def _request(self, force: bool = True) -> Request:
        """Return the request to run all stages on the fixture."""
        manifest = read_known_paths(FIXTURE / "known-paths.txt")
        return Request(self.project, Settings(known_paths_sha256=manifest.sha256()), manifest, force=force)

    def _run(self, force: bool = True) -> RunReport:
        """Run all stages and return what they report. Raises the error that stopped them, if one did."""
        outcome = execute(self._request(force))
        if outcome.error is not None:
            raise outcome.error
        self._runs.append(outcome.report)
        return outcome.report

    def _exported(self) -> dict[Path, bytes]:
        """Return the published files with their bytes."""
        return {file: file.read_bytes() for file in self.project.exports.rglob("*") if file.is_file()}

    def _broken(self) -> str:
        """Return the names of what the check of the chain finds broken."""
        return ", ".join(check.what for check in check_chain(self.project) if check.status == "failed")

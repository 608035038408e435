"""Reads the drift views: what changed since the prior run, how bad it is, and why; and keeps the run that is pinned."""

from collections.abc import Iterable
from typing import Any

from etl.base.errors import UsageError
from etl.base.files import sync_folder, write_text
from etl.base.project import Project
from etl.receipts.models import DONE, DriftReport, DriftStage, Pin, StageReceipt
from etl.receipts.store import require_published, set_baseline
from etl.warehouse.connection import Warehouse
from etl.warehouse.statements import read_sql

#: In which order people want to see what is compared.
_KINDS = ["source", "volume", "pairs", "category", "reason", "accepted"]


def drift_of(history: Warehouse, run_id: str) -> DriftReport:
    """Return the drift report of a run, under the settings that ``history`` has."""
    return _reports(history, "where run_id = ?", [run_id])[run_id]


def first_drift(run_id: str, receipts: Iterable[StageReceipt]) -> DriftReport:
    """Return what the drift views say of a root's first run, which has none to be compared with: to ask them costs a lot."""
    unknown = dict.fromkeys(DriftStage.model_fields)
    known = {"deterministic_violation": False, "notes": []}
    stages = [unknown | known | {"stage": receipt.stage} for receipt in receipts if receipt.status in DONE]
    whole = {"run_id": run_id, "prior_run_id": None, "severity": "ok", "flags": ["no prior; baseline established"]}
    return DriftReport.model_validate(whole | {"stages": stages})


def drift_reports(history: Warehouse) -> dict[str, DriftReport]:
    """Return the drift reports of all runs by their ids, under the settings that ``history`` has."""
    return _reports(history, "", [])


def _reports(history: Warehouse, which: str, bound: list[str]) -> dict[str, DriftReport]:
    of_stages = f"select * exclude (position, differs_from) from drift.stage_delta {which} order by position"
    of_runs = f"select run_id, prior_run_id, severity, flags from drift.report {which}"
    stages: dict[str, list[dict[str, Any]]] = {}
    for stage in history.dicts(of_stages, bound):
        stages.setdefault(stage.pop("run_id"), []).append(stage)
    return {report["run_id"]: _report(report, stages.get(report["run_id"], [])) for report in history.dicts(of_runs, bound)}


def _report(report: dict[str, Any], stages: list[dict[str, Any]]) -> DriftReport:
    for stage in stages:
        stage["notes"] = [flag["flag"] for flag in report["flags"] if flag["stage"] == stage["stage"]]
    return DriftReport.model_validate(report | {"flags": [flag["flag"] for flag in report["flags"]], "stages": stages})


def comparisons_of(history: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Return every comparison of a run with its prior one, and what each condition said of it."""
    return history.dicts(read_sql(__file__, "comparison"), {"run": run_id, "kinds": _KINDS})


def counter_history(history: Warehouse) -> list[dict[str, Any]]:
    """Return the course of each counter over all runs, as rows of drift.history: counter by counter, oldest run first."""
    return history.dicts("from drift.history order by position, list_position(?, kind), stat, counter, seq", [_KINDS])


def compare_against(history: Warehouse, run_id: str, prior_run_id: str) -> None:
    """Let drift compare a run with this one. Raises UsageError where it did not publish, or is not an earlier one."""
    require_published(history, prior_run_id)
    set_baseline(history, prior_run_id)
    if history.one("select prior_run_id from drift.baseline where run_id = ?", [run_id]) != prior_run_id:
        raise UsageError(f"--against {prior_run_id}: it is not an earlier run than {run_id!r}; name an earlier one.")


def pin(project: Project, history: Warehouse, run_id: str | None) -> str:
    """Let later runs be compared with this one, or each with the one before it; return a sentence about it.

    Raises UsageError where the run is unknown or did not publish.
    """
    if run_id is None:
        project.pin.unlink(missing_ok=True)
        return "Each run is compared with the one before it."
    require_published(history, run_id)
    write_text(project.pin, Pin(run_id=run_id).to_json())
    sync_folder(project.reports)
    return f"Later runs are compared with {run_id}."

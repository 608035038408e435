"""Reads the drift views: what changed since the prior run, and how bad it is."""

from etl.documents import DriftReport, DriftStage
from etl.warehouse import Warehouse


def drift_of(history: Warehouse, run_id: str) -> DriftReport:
    """Return the drift report of a run, under the settings that ``history`` was opened with."""
    prior, severity = history.execute("select prior_run_id, severity from drift.report where run_id = ?", [run_id])[0]
    flags = history.execute(
        "select stage, flag from drift.flag where run_id = ? order by position, severity, flag", [run_id]
    )
    stages = history.dicts(
        "select * exclude (run_id, position, differs_from) from drift.delta where run_id = ? order by position",
        [run_id],
    )
    return DriftReport(
        run_id=run_id,
        prior_run_id=prior,
        severity=severity,
        flags=[flag for _, flag in flags],
        stages=[
            DriftStage(**stage, notes=[flag for flagged, flag in flags if flagged == stage["stage"]])
            for stage in stages
        ],
    )

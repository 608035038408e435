"""What a run would do: which stages it would run, and what they would count. Nothing is written."""

import os
from contextlib import closing
from pathlib import Path

from etl.base.signals import interrupting, run_stoppable
from etl.context import Run
from etl.ingest.files import find_evidence
from etl.pipeline.plan import Plan, make_plan
from etl.pipeline.run import Request, fill_known_paths
from etl.pipeline.stages import STAGES, run_stages
from etl.receipts.models import Count, Document
from etl.receipts.recorder import new_header
from etl.receipts.store import load_history
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage
from etl.warehouse.sql_files import Sql


class StageCount(Document):
    """What a stage would take in, and what would become of it: a row of ``receipts.stage_count``."""

    stage: str
    records_in: Count
    accepted: Count
    rejected: Count
    quarantined: Count
    skipped: Count
    blank: Count


def plan(request: Request) -> Plan:
    """Return which stages would run, and why. Raises NotFoundError where there is no evidence folder."""
    project, sql = request.project, Sql.of(request.project.overlay)
    with closing(load_history(project, sql, request.settings)) as history:
        lineage = Lineage.of(history)
        asked = request.as_recorded()
        header = new_header(project, sql, asked, request.settings, history, lineage, request.clock, STAGES)
        evidence = find_evidence(project.evidence, request.settings.follow_links)
        return make_plan(project, header, history, lineage, evidence, request.forced, request.rehash)[0]


def dry_run(request: Request) -> list[StageCount]:
    """Return what the stages would count, computed in memory."""
    return run_stoppable(lambda: _count(request))


def _count(request: Request) -> list[StageCount]:
    sql = Sql.of(request.project.overlay)
    find_evidence(request.project.evidence, request.settings.follow_links)
    with closing(Warehouse.create(sql, request.settings)) as warehouse, interrupting(warehouse.interrupt):
        fill_known_paths(warehouse, request.known_paths)
        run = Run(request.project, request.settings, sql, warehouse, Path(os.devnull), request.progress)
        run_stages(run, tuple(stage for stage in STAGES if not stage.exports))
        rows = warehouse.dicts("from receipts.stage_count")
    counts = {row["stage"]: StageCount.model_validate(row) for row in rows}
    return [counts[stage.name] for stage in request.stages]

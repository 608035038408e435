"""Verifies a run or all runs: the documents, the files that they name, and what this program makes again of both."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from etl.base.errors import EtlError, SqlError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Stage
from etl.receipts.agreement import RunDocuments, read_receipts, read_run
from etl.receipts.chain import check_chain
from etl.receipts.check import Link, Reading, check, check_documents, check_files, damaged_document, is_whole, passed_or
from etl.receipts.models import Check
from etl.receipts.releases import check_releases
from etl.receipts.remake import Remaker
from etl.receipts.report import LATEST
from etl.receipts.store import SUMMARY, load_history, newest, require_run, summary_hash
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.sql_files import Sql


def verify(
    project: Project, sql: Sql, stages: Sequence[Stage], history: Warehouse, run_id: str | None, evidence: Path | None = None
) -> list[Check]:
    """Return a check for each document of a run and each file that its receipts name; the published run unless one is named.

    ``stages`` are those of this program. ``evidence`` is where the run's evidence is now, if not where the run read it.
    Raises NotFoundError for an unknown run, or where nothing is published.
    """
    if run_id is None:
        run_id = newest(history, published=True)
    elif run_id not in {folder.name for folder in project.reports.glob("*/")}:  # one with damaged documents is there
        require_run(history, run_id)
    folder = project.reports / run_id
    try:
        link = Link.read(folder / SUMMARY)
    except (OSError, ValueError) as error:
        return [damaged_document(str(folder / SUMMARY), "the summary", error)]
    before = _published_before(project, history, link)
    with closing(load_history(project, sql, Settings(), documents_only=True)) as documents:
        reading = Reading.of(folder, link, before, Remaker(documents, sql, stages))
    known = {summary_hash(project, history, run_id), link.sha256}
    with suppress(EtlError):
        known.add(_known_to_warehouse(project).get(run_id, link.sha256))
    problems = [*(["it is not the summary that the run wrote"] if len(known) > 1 else []), *reading.problems(SUMMARY)]
    receipts, _ = read_receipts(folder, link.summary)
    is_newest = link.summary.published and newest(history, published=True) == run_id
    return [
        check(SUMMARY, problems),
        *check_documents(folder, link, reading),
        *check_files(project, link.summary, receipts.values(), evidence, is_newest),
    ]


def verify_all(
    project: Project, stages: Sequence[Stage], pinned: str | None = None, evidence: Path | None = None
) -> list[Check]:
    """Return the checks of the whole chain, of what can be made again, and whether the warehouse knows a run that it lacks.

    ``stages`` are those of this program.
    """
    try:
        sql = Sql.of(project.overlay)
        with closing(load_history(project, sql, Settings(), documents_only=True)) as documents:
            remaker = Remaker(documents, sql, stages)
            checks = [*check_chain(project, pinned, evidence, remaker), *_latest(project, remaker), *check_releases(project)]
    except SqlError as error:
        checks = [*check_chain(project, pinned, evidence), Check("sql", "unchecked", f"no document is made again: {error}")]
    try:
        known = _known_to_warehouse(project)
    except EtlError as error:
        return [*checks, Check("warehouse", "unchecked", f"its receipts cannot be read: {error}")]
    changed = [run_id for run_id, digest in known.items() if not is_whole(project.reports / run_id / SUMMARY, digest)]
    otherwise = f"its summaries of these runs are not those of the files, or the files are gone: {', '.join(changed)}"
    return [*checks, passed_or("warehouse", not changed, otherwise, f"{len(known)} runs are known by the same hashes")]


def _published_before(project: Project, history: Warehouse, link: Link) -> RunDocuments | None:
    """Return the documents of the last run before this one that published; None where they cannot be read."""
    earlier = "select run_id from receipts.run where published and seq < ? order by seq desc limit 1"
    for (run_id,) in history.execute(earlier, [link.summary.seq]):
        folder = project.reports / run_id
        with suppress(OSError, ValueError):
            return read_run(folder, Link.read(folder / SUMMARY).summary)[0]
    return None


def _known_to_warehouse(project: Project) -> dict[str, str]:
    """Return the hash of each run's summary that the published warehouse knows, in their order. Raises EtlError."""
    with PublishedWarehouse.open(project.warehouse) as warehouse:
        return dict(warehouse.execute("select run_id, summary_sha256 from receipts.run order by seq"))


def _latest(project: Project, remaker: Remaker) -> Iterator[Check]:
    """Yield whether latest.md says what the documents do, where it is there."""
    with suppress(FileNotFoundError):
        page = (project.reports / LATEST).read_bytes()
        yield passed_or(LATEST, page == remaker.latest_page().encode(), "it does not follow from the receipts")

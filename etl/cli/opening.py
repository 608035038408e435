"""What commands go out from: the project of a root, its settings, and the history of its runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from etl.base.errors import UsageError

if TYPE_CHECKING:
    from etl.base.project import Project
    from etl.base.settings import Settings
    from etl.warehouse.connection import Warehouse


def project_at(root: Path, evidence: Path | None = None, may_be_new: bool = False) -> "Project":
    """Return the project of a root. Raises UsageError where there is no such folder, nor one in which a new one may be made."""
    from etl.base.project import Project

    if not root.is_dir() and not (may_be_new and not root.exists() and root.absolute().parent.is_dir()):
        where = "nor the folder that it would be made in" if may_be_new else "name the root with --root DIR"
        raise UsageError(f"{root}: there is no such folder, {where}.")
    return Project.at(root, evidence)


def settings_of(assignments: list[str] | None = None, threshold: float | None = None) -> "Settings":
    """Return the settings of a command that runs no stage. Raises SettingError."""
    from etl.base.settings import parse_settings

    return parse_settings(assignments or [], drift_threshold=threshold)


def recovered(project: "Project") -> "Project":
    """Finish what a cut run left, as every command does first."""
    from etl.pipeline.publish import Staging

    staging = Staging(project)
    if staging.journal.is_file():
        from etl.pipeline.run import write_cut_run

        staging.recover_if_cut(lambda entry: write_cut_run(project, entry))
    return project


@contextmanager
def open_history(project: "Project", settings: "Settings | None" = None) -> "Iterator[Warehouse]":
    """Give the receipts of all runs, in memory, for a while; after what a cut run left is finished."""
    from etl.receipts.store import load_history
    from etl.warehouse.sql_files import Sql

    project = recovered(project)
    history = load_history(project, Sql.of(project.overlay), settings or settings_of())
    try:
        yield history
    finally:
        history.close()

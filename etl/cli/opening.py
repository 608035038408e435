"""What commands go out from: the project of a root, its settings, and the history of its runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

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


def look_at(root: Path, evidence: Path | None = None) -> "Project":
    """Return the project of a root for a command that only looks: it says where a run was cut, and changes nothing."""
    project = project_at(root, evidence)
    report_cut_run(project)
    return project


def report_cut_run(project: "Project") -> None:
    """Say on stderr that a run was cut, where one was."""
    if (project.staging / "journal.json").exists():
        from etl.pipeline.staging import Staging

        cut = Staging(project).cut_run()
        if cut:
            typer.echo(f"etl: {cut}", err=True)


@contextmanager
def open_history(project: "Project", settings: "Settings | None" = None) -> "Iterator[Warehouse]":
    """Give the receipts of all runs, in memory, for a while."""
    from etl.receipts.store import load_history
    from etl.warehouse.sql_files import Sql

    history = load_history(project, Sql.of(project.overlay), settings or settings_of())
    try:
        yield history
    finally:
        history.close()

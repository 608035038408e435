"""The commands that ask what is published, and whether this root is well: diff, explain, sql, health."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from etl.cli.opening import look_at, settings_of
from etl.cli.options import Assignments, Evidence, Root
from etl.cli.result import Answer, checked


def diff(
    from_run: Annotated[str, typer.Argument(metavar="RUN_A", help="A published run's id.")],
    to_run: Annotated[str, typer.Argument(metavar="RUN_B", help="The id of the run to compare it with.")],
    root: Root = Path(),
    sample: Annotated[int, typer.Option("--sample", min=0, help="Examples of each kind of change.")] = 3,
    assignments: Assignments = None,
) -> Answer:
    """Show which rows of each dataset entered, left or changed between two runs, and why."""
    from etl.console.show import show_diff
    from etl.inspect.diff import diff as diff_of
    from etl.warehouse.read_only import PublishedWarehouse

    settings = settings_of(assignments)
    project = look_at(root)
    with PublishedWarehouse.open(project.warehouse) as warehouse:
        found = diff_of(project, warehouse, from_run, to_run, sample, settings.history_runs)
    return Answer(found, partial(show_diff, found))


def explain(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="An evidence_id, a row's id, a line_sha256, or path:line.")
    ],
    root: Root = Path(),
) -> Answer:
    """Show an id's way from file and line through rule and category to what each dataset decides, with its text."""
    from etl.console.show import show_explanation
    from etl.inspect.explain import explain as way_of
    from etl.warehouse.read_only import PublishedWarehouse

    with PublishedWarehouse.open(look_at(root).warehouse) as warehouse:
        found = way_of(warehouse, wanted)
    return Answer(found, partial(show_explanation, found))


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Any SQL that only reads.")], root: Root = Path()
) -> Answer:
    """Query the published warehouse. A query cannot write, and cannot read any other file."""
    from etl.base.signals import interrupting, run_stoppable
    from etl.console.show import show_rows
    from etl.warehouse.read_only import PublishedWarehouse

    def ask() -> tuple[list[str], list[tuple[Any, ...]]]:
        with PublishedWarehouse.open(project.warehouse) as warehouse, interrupting(warehouse.interrupt):
            return warehouse.query(query)

    project = look_at(root)
    names, rows = run_stoppable(ask)
    return Answer([dict(zip(names, row, strict=True)) for row in rows], partial(show_rows, names, rows))


def health(root: Root = Path(), evidence: Evidence = None) -> Answer:
    """Tell whether this root is fit for a run, and what to do if it is not."""
    from etl.inspect.health import examine

    return checked("health", examine(look_at(root, evidence), settings_of()))

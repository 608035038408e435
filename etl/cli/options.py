"""The options, each spelled once, and what commands make of them: a project, its configuration, its history, a request."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from etl.base.errors import UsageError
from etl.base.project import Project
from etl.console.parts import warn

if TYPE_CHECKING:
    from etl.base.configuration import Configuration
    from etl.context import Progress
    from etl.pipeline.request import Request
    from etl.warehouse.connection import Warehouse

Root = Annotated[Path, Option(help="The folder that holds warehouse/, exports/, reports/ and your own sql/.")]
Evidence = Annotated[Path | None, Option(help="The evidence folder (default: ROOT/evidence).")]
Sets = Annotated[list[str] | None, Option("--set", metavar="NAME=VALUE", help="Set a setting; may be given several times.")]
Threshold = Annotated[float | None, Option(help="The relative change above which drift warns.")]
RunId = Annotated[str | None, Argument(metavar="[RUN]", help="The id of a run (default: the newest run).")]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run starts from: the options of plan, run and run-all."""

    root: Root = Path()
    evidence: Evidence = None
    include_partial: Annotated[bool, Option("--include-partial", help="Admit partially_accepted into sft.")] = False
    include_review: Annotated[bool, Option("--include-review", help="Admit needs_human_review into rag.")] = False
    known_paths: Annotated[Path | None, Option(help="The repository's paths, as git ls-files prints them.")] = None
    holdout: Annotated[Path | None, Option(help="Tasks that no dataset may have: a task_id a line, or JSON Lines.")] = None
    sets: Sets = None
    follow_links: Annotated[bool, Option("--follow-links", help="Follow links out of the evidence folder.")] = False
    rehash: Annotated[bool, Option("--rehash", help="Read all files again, even those that seem unchanged.")] = False

    def request(self, project: Project, threshold: float | None = None) -> "Request":
        """Return the request to run all stages. Raises UsageError."""
        from etl.ingest.holdout import read_holdout
        from etl.ingest.known_paths import read_known_paths
        from etl.pipeline.request import Request

        flags = {name: getattr(self, name) or None for name in ("include_partial", "include_review", "follow_links")}
        places = {"evidence": self.evidence, "known_paths": self.known_paths, "holdout": self.holdout}
        configuration = configure(project, self.sets, drift_threshold=threshold, **flags, **places)
        configuration.require_evidence()
        for sentence in configuration.warnings():
            warn(sentence)

        def asked_by(name: str) -> str:
            place = configuration.given[name].place
            return place if place.startswith("--") else f"{place} names"

        paths = read_known_paths(configuration.known_paths, asked_by("known_paths")) if configuration.known_paths else None
        holdout = read_holdout(configuration.holdout, asked_by("holdout")) if configuration.holdout else None
        hashes = {"known_paths_sha256": paths and paths.sha256(), "holdout_sha256": holdout and holdout.sha256()}
        settings = configuration.settings.model_copy(update=hashes)
        return Request(with_evidence(project, configuration), settings, paths, holdout, rehash=self.rehash)


@dataclass(frozen=True, slots=True)
class Running(Inputs):
    """The options of run and run-all."""

    dry_run: Annotated[bool, Option("--dry-run", help="Say what would happen, and write nothing.")] = False
    recorded_at: Annotated[str | None, Option(help="The time that receipts give (ISO 8601; default: now).")] = None
    threshold: Threshold = None
    fail_fast: Annotated[bool, Option("--fail-fast", help="Fail, and publish nothing, if a line is skipped.")] = False
    force: Annotated[bool, Option("--force", help="Run the stages even if nothing changed.")] = False

    def request_for(self, stages: list[str], progress: "Progress") -> "Request":
        """Return the request to run stages by their names, all if none is named. Raises UsageError."""
        from etl.context import Clock
        from etl.pipeline.stages import stages_named

        asked = self.request(project_at(self.root, may_be_new=True), self.threshold)
        clock = Clock(_time(self.recorded_at) if self.recorded_at else None)
        chosen = stages_named(stages)
        return replace(asked, stages=chosen, clock=clock, progress=progress, fail_fast=self.fail_fast, force=self.force)


def _time(text: str) -> datetime:
    """Return a time in UTC; a text without an offset is in UTC. Raises UsageError."""
    try:
        given = datetime.fromisoformat(text)
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--recorded-at {text} is not an ISO 8601 time, such as 2026-01-31T12:00:00Z.") from None


def project_at(root: Path, may_be_new: bool = False) -> Project:
    """Return the project of a root that is there or, if it may be new, can be made. Raises UsageError."""
    can_be_made = may_be_new and not root.exists() and root.absolute().parent.is_dir()
    if not root.is_dir() and not can_be_made:
        problem = "there is no such folder, and none to make it in" if may_be_new else "there is no such folder"
        raise UsageError(f"{root}: {problem}; name the root with --root DIR.")
    return Project.at(root)


def look_at(root: Path) -> Project:
    """Return the project of a root; say on stderr if a run was cut there. Raises UsageError."""
    from etl.pipeline.staging import Staging

    staging = Staging(project_at(root))
    cut = staging.cut_run() if staging.journal.exists() or staging.export.exists() else None
    if cut:
        warn(cut)
    return staging.project


def configure(project: Project, sets: Sets = None, **flags: object) -> "Configuration":
    """Return what is configured for a project: by these flags, the environment and its etl.toml. Raises UsageError."""
    from etl.base.configuration import configure as configured
    from etl.warehouse.sql_files import Sql

    configuration = configured(project.configuration, os.environ, sets or [], flags)
    if configuration.sources:
        configuration.require_sources(Sql.of(project.overlay).sources)
    return configuration


def with_evidence(project: Project, configuration: "Configuration") -> Project:
    """Return the project with the folder of evidence that is configured. Raises UsageError."""
    return Project.at(project.root, configuration.evidence)


@contextmanager
def open_history(root: Path, sets: Sets = None, threshold: Threshold = None) -> "Iterator[tuple[Project, Warehouse]]":
    """Give the project of a root, and what is known of all its runs, in memory. Raises UsageError."""
    from etl.receipts.store import load_history
    from etl.warehouse.sql_files import Sql

    project = look_at(root)
    settings = configure(project, sets, drift_threshold=threshold).settings
    with closing(load_history(project, Sql.of(project.overlay), settings)) as history:
        yield project, history

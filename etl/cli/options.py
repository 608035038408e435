"""The options of the command line: each is spelled once, with what it means; commands that share several take a group."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.base.errors import SettingError, UsageError
from etl.cli.opening import project_at

if TYPE_CHECKING:
    from etl.context import Progress, Stage
    from etl.pipeline.run import Request

Root = Annotated[Path, typer.Option("--root", help="Where warehouse/, exports/, reports/ and an overlay sql/ are.")]
Evidence = Annotated[Path | None, typer.Option("--evidence", help="The evidence folder (default: ROOT/evidence).")]
IncludePartial = Annotated[bool, typer.Option("--include-partial", help="Admit partially_accepted into sft.")]
IncludeReview = Annotated[bool, typer.Option("--include-review", help="Admit needs_human_review into rag.")]
KnownPaths = Annotated[
    Path | None, typer.Option("--known-paths", help="Manifest of the repository's paths, as git ls-files prints it.")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow links that lead out of the evidence folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; write nothing.")]
RecordedAt = Annotated[
    str | None, typer.Option("--recorded-at", help="Pin the receipts' clock to this time (ISO 8601).")
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a setting; repeatable.")
]
Threshold = Annotated[float | None, typer.Option("--threshold", help="Relative swing that drift warns about.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Fail if a line was skipped; nothing is published.")]
Force = Annotated[bool, typer.Option("--force", help="Run the stages even where nothing changed.")]
Rehash = Annotated[
    bool,
    typer.Option("--rehash", help="Read and hash every file again, also where the file system says nobody touched it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id (default: the newest).")]
Against = Annotated[str | None, typer.Option("--against", metavar="RUN", help="Compare with this earlier run.")]
Pin = Annotated[
    str | None, typer.Option("--pin", metavar="RUN", help="Compare later runs with this one from now on, then stop.")
]
Unpin = Annotated[bool, typer.Option("--unpin", help="Compare each run with the one before it again, then stop.")]
Explain = Annotated[bool, typer.Option("--explain", help="List every comparison and what each condition said of it.")]
History = Annotated[bool, typer.Option("--history", help="Show the course of every figure over all runs, then stop.")]
FailOn = Annotated[str, typer.Option("--fail-on", help="The severity from which on the exit code is 3: alert or warn.")]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run, or the plan of one, goes out from."""

    root: Root = Path()
    evidence: Evidence = None
    include_partial: IncludePartial = False
    include_review: IncludeReview = False
    known_paths: KnownPaths = None
    assignments: Assignments = None
    follow_links: FollowLinks = False
    rehash: Rehash = False

    def request(
        self, stages: "tuple[Stage, ...] | None" = None, threshold: float | None = None, may_be_new: bool = False
    ) -> "Request":
        """Return the request for these stages, or all. Raises UsageError or SettingError where it makes no sense."""
        from etl.base.known_paths import read_known_paths
        from etl.base.settings import parse_settings
        from etl.pipeline.run import Request
        from etl.pipeline.stages import STAGES

        paths = read_known_paths(self.known_paths) if self.known_paths else None
        settings = parse_settings(
            self.assignments or [],
            include_partial=self.include_partial or None,
            include_review=self.include_review or None,
            follow_links=self.follow_links or None,
            drift_threshold=threshold,
            known_paths_sha256=paths.sha256() if paths else None,
        )
        project = project_at(self.root, self.evidence, may_be_new)
        return Request(project, settings, paths, stages or STAGES, rehash=self.rehash)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run goes about it."""

    dry_run: DryRun = False
    recorded_at: RecordedAt = None
    threshold: Threshold = None
    fail_fast: FailFast = False
    force: Force = False

    def request(self, inputs: Inputs, stages: list[str], progress: "Progress") -> "Request":
        """Return the request for stages by their names. Raises UsageError or SettingError where it makes no sense."""
        from etl.context import Clock

        asked = inputs.request(_stages(stages), self.threshold, may_be_new=True)
        clock = Clock(_time(self.recorded_at))
        return replace(asked, clock=clock, progress=progress, fail_fast=self.fail_fast, force=self.force)


def require_one_of(flags: dict[str, object]) -> None:
    """Raise UsageError where more than one of these flags is given."""
    given = [flag for flag, value in flags.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} ask for different things; give one of them.")


def _stages(names: list[str]) -> "tuple[Stage, ...]":
    """Return the named stages in their order, all where none is named."""
    from etl.pipeline.stages import STAGES

    exports = {stage.name for stage in STAGES if stage.exports}
    chosen: set[str] = set()
    for name in names or [stage.name for stage in STAGES]:
        if name == "export-all":
            chosen |= exports
        elif name in {stage.name for stage in STAGES}:
            chosen.add(name)
        else:
            known = ", ".join([*(stage.name for stage in STAGES), "export-all"])
            raise UsageError(f"There is no stage {name!r}; the stages are {known}.")
    return tuple(stage for stage in STAGES if stage.name in chosen)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingError(f"--recorded-at {text}: it is no ISO 8601 time, such as 2026-01-31T12:00:00Z.") from None

"""The settings: names, types, bounds and defaults, each defined here and nowhere else."""

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from etl.base.errors import UsageError

Fraction = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=0, le=1000)]
Few = Annotated[int, Field(ge=0, le=1_000_000_000)]
Positive = Annotated[int, Field(ge=1)]

#: Settings that no stage reads in Python: one of them concerns a stage only where a view that the stage reads names it.
#: Any other setting concerns every stage.
NOT_READ_BY_STAGES = frozenset(
    {
        *("accept_at", "partial_at", "grounded_accept_at", "grounded_partial_at"),
        *("max_pairs_per_task", "max_prompts_per_response", "include_partial", "include_review", "known_paths_sha256"),
        *("drift_threshold", "drift_min_count", "drift_significance"),
        *("drift_alert_change", "drift_alert_p", "drift_vanished_count"),
        *("history_runs", "threads", "memory_limit"),
    }
)

DRIFT_THRESHOLD_VARIABLE = "ETL_DRIFT_THRESHOLD"


class Settings(BaseModel):
    """Everything that can be set with ``--set NAME=VALUE``; what views may read of it is ``policy.setting``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    accept_at: Fraction = 0.9
    """Scores at or above this are accepted."""
    partial_at: Fraction = 0.5
    """Scores at or above this, and below accept_at, are partially accepted."""
    grounded_accept_at: Fraction = 0.8
    """Grounded fractions at or above this are accepted."""
    grounded_partial_at: Fraction = 0.5
    """Grounded fractions at or above this, and below grounded_accept_at, are partially accepted."""
    max_pairs_per_task: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many pairs a task may export, and how many records of each side are paired."""
    max_prompts_per_response: Annotated[int, Field(ge=1, le=1_000_000_000)] = 20
    """How many different prompts one long response may answer before all records that have it are refused."""
    include_partial: bool = False
    """Whether partially accepted records enter sft."""
    include_review: bool = False
    """Whether records that need human review enter rag."""
    max_depth: Annotated[int, Field(ge=1, le=200)] = 64
    """How many brackets of a JSON text may be open at once."""
    max_values: Annotated[int, Field(ge=1, le=10_000_000)] = 1_000_000
    """How many commas and opening brackets a line may have outside its strings."""
    max_line_bytes: Annotated[int, Field(ge=1, le=1 << 30)] = 64 << 20
    """The longest line that is read, in bytes."""
    max_unpacked_bytes: Positive = 256 << 30
    """How many bytes one compressed file may unpack to; the rest is skipped as one corrupt_stream."""
    max_unpack_ratio: Positive = 1000
    """How many times its own size a compressed file may unpack to, once that is over 16 MiB."""
    max_window_bytes: Annotated[int, Field(ge=1 << 10, le=1 << 31)] = 128 << 20
    """The largest window of a zstd or xz stream, in bytes: unpacking takes so much memory."""
    max_members: Positive = 100_000
    """How many files one archive may hold."""
    follow_links: bool = False
    """Whether links that lead out of the evidence folder are followed."""
    drift_threshold: Change = 0.2
    """The relative change above which drift warns, unless chance explains it."""
    drift_min_count: Few = 20
    """Drift judges a change only if one of its two counts is at least this."""
    drift_significance: Fraction = 0.05
    """The chance, over all comparisons of a run, that drift warns although nothing changed."""
    drift_alert_change: Change = 0.5
    """The relative change from which on drift alerts, if it is also less likely than drift_alert_p."""
    drift_alert_p: Fraction = 1e-6
    """Drift alerts only if a change is less likely by chance than this."""
    drift_vanished_count: Few = 20
    """Drift alerts when a class of at least this many records vanishes."""
    history_runs: Positive = 20
    """How many published runs etl diff can compare; the states of rows before them are dropped."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many threads DuckDB uses; null: one per core."""
    memory_limit: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")] | None = None
    """Memory of the whole process, give or take a third, such as 4GB; null: half of the machine's. Give 2GB or more."""
    known_paths_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The hash of the manifest of known paths; only --known-paths sets it."""

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> "Settings":
        """Require that what is partially accepted lies below what is accepted."""
        for lower, upper in (("partial_at", "accept_at"), ("grounded_partial_at", "grounded_accept_at")):
            low, high = getattr(self, lower), getattr(self, upper)
            if low > high:
                # not a ValueError: pydantic would keep it, and with it each frame that it came through
                raise PydanticCustomError("order", f"{lower} ({low}) must not exceed {upper} ({high})")
        return self

    def row(self) -> dict[str, Any]:
        """Return the row of ``policy.setting``: what the views read."""
        return self.model_dump(exclude={"history_runs", "threads", "memory_limit", "max_window_bytes", "max_members"})


def parse_settings(assignments: Iterable[str], **flags: Any) -> Settings:
    """Return the settings: defaults, then the environment, then ``NAME=VALUE`` assignments, then flags that are not None.

    Raises UsageError for an unknown name or a value that does not fit, naming where it came from.
    """
    threshold = os.environ.get(DRIFT_THRESHOLD_VARIABLE)
    values: dict[str, Any] = {"drift_threshold": threshold} if threshold else {}
    values |= map(_parse_assignment, assignments)
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise UsageError(_explain(error, values)) from None


def _parse_assignment(assignment: str) -> tuple[str, str | None]:
    """Return the name and the value in ``NAME=VALUE``; the value null is None. Raises UsageError."""
    name, equals, value = (part.strip() for part in assignment.partition("="))
    if not equals:
        raise UsageError(f"--set {assignment}: write it as NAME=VALUE.")
    known = [field for field in Settings.model_fields if field != "known_paths_sha256"]
    if name not in known:
        raise UsageError(f"--set {assignment}: there is no setting {name!r}; the settings are {', '.join(known)}.")
    return name, None if value.lower() in {"", "null"} else value


def _explain(error: ValidationError, values: Mapping[str, Any]) -> str:
    """Say in one sentence which setting cannot have its value, and where the value came from."""
    first = error.errors()[0]
    name, problem = ".".join(map(str, first["loc"])), first["msg"]
    if not name:
        return f"Settings contradict each other: {problem}."
    is_environment = name == "drift_threshold" and values[name] == os.environ.get(DRIFT_THRESHOLD_VARIABLE)
    origin = f" (from the environment variable {DRIFT_THRESHOLD_VARIABLE})" if is_environment else ""
    return f"Setting {name} cannot be {first['input']!r}{origin}: {problem[0].lower()}{problem[1:]}."

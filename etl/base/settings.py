"""The settings: names, types, bounds and defaults, each defined here and nowhere else."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=0, le=1000)]
Few = Annotated[int, Field(ge=0, le=1_000_000_000)]
Positive = Annotated[int, Field(ge=1, le=(1 << 63) - 1)]

#: The name that all settings of sources have together, where settings are named.
OF_SOURCES = "source_settings"

#: Settings that no stage reads in Python: one of them concerns a stage only where a view that the stage reads names it.
#: Any other setting concerns every stage.
NOT_READ_BY_STAGES = frozenset(
    {
        *("accept_at", "partial_at", "grounded_accept_at", "grounded_partial_at"),
        *("max_pairs_per_task", "max_prompts_per_response", "include_partial", "include_review", "known_paths_sha256"),
        *("validation_share", "test_share", "holdout_sha256"),
        *("drift_threshold", "drift_min_count", "drift_significance"),
        *("drift_alert_change", "drift_alert_p", "drift_vanished_count"),
        *("history_runs", "threads", "memory_limit", "part_items", "one_file", OF_SOURCES),
    }
)


class SourceSetting(NamedTuple):
    """A row of ``policy.source_setting``: a setting that a source has for itself, as text."""

    source: str
    name: str
    value: str


def _sorted(rows: tuple[SourceSetting, ...]) -> tuple[SourceSetting, ...]:
    return tuple(sorted(rows))


def is_of_source(name: str) -> bool:
    """Return whether a name under which receipts record a setting is that of a source's own."""
    return name.startswith("sources.")


def spelled_key(*parts: str) -> str:
    """Return a key of TOML: its parts joined by dots, in quotes where that is needed."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else _quoted(part) for part in parts)


def _quoted(part: str) -> str:
    return json.dumps(part, ensure_ascii=False).replace("\x7f", "\\u007f")


def _source_setting(key: str, value: object) -> SourceSetting:
    """Return the row that a spelled key, ``sources.NAME.KEY``, and its value stand for."""
    try:
        ((source, own),) = tomllib.loads(f"{key} = 0")["sources"].items()
        ((name, _),) = own.items()
    except (ValueError, KeyError, AttributeError):
        raise PydanticCustomError("key", "{key} is not the key of a source's setting", {"key": key}) from None
    return SourceSetting(source, name, str(value))


def _rows(given: object) -> object:
    """Return rows, also where values are given by spelled keys."""
    return tuple(_source_setting(*item) for item in given.items()) if isinstance(given, dict) else given


class Settings(BaseModel):
    """What decides what a run makes; what views may read of it is ``policy.setting`` and ``policy.source_setting``."""

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
    validation_share: Fraction = 0.0
    """Which share of the groups of tasks is the validation split; groups share no prompt."""
    test_share: Fraction = 0.0
    """Which share of the groups of tasks is the test split."""
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
    part_items: Annotated[int, Field(ge=10, le=1_000_000_000)] = 100_000
    """How many records a part of a dataset may span, fewer where their texts exceed 256 MiB; at least a fifth, if it can."""
    one_file: bool = False
    """Whether each dataset is one file, such as exports/rag/playbooks.parquet, and not a folder of parts."""
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
    """The hash of the manifest of known paths, which follows from it."""
    holdout_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The hash of the hold-out, which follows from it."""
    source_settings: Annotated[tuple[SourceSetting, ...], BeforeValidator(_rows), AfterValidator(_sorted)] = ()
    """What stands below [sources.NAME] in etl.toml, for the mappings of these sources."""

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> "Settings":
        """Require that what is partially accepted lies below what is accepted."""
        for lower, upper in (("partial_at", "accept_at"), ("grounded_partial_at", "grounded_accept_at")):
            low, high = getattr(self, lower), getattr(self, upper)
            if low > high:
                # not a ValueError: pydantic would keep it, and with it each frame that it came through
                facts = {"lower": lower, "low": low, "upper": upper, "high": high}
                raise PydanticCustomError("order", "{lower} ({low}) must not exceed {upper} ({high})", facts)
        if self.validation_share + self.test_share > 1:
            facts = {"lower": "validation_share", "low": self.validation_share, "upper": "test_share", "high": self.test_share}
            raise PydanticCustomError("sum", "{lower} ({low}) and {upper} ({high}) must not exceed 1 together", facts)
        return self

    def row(self) -> dict[str, Any]:
        """Return the row of ``policy.setting``: what the views read."""
        unread = {"history_runs", "threads", "memory_limit", "max_window_bytes", "max_members", OF_SOURCES}
        return self.model_dump(exclude=unread)

    def recorded(self) -> dict[str, bool | int | float | str | None]:
        """Return the settings as receipts record them, by name; a source's by ``sources.NAME.KEY``, as TOML spells it."""
        own = {spelled_key("sources", row.source, row.name): row.value for row in self.source_settings}
        return self.model_dump(exclude={OF_SOURCES}) | own

    @classmethod
    def from_recorded(cls, values: Mapping[str, bool | int | float | str | None]) -> "Settings":
        """Return the settings that receipts record. Raises pydantic.ValidationError where this version does not take one."""
        own = {name: value for name, value in values.items() if is_of_source(name)}
        others = {name: value for name, value in values.items() if not is_of_source(name)}
        return cls.model_validate(others | {OF_SOURCES: own})

"""The settings: names, types, bounds and defaults, each defined here and nowhere else."""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from etl.base.errors import SettingError

Fraction = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=0, le=1000)]
Few = Annotated[int, Field(ge=0, le=1_000_000_000)]

#: Settings that no stage reads in Python: one of them concerns a stage only where a view that the stage reads names it.
#: Any other setting concerns every stage.
NOT_READ_BY_STAGES = frozenset(
    {
        "accept_at",
        "partial_at",
        "grounded_accept_at",
        "grounded_partial_at",
        "max_pairs_per_task",
        "include_partial",
        "include_review",
        "known_paths_sha256",
        "drift_threshold",
        "drift_min_count",
        "drift_significance",
        "drift_alert_change",
        "drift_alert_p",
        "drift_vanished_count",
        "history_runs",
        "threads",
        "memory_limit",
    }
)

DRIFT_THRESHOLD_VARIABLE = "ETL_DRIFT_THRESHOLD"


class Settings(BaseModel):
    """Everything that can be set with ``--set NAME=VALUE``; the views read it as ``policy.setting``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    accept_at: Fraction = Field(0.9, description="A score from here on is accepted.")
    partial_at: Fraction = Field(0.5, description="A score from here on is partially accepted.")
    grounded_accept_at: Fraction = Field(0.8, description="A grounded fraction from here on is accepted.")
    grounded_partial_at: Fraction = Field(0.5, description="A grounded fraction from here on is partially accepted.")
    max_pairs_per_task: Annotated[int, Field(ge=1, le=1000)] = Field(
        5, description="Pairs exported per task, and the best of each side that are paired."
    )
    include_partial: bool = Field(False, description="Admit partially_accepted into sft.")
    include_review: bool = Field(False, description="Admit needs_human_review into rag.")
    max_depth: Annotated[int, Field(ge=1, le=200)] = Field(64, description="Brackets that may be open at once.")
    max_values: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        1_000_000,
        description="Commas and opening brackets that a line may hold outside strings: a bound of its values.",
    )
    max_line_bytes: Annotated[int, Field(ge=1, le=1 << 30)] = Field(64 << 20, description="Longest line, in bytes.")
    max_unpacked_bytes: Annotated[int, Field(ge=1)] = Field(
        256 << 30, description="Bytes that one compressed file may unpack to; the rest is one corrupt_stream."
    )
    max_unpack_ratio: Annotated[int, Field(ge=1)] = Field(
        1000, description="Times its size that a compressed file may unpack to, once that is over 16 MiB."
    )
    follow_links: bool = Field(False, description="Follow links that lead out of the evidence folder.")
    drift_threshold: Change = Field(0.2, description="Relative swing above which drift warns, if it is no chance.")
    drift_min_count: Few = Field(20, description="The larger of two counts from which on drift judges their swing.")
    drift_significance: Fraction = Field(
        0.05, description="Chance, over all comparisons of a run together, that drift takes chance for a swing."
    )
    drift_alert_change: Change = Field(0.5, description="Relative swing from which on drift alerts, see drift_alert_p.")
    drift_alert_p: Fraction = Field(1e-6, description="An alert's swing is less likely than this to be chance.")
    drift_vanished_count: Few = Field(20, description="Records from which on a vanished class is an alert.")
    history_runs: Annotated[int, Field(ge=1)] = Field(
        20, description="Published runs whose rows etl diff can compare; older states are dropped."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(None, description="DuckDB threads; null: all cores.")
    memory_limit: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$",
        description="Memory of the whole process, such as 4GB, give or take a third; null: half of the machine's. From 2GB on.",
    )
    known_paths_sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Hash of the manifest of known paths; set by --known-paths alone."
    )

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> "Settings":
        for lower, upper in (("partial_at", "accept_at"), ("grounded_partial_at", "grounded_accept_at")):
            low, high = getattr(self, lower), getattr(self, upper)
            if low > high:
                # not a ValueError: pydantic would keep it, and with it each frame that it came through
                raise PydanticCustomError("order", f"{lower} ({low}) must not exceed {upper} ({high})")
        return self

    def row(self) -> dict[str, Any]:
        """Return the row of ``policy.setting``: what the views read."""
        return self.model_dump(exclude={"history_runs", "threads", "memory_limit"})


def parse_settings(assignments: Iterable[str], **flags: Any) -> Settings:
    """Return the settings: defaults, then the environment, then ``NAME=VALUE`` assignments, then flags that are not None.

    Raises SettingError for an unknown name or a value that does not fit, naming where it came from.
    """
    values: dict[str, Any] = {}
    if os.environ.get(DRIFT_THRESHOLD_VARIABLE):
        values["drift_threshold"] = os.environ[DRIFT_THRESHOLD_VARIABLE]
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        name = name.strip()
        if not equals:
            raise SettingError(f"--set {assignment}: write it as NAME=VALUE.")
        if name not in Settings.model_fields or name == "known_paths_sha256":
            known = ", ".join(field for field in Settings.model_fields if field != "known_paths_sha256")
            raise SettingError(f"--set {assignment}: there is no setting {name!r}; the settings are {known}.")
        values[name] = None if value.strip().lower() in {"", "null"} else value.strip()
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if not name:
            raise SettingError(f"Settings contradict each other: {first['msg']}.") from None
        origin = (
            f" (from the environment variable {DRIFT_THRESHOLD_VARIABLE})"
            if name == "drift_threshold" and values[name] == os.environ.get(DRIFT_THRESHOLD_VARIABLE)
            else ""
        )
        raise SettingError(
            f"Setting {name} cannot be {first['input']!r}{origin}: {first['msg'][0].lower()}{first['msg'][1:]}."
        ) from None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of known paths: where it is, and the distinct paths that it names, sorted."""

    file: Path
    paths: tuple[str, ...]

    def sha256(self) -> str:
        """Return the sha256 hex over the paths, joined by line feeds."""
        return hashlib.sha256("\n".join(self.paths).encode()).hexdigest()


def read_known_paths(file: Path) -> Manifest:
    """Read a manifest: one path a line, as ``git ls-files`` prints them.

    A line in double quotes is unquoted as git quotes (C escapes, octal bytes). Raises SettingError where the file
    cannot be read or is not UTF-8.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise SettingError(f"--known-paths {file}: it cannot be read: {error.strerror}.") from None
    paths = set()
    for number, line in enumerate(lines, start=1):
        entry = line.removesuffix(b"\r")
        if not entry:
            continue
        try:
            paths.add(_unquoted(entry).decode("utf-8"))
        except UnicodeDecodeError:
            raise SettingError(f"--known-paths {file}, line {number}: the path is not UTF-8.") from None
    return Manifest(file, tuple(sorted(paths)))


_OCTAL = re.compile(rb"[0-3][0-7]{2}")
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}


def _unquoted(entry: bytes) -> bytes:
    if len(entry) < 2 or not (entry.startswith(b'"') and entry.endswith(b'"')):
        return entry
    inner, plain, at = entry[1:-1], bytearray(), 0
    while at < len(inner):
        if inner[at : at + 1] != b"\\":
            plain += inner[at : at + 1]
            at += 1
        elif inner[at + 1 : at + 2] in _ESCAPES:
            plain.append(_ESCAPES[inner[at + 1 : at + 2]])
            at += 2
        elif _OCTAL.fullmatch(inner[at + 1 : at + 4]):
            plain.append(int(inner[at + 1 : at + 4], 8))
            at += 4
        else:
            return entry
    return bytes(plain)

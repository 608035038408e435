"""What is configured, and where each value comes from: flags over the environment, over etl.toml, over the defaults.

The names are those of ``Settings`` and three places, ``evidence``, ``known_paths`` and ``holdout``. A source's own settings
stand in etl.toml alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from etl.base.errors import NotFoundError, UsageError
from etl.base.settings import OF_SOURCES, Settings, SourceSetting, spelled_key
from etl.base.toml_file import TomlFile, read_toml

#: A variable of the environment with this beginning sets the setting that its ending names.
PREFIX = "ETL_"

#: What can be configured beside the settings, because it is a place on one machine.
PLACES = ("evidence", "known_paths", "holdout")

#: Settings that follow from the files at these places.
_FOLLOWING = {"known_paths_sha256", "holdout_sha256"}

#: All names that can be set.
NAMES = (*(name for name in Settings.model_fields if name not in {*_FOLLOWING, OF_SOURCES}), *PLACES)

#: The flags that are not named as what they set.
_FLAGS = {"drift_threshold": "--threshold"}

#: The integers that TOML promises to hold.
_INTEGERS = range(-(1 << 63), 1 << 63)


class Origin(NamedTuple):
    """Where a value comes from: ``kind`` is default, etl.toml, environment or flag; ``name`` is what gave it there."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return {"default": "default", "etl.toml": self.name}.get(self.kind, f"{self.kind} {self.name}")


DEFAULT = Origin("default")


class Given(NamedTuple):
    """A value that somebody gave, and where; ``place`` names that in a sentence."""

    value: Any
    origin: Origin
    place: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is configured for a root.

    ``evidence`` is None where it is ROOT/evidence, ``known_paths`` where cited paths are not checked, ``holdout`` where no task
    is reserved. ``given`` has what was
    given by its name, that of a source's setting as TOML spells it. ``sources`` are the sources that etl.toml names, and where;
    ``strangers`` are variables of the environment that look like settings and are none.
    """

    settings: Settings
    evidence: Path | None = None
    known_paths: Path | None = None
    holdout: Path | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()

    def origin(self, name: str) -> Origin:
        """Return where the value of a setting comes from."""
        return self.given[name].origin if name in self.given else DEFAULT

    def require_evidence(self) -> None:
        """Raise NotFoundError where a folder of evidence is configured that is not there."""
        given = self.given.get("evidence")
        if self.evidence and given and given.origin.kind != "flag" and not self.evidence.is_dir():
            raise NotFoundError(f"{self.evidence}: there is no such evidence folder; mend evidence in {given.place}.")

    def require_sources(self, known: Iterable[str]) -> None:
        """Raise UsageError where etl.toml has settings for a source that is not known: nothing would read them."""
        names = sorted(known)
        for source, place in self.sources.items():
            if source not in names:
                header = spelled_key("sources", source)
                raise UsageError(
                    f"{place}: [{header}] names no source that has a mapping; those that have one are {', '.join(names)}."
                )

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each variable of the environment that may be meant to be a setting, but is none."""
        for variable in self.strangers:
            close = get_close_matches(variable, map(_variable, NAMES), n=1)
            meant = f"{close[0]} is one" if close else "etl health --json lists those there are"
            yield f"The environment variable {variable} is no setting and has no effect; {meant}."


def configure(
    file: Path, environment: Mapping[str, str], assignments: Iterable[str] = (), flags: Mapping[str, object] | None = None
) -> Configuration:
    """Return what a root's etl.toml sets, over it the environment, over that ``NAME=VALUE`` assignments, and flags over all.

    A path in the file is relative to its folder. A flag that is None is not given. Raises UsageError for an unknown name, or a
    value that does not fit, also where another value is over it; the sentence names where it was given.
    """
    content = read_toml(file)
    own = dict(_of_sources(content, file))
    layers = (
        dict(_in_file(content, file)),
        dict(_in_environment(environment)),
        dict(map(_parse_assignment, assignments)),
        dict(_in_flags(flags or {})),
    )
    for layer in layers:
        _require_fit(layer)
    given = {name: value for layer in layers for name, value in layer.items()}
    values = {name: value.value for name, value in given.items()}
    places = {name: values.pop(name, None) for name in PLACES}
    try:
        settings = Settings(**values, source_settings=tuple(own))
    except ValidationError as error:
        raise UsageError(_explain_contradiction(error, given)) from None
    return Configuration(
        settings=settings,
        **places,
        given=given | {spelled_key("sources", row.source, row.name): value for row, value in own.items()},
        sources={name: _place(content, file, "sources", name) for name in content.values.get("sources", {})},
        strangers=tuple(sorted(_strangers(environment))),
    )


# --- etl.toml ---------------------------------------------------------------------------------------------------------------


def _place(content: TomlFile, file: Path, *key: str) -> str:
    """Return the file and the line of a key."""
    return f"{file}:{content.lines[key]}"


def _in_file(content: TomlFile, file: Path) -> Iterator[tuple[str, Given]]:
    """Yield what etl.toml gives, but for the settings of sources. Raises UsageError."""
    for name, value in content.values.items():
        place = _place(content, file, name)
        if name not in (*NAMES, "sources"):
            known = f"the settings are {', '.join(NAMES)}; those of a source stand below [sources.NAME]"
            raise UsageError(f"{place}: there is no setting {name!r}; {known}.")
        is_path = isinstance(value, str) and value and "\0" not in value
        if name in PLACES and not is_path:
            raise UsageError(f"Setting {name} cannot be {_shown(value)} (from {place}): give the path of a file or folder.")
        if name != "sources":
            origin = Origin("etl.toml", f"{file.name}:{content.lines[name,]}")
            yield name, Given(file.parent / value if name in PLACES else value, origin, place)


def _of_sources(content: TomlFile, file: Path) -> Iterator[tuple[SourceSetting, Given]]:
    """Yield the settings that etl.toml gives to sources, as text. Raises UsageError."""
    sources = content.values.get("sources", {})
    if not isinstance(sources, dict):
        place = _place(content, file, "sources")
        raise UsageError(f"{place}: sources cannot be {_shown(sources)}; give a source its settings below [sources.NAME].")
    for source, settings in sources.items():
        place = _place(content, file, "sources", source)
        if not isinstance(settings, dict):
            name = spelled_key("sources", source)
            raise UsageError(f"{place}: {name} cannot be {_shown(settings)}; give the source its settings below [{name}].")
        for name, value in settings.items():
            place = _place(content, file, "sources", source, name)
            text = _text_of(value)
            if text is None:
                key = spelled_key("sources", source, name)
                raise UsageError(f"{place}: {key} cannot be {_shown(value)}; give a text, a number or a boolean.")
            origin = Origin("etl.toml", f"{file.name}:{content.lines['sources', source, name]}")
            yield SourceSetting(source, name, text), Given(text, origin, place)


def _text_of(value: object) -> str | None:
    """Return a text, a number in its shortest form, or true or false; None for any other value."""
    match value:
        case bool():
            return str(value).lower()
        case int() if value in _INTEGERS:
            return str(value)
        case float() if isfinite(value):
            return repr(value)
        case str():
            return value
        case _:
            return None


# --- the environment and the flags ------------------------------------------------------------------------------------------


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _in_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    """Yield what variables give that are not blank."""
    for name in NAMES:
        text = environment.get(_variable(name), "").strip()
        if text:
            place = f"the environment variable {_variable(name)}"
            yield name, Given(_value_of(name, text), Origin("environment", _variable(name)), place)


def _strangers(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that have the beginning of a setting and the name of none."""
    known = {*map(_variable, NAMES)}
    return (variable for variable in environment if variable.startswith(PREFIX) and variable not in known)


def _parse_assignment(assignment: str) -> tuple[str, Given]:
    """Return the name and the value in ``NAME=VALUE``; the value null is None. Raises UsageError."""
    name, equals, text = (part.strip() for part in assignment.partition("="))
    if not equals:
        raise UsageError(f"--set {assignment}: write it as NAME=VALUE.")
    if name not in NAMES:
        raise UsageError(f"--set {assignment}: there is no setting {name!r}; the settings are {', '.join(NAMES)}.")
    return name, Given(_value_of(name, text), Origin("flag", "--set"), "--set")


def _value_of(name: str, text: str) -> str | Path | None:
    """Return a value that is given as text: of a place its path; null, or nothing, is None."""
    if text.lower() in {"", "null"}:
        return None
    return Path(text) if name in PLACES else text


def _in_flags(flags: Mapping[str, object]) -> Iterator[tuple[str, Given]]:
    for name, value in flags.items():
        if value is not None:
            flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
            yield name, Given(value, Origin("flag", flag), flag)


# --- values that do not fit -------------------------------------------------------------------------------------------------


def _require_fit(layer: Mapping[str, Given]) -> None:
    """Require that each value alone fits its setting; in etl.toml its type must be the setting's too. Raises UsageError."""
    values = {name: given.value for name, given in layer.items() if name not in PLACES}
    is_typed = any(given.origin.kind == "etl.toml" for given in layer.values())
    try:
        Settings.model_validate(values, strict=is_typed)
    except ValidationError as error:
        for wrong in error.errors():
            if wrong["loc"]:  # what contradicts another value may be overridden
                name, problem = str(wrong["loc"][0]), wrong["msg"]
                what = f"Setting {name} cannot be {_shown(values[name])} (from {layer[name].place})"
                raise UsageError(f"{what}: {problem[0].lower()}{problem[1:]}.") from None


def _explain_contradiction(error: ValidationError, given: Mapping[str, Given]) -> str:
    """Say in one sentence which two settings contradict each other, and where their values come from."""
    first = error.errors()[0]
    names = (first["ctx"]["lower"], first["ctx"]["upper"])
    places = (f"{name} is from {given[name].place if name in given else 'the default'}" for name in names)
    return f"Settings contradict each other: {first['msg']}; {' and '.join(places)}."


def _shown(value: object) -> str:
    """Return a value as a sentence names it."""
    return str(value) if isinstance(value, date | time) else repr(value)

"""What is configured: which value wins, what is refused and with which sentence, and where each value comes from."""

import random
import string
from collections.abc import Mapping
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.base.configuration import NAMES, PLACES, Configuration, configure
from etl.base.errors import NotFoundError, UsageError
from etl.base.settings import OF_SOURCES, Settings, SourceSetting, spelled_key
from etl.base.toml_file import read_toml

#: A setting of each kind, with five values: its default, then one for each place where it can be given, in their order.
KINDS: dict[str, tuple[Any, ...]] = {
    "accept_at": (0.9, 0.8, 0.7, 0.6, 0.95),
    "max_pairs_per_task": (5, 1, 2, 3, 4),
    "include_partial": (False, True, False, True, False),
    "memory_limit": (None, "4GB", "5 GB", "6GiB", "7GB"),
    "threads": (None, 1, 2, 3, 4),
}

LAYERS = range(1, 5)
ORIGINS = ("default", "etl.toml:1", "environment ETL_{}", "flag --set", "flag --{}")


def toml(value: object) -> str:
    """Return a value as TOML spells it."""
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def configured(
    file: Path, text: str = "", environment: Mapping[str, str] | None = None, *sets: str, **flags: Any
) -> Configuration:
    """Return what these give, the text as that of etl.toml."""
    file.write_text(text, encoding="utf-8")
    return configure(file, environment or {}, sets, flags)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of an etl.toml."""
    return tmp_path / "etl.toml"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("layers", [*chain.from_iterable(combinations(LAYERS, count) for count in range(5))])
def test_the_highest_place_wins(file: Path, name: str, layers: tuple[int, ...]) -> None:
    """Whatever of them gives a value: flags outweigh --set, the environment, etl.toml and the default, in this order."""
    values = KINDS[name]
    text = f"{name} = {toml(values[1])}\n" if 1 in layers else ""
    environment = {f"ETL_{name.upper()}": str(values[2])} if 2 in layers else {}
    sets = [f"{name}={values[3]}"] if 3 in layers else []
    flags = {name: values[4]} if 4 in layers else {name: None}
    found = configured(file, text, environment, *sets, **flags)
    highest = max(layers, default=0)
    assert found.settings == Settings(**{name: values[highest]})
    spelled = {2: name.upper(), 4: name.replace("_", "-")}.get(highest, "")
    assert str(found.origin(name)) == ORIGINS[highest].format(spelled)
    assert {str(found.origin(other)) for other in NAMES if other != name} == {"default"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PLACES])
def test_each_setting_is_the_same_from_everywhere(file: Path, name: str) -> None:
    """A value gives the same settings, whether etl.toml, the environment or --set has it."""
    value = Settings.model_fields[name].default
    value = {"threads": 3, "memory_limit": "4GB"}[name] if value is None else value
    wanted = Settings(**{name: value})
    assert configured(file, f"{name} = {toml(value)}").settings == wanted
    assert configured(file, "", {f"ETL_{name.upper()}": str(value)}).settings == wanted
    assert configured(file, "", {}, f"{name}={value}").settings == wanted


@pytest.mark.parametrize("name", PLACES)
def test_a_path_is_relative_to_where_it_is_given(file: Path, name: str) -> None:
    """In etl.toml a path is relative to the root, elsewhere to the current folder."""
    variable = f"ETL_{name.upper()}"
    assert getattr(configured(file), name) is None
    assert getattr(configured(file, f'{name} = "a/b"'), name) == file.parent / "a/b"
    assert getattr(configured(file, f'{name} = "/a/b"'), name) == Path("/a/b")
    assert getattr(configured(file, f'{name} = "x"', {variable: "a/b"}), name) == Path("a/b")
    assert getattr(configured(file, f'{name} = "x"', {variable: "y"}, f"{name}=a/b"), name) == Path("a/b")
    assert getattr(configured(file, f'{name} = "x"', {variable: "y"}, f"{name}=z", **{name: Path("a")}), name) == Path("a")
    assert getattr(configured(file, f'{name} = "x"', {variable: "null"}), name) is None


def test_null_takes_a_value_away(file: Path) -> None:
    """Null in a flag or the environment stands for nothing, over a value in etl.toml; an empty variable is as good as none."""
    text = 'memory_limit = "4GB"'
    assert configured(file, text, {"ETL_MEMORY_LIMIT": " "}).settings.memory_limit == "4GB"
    assert configured(file, text, {"ETL_MEMORY_LIMIT": "null"}).settings.memory_limit is None
    assert configured(file, text, {}, "memory_limit=null").settings.memory_limit is None


SOURCES = """\
accept_at = 0.5

[sources.sessions]
text = "ä\\u0000 'b'"
yes = true
no = false
integer = 0x10
number = 1.50
large = 1e300
"a.b c" = ""

[sources."a.b"]
x.y = 1
"""


def test_settings_of_sources_are_texts(file: Path) -> None:
    """Booleans are true or false, numbers stand in their shortest form, texts as they are."""
    text = SOURCES.replace("x.y", "x")
    found = configured(file, text)
    assert {(row.source, row.name): row.value for row in found.settings.source_settings} == {
        ("sessions", "text"): "ä\0 'b'",
        ("sessions", "yes"): "true",
        ("sessions", "no"): "false",
        ("sessions", "integer"): "16",
        ("sessions", "number"): "1.5",
        ("sessions", "large"): "1e+300",
        ("sessions", "a.b c"): "",
        ("a.b", "x"): "1",
    }
    assert str(found.origin('sources.sessions."a.b c"')) == "etl.toml:10"
    assert found.sources == {"sessions": f"{file}:3", "a.b": f"{file}:12"}
    found.require_sources(["sessions", "a.b"])
    with pytest.raises(
        UsageError, match=r':12: \[sources."a.b"\] names no source that has a mapping; .* one are b, sessions\.$'
    ):
        found.require_sources(["sessions", "b"])


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), min_size=1)] * 2, st.text()), unique_by=lambda r: r[:2]
    )
)
def test_receipts_hold_all_settings(rows: list[tuple[str, str, str]]) -> None:
    """What receipts record gives the same settings again, whatever sources and keys are called."""
    settings = Settings(accept_at=0.8, source_settings=tuple(SourceSetting(*row) for row in rows))
    assert Settings.from_recorded(settings.recorded()) == settings
    assert len(settings.recorded()) == len(Settings().recorded()) + len(rows)
    assert OF_SOURCES not in settings.recorded()


WRONG = {
    "colour = 1": "etl.toml:1: there is no setting 'colour'; the settings are accept_at, partial_at, ",
    "# x\n\n\nknown_paths_sha256 = 'a'": "etl.toml:4: there is no setting 'known_paths_sha256'; the settings are ",
    "source_settings = []": "etl.toml:1: there is no setting 'source_settings'; ",
    "[include_partial]": "Setting include_partial cannot be {} (from #etl.toml:1): input should be a valid boolean.",
    "x = '''\naccept_at = 3\n'''": "etl.toml:1: there is no setting 'x'",
    "\naccept_at = 2": "Setting accept_at cannot be 2 (from #etl.toml:2): input should be less than or equal to 1.",
    "accept_at = '0.8'": "Setting accept_at cannot be '0.8' (from #etl.toml:1): input should be a valid number.",
    "accept_at = nan": "Setting accept_at cannot be nan (from #etl.toml:1): input should be a finite number.",
    "include_partial = 1": "Setting include_partial cannot be 1 (from #etl.toml:1): input should be a valid boolean.",
    "include_partial = 'yes'": "Setting include_partial cannot be 'yes' (from #etl.toml:1): ",
    "threads = true": "Setting threads cannot be True (from #etl.toml:1): input should be a valid integer.",
    "threads = 1.0": "Setting threads cannot be 1.0 (from #etl.toml:1): input should be a valid integer.",
    "memory_limit = 4": "Setting memory_limit cannot be 4 (from #etl.toml:1): input should be a valid string.",
    "memory_limit = 2026-01-31": "Setting memory_limit cannot be 2026-01-31 (from #etl.toml:1): ",
    "max_unpacked_bytes = 10_000_000_000_000_000_000": "Setting max_unpacked_bytes cannot be 10000000000000000000 ",
    "known_paths = true": "Setting known_paths cannot be True (from #etl.toml:1): give the path of a file or folder.",
    "known_paths = ''": "Setting known_paths cannot be '' (from #etl.toml:1): ",
    'evidence = "a\\u0000"': "Setting evidence cannot be 'a\\x00' (from #etl.toml:1): ",
    "evidence = ['a']": "Setting evidence cannot be ['a'] (from #etl.toml:1): ",
    "sources = 1": "etl.toml:1: sources cannot be 1; give a source its settings below [sources.NAME].",
    "[[sources]]": "etl.toml:1: sources cannot be [{}]; ",
    "[sources]\nx = 1": "etl.toml:2: sources.x cannot be 1; give the source its settings below [sources.x].",
    "[sources.x]\ny = 1\nz = [1]": "etl.toml:3: sources.x.z cannot be [1]; give a text, a number or a boolean.",
    "[sources.x]\n'é' = 10:00:00": 'etl.toml:2: sources.x."é" cannot be 10:00:00; ',
    "[sources.x.y]\nz = 1": "etl.toml:1: sources.x.y cannot be {'z': 1}; ",
    "[sources.x]\ny = inf": "etl.toml:2: sources.x.y cannot be inf; ",
    "[sources.x]\ny = 9_999_999_999_999_999_999": "etl.toml:2: sources.x.y cannot be 9999999999999999999; ",
    "accept_at = 0.1": "partial_at (0.5) must not exceed accept_at (0.1); "
    "partial_at is from the default and accept_at is from #etl.toml:1.",
    "accept_at 1": "etl.toml:1: it is not TOML (Expected '=' after a key in a key/value pair); mend this line.",
    "threads = 1\nthreads = 2": "etl.toml:2: it is not TOML (Cannot overwrite a value); mend this line.",
    "threads = [\n1": "etl.toml:2: it is not TOML (",
    f"threads = {'9' * 5000}": "etl.toml:1: it is not TOML (",
    f"threads = {'[' * 50_000}": "etl.toml: its values are nested too deeply; ",
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.items())
def test_what_is_wrong_in_the_file_is_one_sentence(file: Path, text: str, sentence: str) -> None:
    """An unknown key, or a value that does not fit, is refused with the file and the line, even if a flag outweighs it."""
    with pytest.raises(UsageError) as wrong:
        configured(file, text)
    said = str(wrong.value)
    assert sentence.replace("#", f"{file.parent}/") in said
    assert said.count("\n") == 0
    assert said.endswith(".")
    if said.startswith("Setting "):
        with pytest.raises(UsageError, match=r"etl\.toml:"):
            configured(
                file, text, {}, "accept_at=0.9", "include_partial=true", "threads=1", "memory_limit=4GB", "known_paths=a"
            )


def test_what_is_wrong_elsewhere_is_one_sentence(file: Path) -> None:
    """The sentence names the variable or the flag; what contradicts another value, where both come from."""
    variable = r"^Setting accept_at cannot be '2' \(from the environment variable ETL_ACCEPT_AT\): input should be less than"
    with pytest.raises(UsageError, match=variable):
        configured(file, "", {"ETL_ACCEPT_AT": "2"}, "accept_at=0.9")
    with pytest.raises(
        UsageError, match=r"^Setting threads cannot be 'x' \(from --set\): input should be a valid integer, unable"
    ):
        configured(file, "", {}, "threads=x")
    with pytest.raises(UsageError, match=r"^Setting drift_threshold cannot be -1.0 \(from --threshold\): "):
        configured(file, drift_threshold=-1.0)
    with pytest.raises(
        UsageError, match=r"partial_at is from --set and accept_at is from the environment variable ETL_ACCEPT_AT\.$"
    ):
        configured(file, "partial_at = 0.1", {"ETL_ACCEPT_AT": "0.6"}, "partial_at=0.7")


def test_values_that_contradict_each_other_in_one_place_may_agree_in_all(file: Path) -> None:
    """What etl.toml alone would not allow is fine where another value outweighs one of its own."""
    assert configured(file, "partial_at = 0.95", {"ETL_ACCEPT_AT": "0.99"}).settings == Settings(
        partial_at=0.95, accept_at=0.99
    )


def test_a_file_that_is_no_text(file: Path) -> None:
    """Bytes that are not UTF-8, a folder and a link to nothing are refused; a byte order mark and CRLF are not."""
    file.write_bytes(b"# a\nthreads = 1 # \xe4\n")
    with pytest.raises(UsageError, match=r"etl\.toml:2: it is not UTF-8; write the file in UTF-8\.$"):
        configure(file, {})
    file.write_bytes(b"\xef\xbb\xbfthreads = 1\r\naccept_at = 0.8\r\n")
    assert configure(file, {}).settings == Settings(threads=1, accept_at=0.8)
    file.unlink()
    assert configure(file, {}).settings == Settings()
    file.symlink_to("nowhere")
    with pytest.raises(UsageError, match="it cannot be read: No such file or directory"):
        configure(file, {})
    file.unlink()
    file.mkdir()
    with pytest.raises(UsageError, match="it cannot be read: Is a directory"):
        configure(file, {})


def test_the_line_of_each_key(file: Path) -> None:
    """The line on which the statement of a key begins, in random files of all forms of statements."""
    chance = random.Random(3)
    for _ in range(60):
        lines, wanted, table = [], {}, ()
        for number in range(chance.randrange(1, 30)):
            name = "".join(chance.choices(string.ascii_letters, k=3)) + str(number)
            at = len(lines) + 1
            match chance.randrange(6):
                case 0:
                    lines += ["", "# x = 1"]
                case 1:
                    table = ("t", name)
                    lines.append(f"  [t . '{name}'] # [x]")
                    wanted[table] = at
                case 2:
                    lines += [f'{name} = """', "x = 1", "[y]", '"""']
                    wanted[*table, name] = at
                case 3:
                    lines += [f"{name} = [", "  1, # ]", "  2]"]
                    wanted[*table, name] = at
                case 4:
                    lines.append(f'"{name}".b = {{ c = "=" }}')
                    wanted |= {(*table, name): at, (*table, name, "b"): at, (*table, name, "b", "c"): at}
                case _:
                    lines.append(f"{name} = 1")
                    wanted[*table, name] = at
        file.write_text("\n".join(lines), encoding="utf-8")
        found = dict(read_toml(file).lines)
        found.pop(("t",), None)
        assert found == wanted, lines


def test_a_folder_of_evidence_that_is_not_there(file: Path) -> None:
    """The sentence says which line or variable names it; a flag needs no such hint."""
    with pytest.raises(NotFoundError, match=r"gone: there is no such evidence folder; mend evidence in .*etl\.toml:1\.$"):
        configured(file, 'evidence = "gone"').require_evidence()
    with pytest.raises(NotFoundError, match="mend evidence in the environment variable ETL_EVIDENCE"):
        configured(file, "", {"ETL_EVIDENCE": "gone"}).require_evidence()
    configured(file, 'evidence = "gone"', evidence=Path("gone")).require_evidence()
    configured(file, 'evidence = "."').require_evidence()
    configured(file).require_evidence()


def test_a_variable_that_is_no_setting(file: Path) -> None:
    """It is named, with the setting that it may stand for; variables of others are not looked at."""
    environment = {"ETL_INCLUDE_PARTAIL": "1", "ETL_ACCEPT_AT": "0.8", "_ETL_COMPLETE": "x", "PATH": "", "ETL_": "", "ETLX": ""}
    assert [*configured(file, "", environment).warnings()] == [
        "The environment variable ETL_ is no setting and has no effect; etl health --json lists those there are.",
        "The environment variable ETL_INCLUDE_PARTAIL is no setting and has no effect; ETL_INCLUDE_PARTIAL is one.",
    ]


def test_a_key_is_spelled_as_toml_does() -> None:
    """Parts that are no plain words stand in quotes."""
    assert spelled_key("sources", "a-b_1", "c d", 'e"', "f\x7f", "") == 'sources.a-b_1."c d"."e\\""."f\\u007f".""'

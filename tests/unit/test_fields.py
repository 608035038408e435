"""The typed columns of raw.item: values by JSON Pointer, and the faults of items that do not fit."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.base.errors import SqlError
from etl.ingest import fields
from etl.ingest.directives import Directives, directives_of
from etl.ingest.fields import FieldParser
from etl.ingest.formats.strict_json import Refusal, read_object
from etl.warehouse.sql_files import View


def header(*lines: str) -> Directives:
    """Return the directives of a mapping with these lines in its header."""
    body = "\n".join([*(f"-- {line}" for line in ("One row per item.", *lines)), "select 1"])
    return directives_of(View("sources", "example", body, "sql/2_sources/example.sql"))


def parsed(fields: list[str], *items: str) -> tuple[dict[str, list[Any]], dict[int, str]]:
    """Return the columns and the problems that these fields give of these items."""
    parser = FieldParser(header("fields:", *fields).fields)
    columns, faults = parser.parse([item.encode() for item in items])
    values = {name: column.to_pylist() for name, column in zip(parser.schema.names, columns, strict=True)}
    return values, {index: fault.problem for index, fault in faults.items()}


def test_fields_of_all_types() -> None:
    """Each type takes its own kind of JSON value; absent and null are null."""
    names = ["a text = /a", "b number = /b", "c integer = /c", "d boolean = /d", "e texts = /e", "f json = /f"]
    whole = '{"a": "x", "b": 1, "c": -7, "d": true, "e": ["p", "q"], "f": {"n": 1E5 , "m":[ ]}}'
    values, problems = parsed(names, whole, "{}", '{"a": null, "b": null, "c": null, "d": null, "e": null, "f": null}')
    assert values == {
        "a": ["x", None, None],
        "b": [1.0, None, None],
        "c": [-7, None, None],
        "d": [True, None, None],
        "e": [["p", "q"], None, None],
        "f": ['{"n": 1E5 , "m":[ ]}', None, None],
    }
    assert problems == {}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("text", value) for value in ("1", "true", "[]", "{}")),
        *(("number", value) for value in ('"1"', "true", "[]", "{}", "1e999", "1" * 400)),
        *(("integer", value) for value in ("1.0", "1e2", str(2**63), '"1"', "true", "[1]")),
        *(("boolean", value) for value in ("1", '"true"', "[]")),
        *(("texts", value) for value in ('"a"', "[1]", '["a", null]', '[["a"]]', "{}")),
    ],
)
def test_another_type_is_bad(kind: str, value: str) -> None:
    """A value of another type is null, and its problem names the field; an index in the pointer changes nothing."""
    expected = ({"x": [None], "y": ["kept"]}, {0: "bad_x"})
    assert parsed([f"x {kind} = /x", "y text = /y"], f'{{"x": {value}, "y": "kept"}}') == expected
    assert parsed([f"x {kind} = /x/1", "y text = /y"], f'{{"x": [0, {value}], "y": "kept"}}') == expected


def test_the_first_fault_is_a_missing_field() -> None:
    """Among the faults of an item the missing fields come first, in their order, then the bad ones."""
    fields = ["a text = /a", "b text required = /b", "c text required = /c"]
    assert parsed(fields, '{"a": 1}', '{"a": 1, "b": "", "c": "z"}', '{"a": "x", "b": null, "c": 1}')[1] == {
        0: "missing_b",
        1: "bad_a",
        2: "missing_b",
    }


def test_the_detail_has_no_text_of_the_item() -> None:
    """The detail gives type and length of the value, and what was expected."""
    parser = FieldParser(header("fields:", "n integer = /n").fields)
    assert (
        parser.parse([b'{"n": "secret"}'])[1][0].detail == "a text of 8 bytes, where an integer of at most 64 bits was expected"
    )


def test_fields_inside_of_each_other() -> None:
    """An object can be handed on whole while fields inside of it have columns of their own."""
    values, problems = parsed(
        ["info json = /info", "task text = /info/task", "first text = /info/steps/0/say", "deep number = /a/b/c"],
        '{"info": {"task": "t", "steps": [{"say": "hi"}]}, "a": {"b": {"c": 2}}}',
        '{"info": [], "a": 5}',
        '{"info": {"task": 1}, "a": {"b": null}}',
    )
    assert values == {
        "info": ['{"task": "t", "steps": [{"say": "hi"}]}', "[]", '{"task": 1}'],
        "task": ["t", None, None],
        "first": ["hi", None, None],
        "deep": [2.0, None, None],
    }
    assert problems == {2: "bad_task"}


def test_a_pointer_escapes_slash_and_tilde() -> None:
    """``~1`` is a slash of a key and ``~0`` a tilde; a number is a key of an object as well as an index."""
    values, _ = parsed(["x text = /a~1b/~0", "y text = /z/0"], '{"a/b": {"~": "v"}, "z": {"0": "w"}}')
    assert values == {"x": ["v"], "y": ["w"]}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0", "1"]), inner, max_size=3),
    max_leaves=12,
)
_POINTERS = st.lists(st.sampled_from(["a", "b", "0", "1"]), min_size=1, max_size=3).map(lambda tokens: "/" + "/".join(tokens))
_TYPES = st.sampled_from(["text", "number", "integer", "boolean", "texts", "json"])


def _fits(kind: str, value: Any) -> bool:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return {
        "text": isinstance(value, str),
        "number": is_integer or isinstance(value, float),
        "integer": is_integer and -(2**63) <= value < 2**63,
        "boolean": isinstance(value, bool),
        "texts": isinstance(value, list) and all(isinstance(text, str) for text in value),
        "json": True,
    }[kind]


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "0", "1"]), _JSON, max_size=4), min_size=1, max_size=4),
    st.lists(st.tuples(_TYPES, st.booleans(), _POINTERS), min_size=1, max_size=5),
)
def test_fields_are_those_of_a_plain_walk(items: list[dict[str, Any]], wanted: list[tuple[str, bool, str]]) -> None:
    """For any items and fields, values and problems are those that a plain walk over the parsed items finds."""
    fields = [
        f"f{place} {kind} {'required ' if required else ''}= {pointer}"
        for place, (kind, required, pointer) in enumerate(wanted)
    ]
    values, problems = parsed(fields, *(json.dumps(item) for item in items))
    for index, item in enumerate(items):
        missing, bad = [], []
        for place, (kind, required, pointer) in enumerate(wanted):
            expected = _at(item, pointer)
            if expected is None:
                missing += [f"missing_f{place}"] if required else []
            elif not _fits(kind, expected):
                bad, expected = [*bad, f"bad_f{place}"], None
            found = values[f"f{place}"][index]
            assert (json.loads(found) if kind == "json" and found else found) == expected
        assert problems.get(index) == next(iter(missing + bad), None)


def _spelled(keys: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return JSON values as texts: numbers in any spelling, strings with and without escapes, arrays and objects of these."""
    number = st.from_regex(r"-?(0|[1-9][0-9]{0,20})([.][0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
    string = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    plain = st.sampled_from(["null", "true", "false", "-0", str(2**53 + 1), str(2**63), "1e400", '"\\ud83d\\ude00"'])
    return st.recursive(
        plain | number | string.map(json.dumps) | string.map(lambda text: json.dumps(text, ensure_ascii=False)),
        lambda inner: st.lists(inner, max_size=3).map(lambda texts: f"[{' , '.join(texts)}]") | _spelled_object(keys, inner),
        max_leaves=8,
    )


def _spelled_object(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.dictionaries(keys, values, max_size=4)
    return members.map(lambda pairs: "{" + ",".join(f' "{key}":{value}\t' for key, value in pairs.items()) + "}\r")


_KEYS = st.sampled_from(["a", "b", "0", "1"])


@given(
    st.lists(_spelled_object(_KEYS, _spelled(_KEYS)), min_size=1, max_size=4),
    st.lists(st.tuples(_TYPES, st.booleans(), _POINTERS), min_size=1, max_size=5),
)
def test_what_the_judge_has_read_gives_the_same_fields(items: list[str], wanted: list[tuple[str, bool, str]]) -> None:
    """A field taken from what the judge has read is, bit for bit, what the text of the value alone gives; so are its faults."""
    own = header("fields:", *(f"f{place} {kind} = {pointer}" for place, (kind, _, pointer) in enumerate(wanted))).fields
    lines = [item.encode() for item in items]
    values = [read_object(line, 64, 1_000_000) for line in lines]
    assert not any(isinstance(value, Refusal) for value in values)
    columns, faults = FieldParser(own).parse(lines, [value for value in values if isinstance(value, dict)])
    for index, line in enumerate(lines):
        each = [fields._judged(field, fields._resolved(msgspec.Raw(line.strip()), field.tokens)) for field in own]
        assert [repr(column[index].as_py()) for column in columns] == [repr(value) for value, _ in each]
        assert faults.get(index) == next((fault for _, fault in each if fault), None)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["fields:", "x str = /x"], "example.sql:3: str is not a type"),
        (["fields:", "x text = x"], "example.sql:3: x is not a JSON Pointer"),
        (["fields:", "x text = /a~2"], "example.sql:3: /a~2 is not a JSON Pointer"),
        (["fields:", "x text optional = /x"], "example.sql:3: a field is written as"),
        (["fields:", "json text = /x"], "example.sql:3: raw.item has a column json already"),
        (["fields:", "x text = /x", "x text = /y"], "example.sql:4: raw.item has a column x already"),
        (["fields: x text = /x"], "example.sql:2: fields: names one field a line"),
        (["grain: line"], "grain: is item, file, folder NAME"),
        (["grain: folder"], "grain: is item, file, folder NAME"),
        (["grain: file", "grain: file"], "example.sql:3: grain: stands twice"),
        (["reads:"], "reads: names patterns"),
        (["items: a"], "a is not a JSON Pointer"),
        (["nan: keep"], "nan: can only be null"),
    ],
)
def test_a_directive_that_does_not_work(lines: list[str], what: str) -> None:
    """The error names the file, the line, and what is wrong."""
    with pytest.raises(SqlError, match=what.replace("(", r"\(")):
        header(*lines)


def test_directives() -> None:
    """A header says how its source is read; prose and columns beside it do not count."""
    found = header(
        "grain: folder result.json",
        "reads: result.json agent/*.json !*.bak",
        "items: /info /simulations/*",
        "nan: null",
        "fields:",
        "  run text required = /id",
        "",
        "  prompt: /task, = the first",
    )
    assert (found.grain, found.folder, found.items, found.nan_is_null) == (
        "folder",
        "result.json",
        ("/info", "/simulations/*"),
        True,
    )
    assert [(field.name, field.type, field.is_required, field.tokens) for field in found.fields] == [
        ("run", "text", True, ("id",))
    ]
    assert found.reads is not None
    assert found.reads.match_file("agent/a.json")
    assert not found.reads.match_file("other/a.json")

"""The elements of a document: bytes in, elements or one refusal out."""

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import watched
from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from etl.ingest.formats import documents
from etl.ingest.formats.documents import DocumentError, DocumentLimits, Element, LongElement, elements_of, parse_patterns
from etl.ingest.formats.strict_json import Refusal, judge_value, without_nan

LIMITS = DocumentLimits(max_depth=64, max_values=1_000_000, max_item_bytes=64 << 20)


def elements(document: bytes, *patterns: str, limits: DocumentLimits = LIMITS, nan: bool = False) -> list[Any]:
    """Return the elements of a document."""
    return list(elements_of(document, parse_patterns(patterns), limits, nan_as_null=nan))


def found(document: bytes, *patterns: str) -> list[tuple[str, bytes]]:
    """Return the pointer and the bytes of each element."""
    return [(element.pointer, element.content) for element in elements(document, *patterns)]


def refusal(document: bytes, *patterns: str, limits: DocumentLimits = LIMITS, nan: bool = False) -> Refusal:
    """Return why a document is refused as a whole."""
    with pytest.raises(DocumentError) as error:
        elements(document, *patterns, limits=limits, nan=nan)
    return error.value.refusal


ORDERED = b' {"info": {"id": 1},\n "runs": [ {"a": 1 } , 2.50,[ ]\t], "~/": {"*": "x", "": null}} \n'


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ([], [("", ORDERED.strip())]),
        ([""], [("", ORDERED.strip())]),
        (["/info"], [("/info", b'{"id": 1}')]),
        (["/runs/*"], [("/runs/0", b'{"a": 1 }'), ("/runs/1", b"2.50"), ("/runs/2", b"[ ]")]),
        (["/runs/2", "/runs/0"], [("/runs/0", b'{"a": 1 }'), ("/runs/2", b"[ ]")]),
        (["/runs/*/a", "/info/*"], [("/info/id", b"1"), ("/runs/0/a", b"1")]),
        (["/~0~1/*"], [("/~0~1/*", b'"x"'), ("/~0~1/", b"null")]),
        (["/~0~1/"], [("/~0~1/", b"null")]),
        (["/*/*", "/info/id", "/*/id"], [*[("/info/id", b"1")], *found(ORDERED, "/runs/*"), *found(ORDERED, "/~0~1/*")]),
        (["/nowhere", "/info"], [("/info", b'{"id": 1}')]),
    ],
)
def test_patterns_name_elements(patterns: list[str], wanted: list[tuple[str, bytes]]) -> None:
    """The values at any pattern, in document order, once each, with the bytes that they have there and no blank around."""
    assert found(ORDERED, *patterns) == wanted
    assert found(memoryview(ORDERED), *patterns) == wanted  # type: ignore[arg-type]


def test_an_element_in_another_is_an_element_too() -> None:
    """/a and /a/*: the outer one comes first, as it begins first."""
    assert found(b'{"a": [1, [2]], "b": 3}', "/a/*", "/a", "/a/1/0") == [
        ("/a", b"[1, [2]]"),
        ("/a/0", b"1"),
        ("/a/1", b"[2]"),
        ("/a/1/0", b"2"),
    ]


@pytest.mark.parametrize("document", [b"[]", b"{}", b"3", b'{"b": [1]}', b'{"a": {}}', b'{"a": 1}'])
def test_a_document_without_an_element_is_refused(document: bytes) -> None:
    """A document that parses and has nothing at a pattern is one entry, so it is not passed over in silence."""
    assert refusal(document, "/a/*", "/~0") == ("unmapped", "no value stands at /a/* /~0 (items: of the mapping)")


@pytest.mark.parametrize(
    ("pattern", "problem"), [("a/b", "begins with a slash"), ("*", "begins with a slash"), ("/~2", "~0 for ~")]
)
def test_a_pattern_that_is_no_pointer_is_refused(pattern: str, problem: str) -> None:
    """The sentence names the pattern and says how to write it."""
    with pytest.raises(ValueError, match=problem) as error:
        parse_patterns([pattern])
    assert str(error.value).startswith(f"{pattern}: ")


REFUSED = {
    "nothing": (b"", "malformed_json", "byte 1: the document ends before its value does"),
    "white space": (b" \n", "malformed_json", "byte 3: the document ends before its value does"),
    "a byte order mark": (b"\xef\xbb\xbf[]", "malformed_json", "byte 1: a byte order mark"),
    "two values": (b"[1] [2]", "malformed_json", "byte 5: something follows the value"),
    "a comma too many": (b"[1,]", "malformed_json", "byte 4: expected a value"),
    "a comma too many in an object": (b'{"a": 1,}', "malformed_json", "byte 9: expected a key in quotes"),
    "no comma": (b"[1 2]", "malformed_json", "byte 4: expected `,` or `]`"),
    "no colon": (b'{"a" 1}', "malformed_json", "byte 6: expected `:`"),
    "a bare key": (b"{a: 1}", "malformed_json", "byte 2: expected a key in quotes"),
    "a key cut off": (b'{"a', "malformed_json", "byte 2: expected a key in quotes"),
    "an array cut off": (b"[1", "malformed_json", "byte 3: expected `,` or `]`"),
    "an element cut off": (b'[{"a": [1]', "malformed_json", "byte 2: the document ends before this bracket is closed"),
    "a string cut off": (b'["a', "malformed_json", "byte 2: the document ends before its value does"),
    "a string cut off in an element": (
        b'[{"a": "]}]',
        "malformed_json",
        "byte 2: the document ends before this bracket is closed",
    ),
    "crossed brackets": (b'[[{"a": 1]]]', "malformed_json", "byte 10: expected `,` or `}`"),
    "an element of no type": (b"[\n{},\n yes]", "malformed_json", "byte 8: expected value"),
    "a control character in an element": (b'["a\tb"]', "malformed_json", None),
    "half a surrogate pair": (rb'["\ud800"]', "malformed_json", None),
    "NaN in an element": (b"[{}, NaN]", "malformed_json", "byte 6: NaN is not JSON"),
    "NaN elsewhere": (b'{"a": {"b": Infinity}, "0": 1}', "malformed_json", "byte 13: Infinity is not JSON"),
    "a fault in what is no element": (b'{"a":\n[1,], "0": 1}', "malformed_json", "byte 10: trailing comma"),
    "a key twice on the way": (b'{"0": 1, "\\u0030": 2}', "duplicate_key", "byte 10: a key stands twice in one object"),
    "a key twice in what is no element": (
        b'{"0": {}, "b": {"c": 1, "c": 2}}',
        "duplicate_key",
        "byte 30: the key of this value stands twice in one object",
    ),
    "a key twice, and worse after it": (b'{"0": 1, "0": 2', "malformed_json", "byte 16: expected `,` or `}`"),
    "bad UTF-8 in a key": (b'{"0": 1, "\xff": 2}', "invalid_utf8", "byte 11: invalid start byte"),
    "bad UTF-8 in what is no element": (b'{"0": 1, "b": ["\xff"]}', "invalid_utf8", "byte 17: invalid start byte"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_document_is_refused_as_a_whole(name: str) -> None:
    """A document that does not parse, or has a fault outside its elements, is one refusal; nothing is taken of it."""
    document, reason, detail = REFUSED[name]
    refused = (
        refusal(document, "/*/*", "/0") if name == "a fault in what is no element" else refusal(document, "/0", "/1", "/2")
    )
    assert refused.reason == reason
    if detail and name != "a fault in what is no element":
        assert refused.detail == detail


def test_what_only_an_element_has_is_left_to_its_judge() -> None:
    """A key twice, bad UTF-8, too deep, no object: such an element is refused alone, so the document is not."""
    odd = [b'{"a": 1, "a": 2}', b'"\xff"', b"[" * 5000 + b"]" * 5000, b"3"]
    assert [content for _, content in found(b"[" + b",".join(odd) + b"]", "/*")] == odd


@pytest.mark.parametrize(
    ("document", "is_lines"),
    [
        (b'{"a": 1}\n{"a": 2}\n', True),
        (b'\n{"a": [1]} \r\n\n {"a": 2', True),
        (b'{"a": 1}{"a": 2}', False),
        (b'{"a": \n1}\n{"a": 2}', False),
        (b"[1]\n[2]\n", False),
    ],
)
@pytest.mark.parametrize("pattern", ["", "/a", "/*/b"])
def test_lines_under_another_name(document: bytes, is_lines: bool, pattern: str) -> None:
    """A document that holds an object a line is told by its first lines, and the refusal says what to do."""
    refused = refusal(document, pattern)
    assert refused.reason == "malformed_json"
    assert refused.detail.endswith("; it holds an object a line: rename it to .jsonl") is is_lines


def test_limits_hold_for_what_is_outside_the_elements() -> None:
    """Depth and number of values count with each element as one value: many deep elements are within the limits."""
    limits = DocumentLimits(max_depth=2, max_values=4, max_item_bytes=1000)
    assert len(elements(b'{"a": [[[[1, 2, 3]]], [[[4]]]]}', "/a/*", limits=limits)) == 2
    assert refusal(b'{"a": [1, 2, 3, 4]}', "/a/*", limits=limits).reason == "too_large"
    assert refusal(b'{"a": [1], "b": [1, 2, 3, 4, 5]}', "/a/*", limits=limits).reason == "too_large"
    assert refusal(b'{"a": [1], "b": [[1]]}', "/a/*", limits=limits) == (
        "too_deep",
        "more than 2 brackets are open at once outside its elements (setting max_depth)",
    )
    assert refusal(b'{"a": [[1]]}', "/a/*/*", limits=limits).reason == "too_deep"


def test_a_long_element_is_its_hash() -> None:
    """An element above the limit of an item is told of, with its place, length and hash, and not copied."""
    limits = DocumentLimits(64, 1000, max_item_bytes=5)
    small, long = elements(b'[12345, "12345"]', "/*", limits=limits)
    assert small == Element(b"12345", "/0", b"12345", 0)
    assert long == LongElement(8, 7, sha256(b'"12345"').hexdigest(), "/1")


def test_nan_as_null() -> None:
    """NaN is null in the text, and counted; the bytes stay as they are; in a string it is text; outside elements it passes."""
    document = b'{"a": [NaN, {"x": [-Infinity, "NaN \\" Infinity", Infinity]}, 1], "b": {"c": NaN}}'
    assert elements(document, "/a/*", nan=True) == [
        Element(b"NaN", "/a/0", b"null", 1),
        Element(b'{"x": [-Infinity, "NaN \\" Infinity", Infinity]}', "/a/1", b'{"x": [null, "NaN \\" Infinity", null]}', 2),
        Element(b"1", "/a/2", b"1", 0),
    ]
    assert refusal(document, "/a/*").reason == "malformed_json"
    for wrong in (b"-NaN", b"1NaN", b"NaNNaN", b"1eNaN", b"nan", b"+Infinity", b"[NaN", b"{NaN:1}"):
        assert refusal(b"[" + wrong + b"]", "/*", nan=True).reason == "malformed_json"
        assert refusal(b"[" + wrong + b",0]", "/1", nan=True).reason == "malformed_json"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b'{"a": 1}', (b'{"a": 1}', 0)),
        (b'{"NaN": NaN, "b": [-Infinity,Infinity]}', (b'{"NaN": null, "b": [null,null]}', 3)),
        (b'{"a": "\\\\", "b": NaN}', (b'{"a": "\\\\", "b": null}', 1)),
        (b'"\\" NaN', (b'"\\" NaN', 0)),
        (b"NaN", (b"null", 1)),
    ],
)
def test_numbers_that_json_does_not_have(text: bytes, wanted: tuple[bytes, int]) -> None:
    """NaN, Infinity and -Infinity outside strings become null, also in a line."""
    assert without_nan(text) == wanted


def test_a_large_value_that_is_no_element_is_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands beside the elements is judged piece by piece where it is large, as strictly."""
    monkeypatch.setattr(documents, "PIECE_BYTES", 16)
    inside = b'[{"k": [1, 2, {"long": "%s"}]}, 123456789012345678901234567890]' % (b"x" * 50)
    assert found(b'{"b": %s, "a": [1]}' % inside, "/a/*") == [("/a/0", b"1")]
    for wrong, reason in [(b'{"k": 1, "k": 2}', "duplicate_key"), (b"01", "malformed_json"), (b'"\xff"', "invalid_utf8")]:
        assert refusal(b'{"b": [%s, %s], "a": [1]}' % (inside, wrong), "/a/*").reason == reason


BLANKS = st.text(" \t\r\n", max_size=2).map(str.encode)
KEYS = st.sampled_from(["a", "b", "", "0", "~/", 'q"\\', "é\n"])
VALUES = st.recursive(
    st.sampled_from([b"0", b"-1.50E+3", b"true", b"null", b'"a]\\"}"', b'"\\\\"', '"é"'.encode()]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=12,
)
PATTERNS = st.lists(st.lists(KEYS | st.sampled_from(["*", "1"]), max_size=3).map(tuple), min_size=1, max_size=3)


def written(value: Any, pointer: tuple[str, ...], blank: bytes, at: int) -> Iterator[tuple[tuple[str, ...], int, bytes]]:
    """Yield the place of each value in a document, where it begins, and its text; outer ones after what is in them."""
    if isinstance(value, bytes):
        yield pointer, at, value
        return
    members = value.items() if isinstance(value, dict) else enumerate(value)
    text = b"{" if isinstance(value, dict) else b"["
    for number, (key, member) in enumerate(members):
        text += (b"," if number else b"") + blank
        text += json.dumps(key).encode() + blank + b":" + blank if isinstance(value, dict) else b""
        *within, own = written(member, (*pointer, str(key)), blank, at + len(text))
        yield from within
        yield own
        text += own[2] + blank
    yield pointer, at, text + blank + (b"}" if isinstance(value, dict) else b"]")


def escaped(parts: tuple[str, ...]) -> str:
    """Return a pointer of its parts."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


@settings(deadline=None)
@given(VALUES, BLANKS, PATTERNS, st.booleans())
def test_any_pattern_finds_what_a_naive_walk_finds(value: Any, blank: bytes, patterns: list[Any], in_pieces: bool) -> None:
    """Of any document, with any blanks and patterns: the values whose place a pattern matches, by where they begin."""
    places = list(written(value, (), blank, len(blank)))
    document = blank + places[-1][2] + blank
    json.loads(document)
    wanted = [
        (at, escaped(place), text)
        for place, at, text in places
        if any(len(p) == len(place) and all(part in {"*", own} for part, own in zip(p, place, strict=True)) for p in patterns)
    ]
    with pytest.MonkeyPatch.context() as patched:
        if in_pieces:
            patched.setattr(documents, "PIECE_BYTES", 3)
        got = found(document, *map(escaped, patterns)) if wanted else refusal(document, *map(escaped, patterns)).reason
    assert got == ([(pointer, text) for _, pointer, text in sorted(wanted)] if wanted else "unmapped")


@settings(deadline=None)
@given(VALUES, st.data())
def test_a_damaged_document_is_refused_exactly_where_it_does_not_parse(value: Any, data: st.DataObject) -> None:
    """A byte more, less or other: it is taken only if a parser takes it, and refused only if the strict judge refuses it."""
    *_, (_, _, text) = written(value, (), b" ", 0)
    at = data.draw(st.integers(0, len(text)))
    other = data.draw(st.sampled_from([b"", *(bytes([byte]) for byte in b'[]{}",:\\ 0-ea\n\x00\xff')]))
    damaged = text[:at] + other + text[at + data.draw(st.integers(0, 2)) :]
    try:
        Decoder(Raw).decode(damaged)
        parses = True
    except DecodeError:
        parses = False
    pattern = data.draw(st.sampled_from(["", "/*", "/*/*"]))
    try:
        got, reason = found(damaged, pattern), None
    except DocumentError as error:
        got, reason = [], error.refusal.reason
    assert parses or reason
    assert all(content in damaged for _, content in got)
    assert reason in {None, "unmapped"} or judge_value(damaged, LIMITS.max_depth, LIMITS.max_values)


READ = """
import sys, time
from pathlib import Path
from etl.ingest.formats.documents import DocumentError, DocumentLimits, Element, elements_of, parse_patterns
from etl.ingest.formats.strict_json import judge_value

document = Path({path!r}).read_bytes()
started, count = time.process_time(), 0
limits = DocumentLimits(64, 1_000_000, 64 << 20)
try:
    for element in elements_of(document, parse_patterns({patterns}), limits, nan_as_null={nan}):
        count += isinstance(element, Element) and (not {judged} or judge_value(element.text, 64, 1_000_000) is None)
    print(count)
except DocumentError as error:
    print(error.refusal.reason)
print(time.process_time() - started)
"""


def read_watched(document: Path, pattern: str, *, nan: bool = False, judged: bool = True) -> tuple[str, float, int]:
    """Read a document in a process of its own: what came of it, CPU seconds, most bytes of memory."""
    script = READ.format(path=str(document), patterns=[pattern], nan=nan, judged=judged)
    done = watched(sys.executable, "-c", script)
    result, seconds = done.stdout.split()
    return result, float(seconds), done.peak


def repeated(document: Path, unit: bytes, count: int) -> Path:
    """Write an array with so many elements."""
    document.write_bytes(b"[" + b", ".join([unit] * count) + b"]")
    return document


MESSAGE = b'{"role": "user", "text": "' + b'a \\" b' * 40 + b'"}'
RECORD = b'{"id": 1, "messages": [' + b", ".join([MESSAGE] * 4) + b'], "n": NaN}'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "count", "nan"),
    [
        (RECORD.replace(b"NaN", b"0"), 100_000, False),
        (RECORD, 100_000, True),
        (b'{"a": "' + b"x" * (20 << 20) + b'"}', 5, False),
    ],
    ids=["100,000 elements", "100,000 elements with NaN", "5 elements"],
)
def test_memory_is_that_of_the_document_and_half_of_it(tmp_path: Path, unit: bytes, count: int, nan: bool) -> None:
    """Above what a run over five elements takes: the document, and at most half as much again."""
    *_, least = read_watched(repeated(tmp_path / "small", b"{}", 5), "/*")
    document = repeated(tmp_path / "large", unit, count)
    got, seconds, peak = read_watched(document, "/*", nan=nan)
    length = document.stat().st_size
    print(f"{length} bytes, {count} elements: {seconds} s, memory {(peak - least) / length:.2f} times the document")
    assert got == str(count)
    assert length > 80_000_000
    assert peak - least < 1.5 * length


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "size"), [("", 1 << 24), ("/*", 1 << 26), ("/a/*", 1 << 24)])
@pytest.mark.parametrize("unit", ["[", "{", '{"a":', "[1,", '["', "[[]", '{"a":1,', '"', "\\\\", "[{"])
def test_a_half_open_document_is_refused(tmp_path: Path, unit: str, size: int, pattern: str) -> None:
    """Millions of brackets, keys or quotes that nothing closes: one refusal, in time and memory of their length."""
    document = tmp_path / "document"
    document.write_bytes(unit.encode() * (size // len(unit)))
    got, seconds, peak = read_watched(document, pattern, judged=False)
    assert got in {"malformed_json", "too_deep", "too_large"}
    assert seconds < 1 + size / 2_000_000
    assert peak < (200 << 20) + 2 * size

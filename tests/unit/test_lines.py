"""One line of evidence, judged strictly: what is valid, and the one reason of what is not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import judge

from etl.ingest.formats import strict_json
from etl.ingest.formats.strict_json import Refusal, is_blank, judge_value

MAX_DEPTH = 64
MAX_VALUES = 1_000_000


def nested(depth: int, inside: str = "") -> str:
    """Return an object whose brackets, objects and arrays in turn, are open ``depth`` deep."""
    pairs = [('{"a":', "}") if level % 2 == 0 else ("[", "]") for level in range(depth)]
    opened, closed = "".join(pair[0] for pair in pairs), "".join(pair[1] for pair in reversed(pairs))
    return opened + (inside or "0") + closed


VALID = {
    "an empty object": "{}",
    "an ordinary object": '{"a": "b", "c": [1, -2.5e3, true, false, null, {"d": ""}]}',
    "blanks around every token": ' \t\r{ \t"a"\r : [ 1 ,\t2 ] } \r',
    "a carriage return at the end": '{"a": 1}\r',
    "an empty key": '{"": 1}',
    "a bracket, a comma and a colon in a string": '{"a": "}, ]: :", "b: ": "\\":"}',
    "a comment in a string": '{"a": "// no comment /* here */"}',
    "every escape": r'{"a": "\" \\ \/ \b \f \n \r \t A"}',
    "an escaped NUL": r'{"a": "\u0000"}',
    "an escaped surrogate pair": r'{"a": "\ud83d\ude00", "\uD83D\uDE00": 1}',
    "two escaped surrogate pairs": r'{"a": "\ud83d\ude00\ud83d\ude00"}',
    "a backslash before what looks like half a pair": r'{"a": "\\ud83d"}',
    "a character outside the BMP": '{"a": "\U0001f600"}',
    "line and paragraph separators": '{"a": "\u2028\u2029\u0085"}',
    "DEL, a noncharacter and a BOM in a string": '{"a": "\x7f\uffff\ufeff"}',
    "zeros": '{"a": [0, -0, 0.0, -0.0, 0e0, 0E+0]}',
    "a number too large for a double": '{"a": 1e999, "b": -1e999, "c": 1E+400}',
    "a number too small for a double": '{"a": 1e-999}',
    "an integer over 64 bits": '{"a": 9223372036854775808, "b": 18446744073709551616}',
    "an integer of 4,300 digits": f'{{"a": {"7" * 4300}, "b": -{"7" * 4300}}}',
    "a fraction of 5,000 digits": f'{{"a": 0.{"7" * 5000}}}',
    "an exponent of 5,000 digits": f'{{"a": 1e{"7" * 5000}, "b": 1e-{"7" * 5000}}}',
    "the same key in two objects": '{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}',
    "keys that differ in case": '{"a": 1, "A": 2}',
    "keys that differ in normal form": '{"\u00e9": 1, "e\u0301": 2}',
    "keys that look like a repetition in a string": '{"a": "\\"a\\": 1, \\"a\\": 2", "b": "a :"}',
    "64 brackets open": nested(64),
    "65 brackets, but never open at once": '{"a": [' + ", ".join(["[]"] * 65) + "]}",
    "65 brackets in a string": f'{{"a": "{"[{" * 65}"}}',
    "65 brackets in a string, behind escapes": f'{{"a": "\\\\\\"{"[" * 65}", "b": "\\\\"}}',
}

MALFORMED = {
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": Infinity}',
    "-Infinity": '{"a": -Infinity}',
    "nan at the top": "NaN",
    "a trailing comma in an object": '{"a": 1,}',
    "a trailing comma in an array": '{"a": [1,]}',
    "a missing comma": '{"a": 1 "b": 2}',
    "a missing colon": '{"a" 1}',
    "a missing value": '{"a": }',
    "a comment after": '{"a": 1} // one',
    "a comment inside": '{"a": /* one */ 1}',
    "a hash comment": '{"a": 1} # one',
    "single quotes": "{'a': 1}",
    "a bare key": "{a: 1}",
    "a bare word": '{"a": yes}',
    "Python's words": '{"a": True}',
    "two values": '{"a": 1} {"b": 2}',
    "two values without a blank": '{"a": 1}{"b": 2}',
    "an object cut off": '{"a": [1, 2',
    "a string cut off": '{"a": "b',
    "a string cut off in an escape": '{"a": "b\\',
    "one closing bracket too many": '{"a": 1}}',
    "crossed brackets": '{"a": [1}]',
    "a raw tab in a string": '{"a": "\t"}',
    "a raw carriage return in a string": '{"a": "\r"}',
    "a raw control character in a key": '{"\x01": 1}',
    "a NUL byte in a string": '{"a": "\x00"}',
    "a NUL byte after the object": '{"a": 1}\x00',
    "NUL bytes alone": "\x00\x00",
    "a form feed between tokens": '{"a":\x0c1}',
    "a vertical tab alone": "\x0b",
    "a no-break space between tokens": '{"a":\u00a01}',
    "a byte order mark": '\ufeff{"a": 1}',
    "an unknown escape": r'{"a": "\x41"}',
    "a single quote escaped": r'{"a": "\'"}',
    "an escape of three digits": r'{"a": "\u12"}',
    "an escape of no hex digits": r'{"a": "\u00g1"}',
    "a first half of a pair": r'{"a": "\ud800"}',
    "a second half of a pair": r'{"a": "\udc00"}',
    "the halves of a pair in the wrong order": r'{"a": "\ude00\ud83d"}',
    "a first half before a letter": r'{"a": "\ud83dx\ude00"}',
    "a first half before another escape": r'{"a": "\ud83d\n"}',
    "a first half before a pair": r'{"a": "\ud83d\ud83d\ude00"}',
    "a half in a key": r'{"\ud800": 1}',
    "a half deep inside": r'{"a": [{"b": ["\udfff"]}]}',
    "halves in two strings": r'{"a": ["\ud83d", "\ude00"]}',
    "a leading zero": '{"a": 01}',
    "a plus sign": '{"a": +1}',
    "no digit before the point": '{"a": .5}',
    "no digit after the point": '{"a": 1.}',
    "no digit in the exponent": '{"a": 1e}',
    "a hexadecimal number": '{"a": 0x10}',
    "an underscore in a number": '{"a": 1_000}',
    "digits of another script": '{"a": \u0661}',
    "a minus sign alone": '{"a": -}',
    "no JSON at all": "hello",
}

DUPLICATE = {
    "a key twice": '{"a": 1, "a": 2}',
    "a key twice with the same value": '{"a": 1, "a": 1}',
    "a key twice, others between": '{"a": 1, "b": 2, "c": 3, "a": 4}',
    "an empty key twice": '{"": 1, "": 2}',
    "a key twice in a nested object": '{"a": {"b": 1, "b": 2}}',
    "a key twice in an object in an array": '{"a": [[], [{"b": 1, "b": 2}]]}',
    "a key twice in a value that is lost": '{"a": {"b": 1, "b": 2}, "a": 0}',
    "a key that is equal after unescaping": r'{"a": 1, "\u0061": 2}',
    "a key that is equal after unescaping a pair": '{"\U0001f600": 1, "\\ud83d\\ude00": 2}',
    "a blank before the colon": '{"a" : 1, "a" : 2}',
    "a tab before the colon": '{"a"\t:1, "a"\t:2}',
    "a carriage return before the colon": '{"a"\r:1, "a"\r:2}',
    "blanks of all kinds before the colon": '{"a":1, "a" \t\r :2}',
    "a key twice beside colons in strings": '{"a": "\\":", "a": " :", "b": ":"}',
    "a key twice beside a huge number": '{"a": 1e999, "a": 2}',
}

NO_OBJECT = {
    "an array": "[]",
    "an array of objects": '[{"a": 1}, {"a": 1}]',
    "a string": '"a"',
    "a number": "1",
    "a huge number": "1e999",
    "true": "true",
    "null": "null",
    "blanks around": ' "a"\r',
}

TOO_DEEP = {
    "65 brackets open": nested(65),
    "65 arrays": "[" * 65 + "]" * 65,
    "65 brackets after a string full of brackets": f'{{"b": "]]]\\"}}", "c": {nested(64)}}}',
}

TOO_LARGE = {
    "an integer of 4,301 digits": f'{{"a": {"7" * 4301}}}',
    "a negative integer of 4,301 digits": f'{{"a": -{"7" * 4301}}}',
    "a number with 4,301 digits before the point": f'{{"a": {"7" * 4301}.5}}',
    "a number with 4,301 digits before the exponent": f'{{"a": {"7" * 4301}e-4301}}',
    "a number of 100,000 digits that is no object": "7" * 100_000,
    "a million zeros": f'{{"a": [{"0," * 999_999}0]}}',
    "a million commas, and no JSON": "," * 1_000_001,
}

INVALID_UTF8 = {
    "a byte that begins nothing": b'{"a": "\xff"}',
    "a Latin-1 letter": b'{"a": "caf\xe9"}',
    "a character cut off": b'{"a": "\xe2\x82"}',
    "an overlong NUL": b'{"a": "\xc0\x80"}',
    "a surrogate in bytes": b'{"a": "\xed\xa0\x80"}',
    "a code point over U+10FFFF": b'{"a": "\xf4\x90\x80\x80"}',
    "a bad byte outside strings": b'{"a": 1}\x80',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
}

PRECEDENCE = {
    "bad UTF-8 and too large": (b"[" + b"0," * 1_000_000 + b"\xff", "invalid_utf8"),
    "bad UTF-8, a number of too many digits": (b"[" + b"7" * 4301 + b', "\xff"]', "invalid_utf8"),
    "too large and too deep": (b"[" * 65 + b"," * 1_000_000, "too_large"),
    "a number of too many digits, too deep": (f'{{"a": {"7" * 4301}, "b": {nested(64)}}}'.encode(), "too_deep"),
    "a number of too many digits and a trailing comma": (f'{{"a": {"7" * 4301},}}'.encode(), "too_large"),
    "a trailing comma and a number of too many digits": (f'{{"b": [1,], "a": {"7" * 4301}}}'.encode(), "malformed_json"),
    "a key twice, a number of too many digits": (f'{{"a": 1, "a": {"7" * 4301}}}'.encode(), "too_large"),
    "bad UTF-8 and too deep": (("[" * 65).encode() + b"\xff", "invalid_utf8"),
    "bad UTF-8 and malformed": (b'{"a": \xff,}', "invalid_utf8"),
    "bad UTF-8, a key twice": (b'{"a": 1, "a": "\xff"}', "invalid_utf8"),
    "bad UTF-8, no object": (b'"\xff"', "invalid_utf8"),
    "too deep and cut off": (b"[" * 65, "too_deep"),
    "too deep, a key twice": (f'{{"a": 1, "a": {nested(64)}}}'.encode(), "too_deep"),
    "too deep, half a pair": (rf'{{"a": "\ud800", "b": {nested(64)}}}'.encode(), "too_deep"),
    "a key twice and a trailing comma": (b'{"a": 1, "a": 2,}', "malformed_json"),
    "a key twice, half a pair in the value kept": (rb'{"a": 1, "a": "\ud800"}', "malformed_json"),
    "a key twice, half a pair in the value lost": (rb'{"a": "\ud800", "a": 1}', "malformed_json"),
    "a key twice, half a pair deep in the value lost": (rb'{"a": {"b": ["\udc00"]}, "a": 1}', "malformed_json"),
    "a key twice that is half a pair": (rb'{"\ud800": 1, "\ud800": 2}', "malformed_json"),
    "half a pair, no object": (rb'"\ud800"', "malformed_json"),
    "a key twice, no object": (b'[{"a": 1, "a": 2}]', "duplicate_key"),
}

EXAMPLES = [
    pytest.param(line if isinstance(line, bytes) else line.encode(), reason, id=f"{reason or 'valid'}: {name}")
    for reason, lines in [
        (None, VALID),
        ("malformed_json", MALFORMED),
        ("duplicate_key", DUPLICATE),
        ("not_an_object", NO_OBJECT),
        ("too_deep", TOO_DEEP),
        ("too_large", TOO_LARGE),
        ("invalid_utf8", INVALID_UTF8),
    ]
    for name, line in lines.items()
] + [pytest.param(line, reason, id=f"{reason} first: {name}") for name, (line, reason) in PRECEDENCE.items()]


def reason_of(line: bytes, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> str | None:
    """Return the reason why a line is refused, or None."""
    refusal = judge(line, max_depth, max_values)
    return refusal and refusal.reason


@pytest.mark.parametrize(("line", "reason"), EXAMPLES)
def test_a_line_has_one_verdict(line: bytes, reason: str | None) -> None:
    """A line is one strict JSON object, or has the first reason that applies, with a word on where or why."""
    refusal = judge(line, MAX_DEPTH, MAX_VALUES)
    assert (refusal and refusal.reason) == reason
    assert refusal is None or refusal.detail


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"a": "\xc3\xa9", "b": "\xff"}', "invalid_utf8", "byte 19: invalid start byte"),
        (b'{"a": "\xe2\x82', "invalid_utf8", "byte 8: unexpected end of data"),
        (b'{"a": "' + b"\xe2\x82\xac" * 700_000 + b'\xff"}', "invalid_utf8", "byte 2100008: invalid start byte"),
        (b"[" * 65, "too_deep", "more than 64 brackets are open at once (setting max_depth)"),
        (
            b"," * (MAX_VALUES + 1),
            "too_large",
            "more than 1000000 commas and opening brackets outside strings (setting max_values)",
        ),
        (b'{"a": ' + b"7" * 5000 + b"}", "too_large", "byte 4308: a number has more than 4,300 digits"),
        (b'\xef\xbb\xbf{"a": 1}', "malformed_json", "byte 1: a byte order mark"),
        (b'{"\xc3\xa9": NaN}', "malformed_json", "byte 8: NaN is not JSON"),
        (b'{"a": -Infinity}', "malformed_json", "byte 8: Infinity is not JSON"),
        (b'{"a": 1,}', "malformed_json", "byte 9: trailing comma"),
        (b'{"a": 1} {}', "malformed_json", "byte 10: trailing characters"),
        (b'{"a": [1', "malformed_json", "byte 8: EOF while parsing a list"),
        (b'{"a": 1, "a": NaN}', "malformed_json", "byte 15: NaN is not JSON"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key", "byte 20: the key of this value stands twice in one object"),
        (rb'{"\"\n\\": 1, "\"\n\\": 2}', "duplicate_key", "byte 25: the key of this value stands twice in one object"),
        (
            b'[{" at line 1": 1}, {"b": {}, "b": 2}]',
            "duplicate_key",
            "byte 36: the key of this value stands twice in one object",
        ),
        (b'{" at line 1": 1, " at line 1": 2}', "duplicate_key", "byte 33: the key of this value stands twice in one object"),
        (b"[]", "not_an_object", "the item is an array"),
        (b"0", "not_an_object", "the item is a number"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(line: bytes, reason: str, detail: str) -> None:
    """A refused line -> a sentence for a person: the byte of the fault, or the setting; nothing else of the line."""
    assert judge(line, MAX_DEPTH, MAX_VALUES) == Refusal(reason, detail)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('{"a": [1, 2, {}]}', 5),
        ('{"a": [[], [], {"b": null}]}', 7),
        ('{"a": "1, 2, [3, {4", "b": 5}', 2),
        (r'{"a": "\", [{,", "b\\": "\\\",", "c": "\\"}', 3),
        (f'{{"a": "{", " * 1000}", "{"[" * 1000}": 0}}', 2),
    ],
)
@pytest.mark.parametrize("piece", [4, 5, 6, 7, 64, 1 << 20])
def test_the_number_of_values_is_a_setting(monkeypatch: pytest.MonkeyPatch, piece: int, line: str, values: int) -> None:
    """As many commas and opening brackets may stand outside strings as the setting says, and not one more."""
    monkeypatch.setattr(strict_json, "PIECE_BYTES", piece)
    assert reason_of(line.encode(), max_values=values) is None
    assert reason_of(line.encode(), max_values=values - 1) == "too_large"


def test_prose_is_never_too_large() -> None:
    """However many commas and brackets a text holds, only what stands outside of it counts."""
    assert reason_of(b'{"a": "' + b"one, two [three], {four}, " * 500_000 + b'", "b": [1, 2]}') is None
    assert reason_of(b'{"a": "' + rb"\"one\", \\" * 500_000 + b'", "b": [1, 2]}', max_values=5) is None


@pytest.mark.parametrize("max_depth", [1, 2, 63, 64, 200])
def test_the_depth_is_a_setting(max_depth: int) -> None:
    """As many brackets may be open as the setting says, and not one more."""
    assert reason_of(nested(max_depth).encode(), max_depth) is None
    assert reason_of(nested(max_depth + 1).encode(), max_depth) == "too_deep"


def test_no_depth_breaks_the_judge() -> None:
    """However many brackets are open, the line is too deep, and nothing worse happens."""
    assert reason_of(b"[" * 200_000) == "too_deep"
    assert reason_of(b'{"a":' * 200_000) == "too_deep"
    assert reason_of(b'{"a": "' + b"[" * 200_000) == "malformed_json"


@pytest.mark.parametrize(
    ("line", "blank"),
    [
        (b"", True),
        (b" ", True),
        (b"\r", True),
        (b" \t\r\t ", True),
        (b"\x0b", False),
        (b"\x0c", False),
        (b"\x00", False),
        (b"\xc2\xa0", False),
        (b" {}", False),
        (b"\xef\xbb\xbf", False),
    ],
)
def test_a_blank_line_holds_spaces_tabs_and_carriage_returns_only(line: bytes, blank: bool) -> None:
    """Only space, tab and CR make a blank line; any other byte makes it a line to be judged."""
    assert is_blank(line) is blank


@pytest.mark.parametrize(
    ("line", "depth"),
    [
        (b"", 0),
        (b"1", 0),
        (b"{}", 1),
        (b"[][][]", 1),
        (b'{"a": [1, [2], {"b": []}]}', 4),
        (b'"[[["', 0),
        (rb'"\"[[["', 0),
        (rb'"\\"[[[', 3),
        (rb'"\\\"[[["[', 1),
        (b'["[", "]", "]"]', 1),
        (b'{"a": "[[[[', 1),
        (b'{"a": "[[[[\\', 1),
        (b"]]][[", 2),
        (b"[}[", 1),
    ],
)
@pytest.mark.parametrize("piece", [4, 5, 6, 7, 1 << 20])
def test_depth_counts_the_brackets_open_outside_strings(
    monkeypatch: pytest.MonkeyPatch, piece: int, line: bytes, depth: int
) -> None:
    """Brackets in strings do not count, whatever is escaped there, and neither does what is closed again."""
    monkeypatch.setattr(strict_json, "PIECE_BYTES", piece)
    assert [reason_of(line, allowed) == "too_deep" for allowed in range(6)] == [allowed < depth for allowed in range(6)]


# A second judge, for lines that nobody thought of: the standard library's parser, keeping every pair that it reads.


def second_judge(line: bytes) -> str | None:
    """Return the reason by the text of the contract, slowly."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid_utf8"
    if deepest(text) > MAX_DEPTH:
        return "too_deep"
    try:
        value = json.loads(text, object_pairs_hook=Pairs, parse_constant=refuse, parse_int=str, parse_float=str)
        for string in strings_of(value):
            string.encode("utf-8")
    except ValueError:
        return "malformed_json"
    if any(len({key for key, _ in pairs}) < len(pairs) for pairs in objects_of(value)):
        return "duplicate_key"
    return None if isinstance(value, Pairs) else "not_an_object"


class Pairs(list[tuple[str, Any]]):
    """An object with all its members, those of the same key too."""


def refuse(word: str) -> Any:
    """Refuse NaN and Infinity."""
    raise ValueError(word)


def deepest(text: str) -> int:
    """Walk through the characters and count the brackets that are open.

    A backslash hides the quote after it, outside strings too, where the line is malformed anyway.
    """
    most = depth = 0
    inside = escaped = False
    for character in text:
        if character == '"' and not escaped:
            inside = not inside
        elif character in "[{" and not inside:
            depth += 1
            most = max(most, depth)
        elif character in "]}" and not inside:
            depth = max(depth - 1, 0)
        escaped = character == "\\" and not escaped
    return most


def parts_of(value: Any) -> list[Any]:
    """Return a value and all that it holds."""
    if isinstance(value, Pairs):
        return [value, *(part for pair in value for inner in pair for part in parts_of(inner))]
    if isinstance(value, list):
        return [value, *(part for inner in value for part in parts_of(inner))]
    return [value]


def strings_of(value: Any) -> list[str]:
    """Return the strings and keys (and numbers, which stay text) of a value."""
    return [part for part in parts_of(value) if isinstance(part, str)]


def objects_of(value: Any) -> list[Pairs]:
    """Return the objects of a value."""
    return [part for part in parts_of(value) if isinstance(part, Pairs)]


blanks = st.sampled_from(["", "", "", " ", "\t", "\r", " \t\r"])
keys = st.sampled_from(['"a"', r'"\u0061"', '"b"', '""', '"é"', r'"\u00e9"', '":"', r'"\":"', r'"\ud83d\ude00"'])
strings = keys | st.sampled_from(['"\U0001f600"', '"[[{"', '" :"', r'"\\"', r'"\\\""', '"\u2028"', r'"\ud800"', '"\x7f"'])
numbers = st.sampled_from(["0", "-0", "1", "-2.50", "1e999", "-1E-999", "9" * 30, "18446744073709551616"])
words = st.sampled_from(["true", "false", "null"])


def container(items: st.SearchStrategy[str], opened: str, closed: str) -> st.SearchStrategy[str]:
    """Return texts of a list of items between two brackets."""
    return st.builds(lambda parts, blank: opened + blank + ",".join(parts) + closed, st.lists(items, max_size=4), blanks)


def grown(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts of objects and arrays of values; keys repeat now and then."""
    member = st.tuples(keys, blanks, st.just(":"), blanks, values, blanks).map("".join)
    return container(member, "{", "}") | container(values, "[", "]")


documents = grown(st.recursive(strings | numbers | words, grown, max_leaves=12))

SPLINTERS = [
    *(bytes([byte]) for byte in b"\"\\:,{}[] \t\r\x00\x01\x0c'-+.0e1aN/#\xff\xc3\xa9\xed"),
    *(b"NaN", b"-Infinity", b"null", rb"\ud800", rb"\udc00", rb"\u0061", b'"a":1,', b'"a" :[],', b"//", b"/**/"),
    *("\ufeff".encode(), "\u2028".encode(), b"[" * 65, b'{"a":' * 63, b'"' + b"[" * 70, b"1e999", b"{}", b"[]"),
]

#: A change: at which place, how many bytes go, what comes instead.
changes = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([0, 0, 0, 1, 2, 5]), st.sampled_from([b"", *SPLINTERS])), max_size=2
)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(documents, changes)
def test_two_judges_agree_on_lines_that_nobody_thought_of(text: str, edits: list[tuple[int, int, bytes]]) -> None:
    """On valid lines with a byte or two changed, the judge says what the standard library's slow parser says."""
    line = text.encode()
    for place, gone, instead in edits:
        at = place % (len(line) + 1)
        line = line[:at] + instead + line[at + gone :]
    if not is_blank(line):
        assert reason_of(line) == second_judge(line)


nested_values = st.recursive(
    st.text('[]{}"\\a', max_size=4) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(']}{["', max_size=2), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(nested_values, st.integers(1, 9))
def test_brackets_are_counted_outside_strings(value: object, max_depth: int) -> None:
    """A text is too deep exactly where more brackets are open at once than allowed, whatever brackets its strings hold."""

    def depth(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return isinstance(value, dict | list) + max(map(depth, inner), default=0)

    refusal = judge_value(json.dumps(value).encode(), max_depth, MAX_VALUES)
    assert (refusal is not None) == (depth(value) > max_depth)

"""Nasty lines between good ones: each has the one fate that the contract gives it, and the good ones never notice."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest
from backports import zstd
from conftest import etl, evidence_line
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import judge

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}

#: The limits of the run over the table; the table's long lines are made to measure.
MAX_LINE_BYTES = 20_000
MAX_DEPTH = 64
MAX_VALUES = 1_000_000
#: Digits that a number may have before its point.
MAX_DIGITS = 4300

RECORD, BLANK = "a record", "blank"

PLAIN = json.dumps(evidence_line("nasty"))


def plus(members: str | bytes) -> bytes:
    """Return a good line with more members, given as they are to be written."""
    return PLAIN[:-1].encode() + b", " + (members if isinstance(members, bytes) else members.encode()) + b"}"


def extra(value: str | bytes) -> bytes:
    """Return a good line with one more field, which no column is named by, of this value."""
    return plus(b'"extra": ' + (value if isinstance(value, bytes) else value.encode()))


def with_(name: str, value: str) -> bytes:
    """Return a good line in which one field has another value, given as it is to be written."""
    return without(name)[:-1] + f', "{name}": {value}}}'.encode()


def without(*names: str) -> bytes:
    """Return a good line that lacks some fields."""
    return json.dumps({name: value for name, value in json.loads(PLAIN).items() if name not in names}).encode()


def of_length(length: int) -> bytes:
    """Return a good line of so many bytes."""
    return extra('"' + "x" * (length - len(extra('""'))) + '"')


def calling(arguments: str) -> str:
    """Return a conversation as JSON text in JSON, whose answer calls a tool with these arguments."""
    call = f'{{"function": {{"name": "f", "arguments": {arguments}}}}}'
    return json.dumps(f'[{{"role": "assistant", "tool_calls": [{call}]}}]')


#: Name, fate, line.
NASTY: list[tuple[str, str, bytes]] = [
    # Blank: only space, tab, CR.
    ("an empty line", BLANK, b""),
    ("a space", BLANK, b" "),
    ("many spaces", BLANK, b" " * 1000),
    ("a tab", BLANK, b"\t"),
    ("a CR", BLANK, b"\r"),
    ("CR CR", BLANK, b"\r\r"),
    ("space, tab, CR", BLANK, b" \t \r"),
    ("a vertical tab", "malformed_json", b"\x0b"),
    ("a form feed", "malformed_json", b"\x0c"),
    ("a no-break space", "malformed_json", "\u00a0".encode()),
    ("a line separator", "malformed_json", "\u2028".encode()),
    ("a BOM alone", "malformed_json", b"\xef\xbb\xbf"),
    ("a NUL alone", "malformed_json", b"\x00"),
    # Ends of lines.
    ("CRLF", RECORD, PLAIN.encode() + b"\r"),
    ("a CR before and after", RECORD, b"\r" + PLAIN.encode() + b"\r"),
    ("bare CRs between tokens", RECORD, PLAIN.replace(", ", ",\r").encode()),
    ("a bare CR between two objects", "malformed_json", PLAIN.encode() + b"\r" + PLAIN.encode()),
    ("a bare CR in a string", "malformed_json", extra(b'"a\rb"')),
    ("a malformed line with CRLF", "malformed_json", b"{\r"),
    ("U+2028 and U+2029 in a string", RECORD, with_("response", '"a\u2028b\u2029c\u0085d"')),
    ("U+2028 between tokens", "malformed_json", PLAIN.replace(", ", ",\u2028").encode()),
    # Words that are no JSON.
    ("NaN", "malformed_json", with_("score", "NaN")),
    ("Infinity", "malformed_json", with_("score", "Infinity")),
    ("-Infinity", "malformed_json", with_("score", "-Infinity")),
    ("nan", "malformed_json", with_("score", "nan")),
    ("inf", "malformed_json", with_("score", "inf")),
    ("NaN at depth", "malformed_json", extra('[{"a": [NaN]}]')),
    ("NaN as text", RECORD, with_("response", '"NaN, Infinity, -Infinity"')),
    ("True", "malformed_json", extra("True")),
    ("None", "malformed_json", extra("None")),
    ("undefined", "malformed_json", extra("undefined")),
    # Commas, comments, quotes.
    ("a trailing comma in the object", "malformed_json", PLAIN[:-1].encode() + b",}"),
    ("a trailing comma in an array", "malformed_json", extra("[1, 2,]")),
    ("a leading comma", "malformed_json", b"{," + PLAIN[1:].encode()),
    ("two commas", "malformed_json", PLAIN.replace(", ", ",,", 1).encode()),
    ("a comma after the object", "malformed_json", PLAIN.encode() + b","),
    ("a comment of // after", "malformed_json", PLAIN.encode() + b" // checked"),
    ("a comment of /* */ inside", "malformed_json", PLAIN.replace(", ", ", /* checked */ ", 1).encode()),
    ("a comment of # before", "malformed_json", b"# " + PLAIN.encode()),
    ("comments in a string", RECORD, with_("response", '"// /* # */"')),
    ("single quotes", "malformed_json", PLAIN.replace('"', "'").encode()),
    ("a bare key", "malformed_json", PLAIN.replace('"task_id"', "task_id").encode()),
    ("typographic quotes", "malformed_json", PLAIN.replace('"', "\u201d").encode()),
    ("a missing colon", "malformed_json", PLAIN.replace(":", "", 1).encode()),
    ("an equals sign for a colon", "malformed_json", PLAIN.replace(":", "=", 1).encode()),
    # More or less than one value.
    ("a second object", "malformed_json", PLAIN.encode() * 2),
    ("a second object after a space", "malformed_json", PLAIN.encode() + b" " + PLAIN.encode()),
    ("a stray bracket after", "malformed_json", PLAIN.encode() + b"}"),
    ("cut off in a string", "malformed_json", PLAIN[:-3].encode()),
    ("cut off before the last bracket", "malformed_json", PLAIN[:-1].encode()),
    ("cut off in an escape", "malformed_json", b'{"task_id": "\\'),
    ("one bracket", "malformed_json", b"{"),
    ("crossed brackets", "malformed_json", extra('{"a": [1}]')),
    ("a stack trace", "malformed_json", b'  File "worker.py", line 3, in run'),
    ("ASCII record separator before (RFC 7464)", "malformed_json", b"\x1e" + PLAIN.encode()),
    # Control characters and NUL.
    ("a raw tab in a string", "malformed_json", extra(b'"\t"')),
    ("a raw ESC in a string", "malformed_json", extra(b'"\x1b[31m"')),
    ("a raw control character in a key", "malformed_json", plus(b'"\x01": 1')),
    ("a raw NUL in a string", "malformed_json", extra(b'"\x00"')),
    ("a NUL after the object", "malformed_json", PLAIN.encode() + b"\x00"),
    ("a block of NULs, as a crash leaves", "malformed_json", b"\x00" * 4096),
    ("an escaped NUL in the response", RECORD, with_("response", r'"a\u0000b"')),
    ("an escaped NUL in the task", RECORD, with_("task_id", r'"nas\u0000ty"')),
    ("escaped control characters", RECORD, with_("response", r'"\u0001\u001b[31m\u007f\u009b\b\f"')),
    ("DEL and C1 characters", RECORD, with_("response", '"\x7f\x80\x9f"')),
    # Escapes.
    ("an escape of x", "malformed_json", extra(r'"\x41"')),
    ("an escape of a single quote", "malformed_json", extra(r'"\'"')),
    ("an escape of three digits", "malformed_json", extra(r'"\u12"')),
    ("an escape with a sign", "malformed_json", extra(r'"\u+123"')),
    ("an escape of eight digits", RECORD, with_("response", r'"\u0001F600"')),
    ("a surrogate pair", RECORD, with_("response", r'"\ud83d\ude00"')),
    ("a high surrogate", "malformed_json", extra(r'"\ud83d"')),
    ("a low surrogate", "malformed_json", extra(r'"\ude00"')),
    ("a pair in the wrong order", "malformed_json", extra(r'"\ude00\ud83d"')),
    ("a high surrogate, then a pair", "malformed_json", extra(r'"\ud83d\ud83d\ude00"')),
    ("halves of a pair in two strings", "malformed_json", extra(r'["\ud83d", "\ude00"]')),
    ("a lone surrogate in a key", "malformed_json", plus(r'"\udfff": 1')),
    ("a lone surrogate in the response", "malformed_json", with_("response", r'"cut \ud83d"')),
    ("what looks like a lone surrogate", RECORD, with_("response", r'"\\ud83d"')),
    # Byte order marks.
    ("a BOM before the object", "malformed_json", b"\xef\xbb\xbf" + PLAIN.encode()),
    ("a BOM in a string", RECORD, with_("response", '"\ufeffa"')),
    ("UTF-16", "invalid_utf8", PLAIN.encode("utf-16")),
    ("UTF-16 without a BOM", "malformed_json", PLAIN.encode("utf-16-le")),
    # Bytes that are no UTF-8.
    ("0xFF", "invalid_utf8", extra(b'"\xff"')),
    ("0xFE outside strings", "invalid_utf8", PLAIN.encode() + b"\xfe"),
    ("Latin-1", "invalid_utf8", extra("\u00e9".join('""').encode("latin-1"))),
    ("an overlong slash", "invalid_utf8", extra(b'"\xc0\xaf"')),
    ("an overlong NUL", "invalid_utf8", extra(b'"\xc0\x80"')),
    ("an overlong quote of three bytes", "invalid_utf8", extra(b'"\xe0\x80\xa2"')),
    ("a surrogate in bytes", "invalid_utf8", extra(b'"\xed\xa0\x80"')),
    ("a surrogate pair in bytes (CESU-8)", "invalid_utf8", extra(b'"\xed\xa0\xbd\xed\xb8\x80"')),
    ("a code point over U+10FFFF", "invalid_utf8", extra(b'"\xf4\x90\x80\x80"')),
    ("a lone continuation byte", "invalid_utf8", extra(b'"\x80"')),
    ("a character cut off in a string", "invalid_utf8", extra(b'"\xe2\x82"')),
    ("a character cut off at the end of the line", "invalid_utf8", PLAIN[:-3].encode() + b"\xf0\x9f\x98"),
    ("a bad byte in a key", "invalid_utf8", plus(b'"\xff": 1')),
    ("a bad byte alone", "invalid_utf8", b"\xff"),
    ("random bytes", "invalid_utf8", bytes(byte for byte in range(256) if byte != 0x0A)),
    ("noncharacters", RECORD, with_("response", '"\uffff\U0010ffff\ufdd0"')),
    # Keys.
    ("a key twice", "duplicate_key", plus('"task_id": "other"')),
    ("a key twice with one value", "duplicate_key", plus('"task_id": "nasty"')),
    ("an unknown key twice", "duplicate_key", plus('"extra": 1, "extra": 2')),
    ("a key twice at depth", "duplicate_key", extra('[[{"a": {"b": 1, "c": 2, "b": 3}}]]')),
    ("a key twice, once by escape", "duplicate_key", plus(r'"task\u005fid": "other"')),
    ("a key of a pair twice, once by escape", "duplicate_key", extra('{"\U0001f600": 1, "\\ud83d\\ude00": 2}')),
    ("an empty key twice", "duplicate_key", plus('"": 1, "": 2')),
    ("a key twice in a value that is lost", "duplicate_key", plus('"a": {"b": 1, "b": 2}, "a": 0')),
    ("a key twice in messages", "duplicate_key", with_("messages", '[{"role": "user", "role": "system"}]')),
    ("a key in two objects", RECORD, extra('[{"a": 1}, {"a": 1}]')),
    ("keys that differ in case", RECORD, plus('"TASK_ID": "other", "Task_Id": "third"')),
    ("keys that differ in normal form", RECORD, plus('"\u00e9": 1, "e\u0301": 2')),
    ("keys that differ behind a NUL", RECORD, plus(r'"task_id\u0000": "other"')),
    ("a key in another case alone", "missing_task_id", PLAIN.replace('"task_id"', '"TASK_ID"').encode()),
    ("a key with a NUL alone", "missing_task_id", PLAIN.replace('"task_id"', r'"task_id\u0000"').encode()),
    ("a key by escapes alone", RECORD, PLAIN.replace('"task_id"', r'"\u0074ask_\u0069d"').encode()),
    ("an empty key", RECORD, plus('"": {"": [{"": ""}]}')),
    ("a very long key", RECORD, plus('"' + "k" * 15_000 + '": 1')),
    ("two very long keys that differ at the end", RECORD, plus(f'"{"k" * 5000}a": 1, "{"k" * 5000}b": 1')),
    ("keys that are paths", RECORD, plus('"$": 1, "$.task_id": 2, "/task_id": 3, "a.b": 4, "*": 5')),
    ("a thousand keys", RECORD, extra(json.dumps({f"k{number}": number for number in range(1000)}))),
    (
        "keys of the provenance",
        RECORD,
        plus(
            '"source": "tau_bench", "source_path": "x", "item_number": 1, "item_sha256": "0", "evidence_id": "0", '
            '"problem": "bad_luck", "json": {}'
        ),
    ),
    # Brackets.
    ("64 brackets open", RECORD, extra("[" * 63 + "]" * 63)),
    ("65 brackets open", "too_deep", extra("[" * 64 + "]" * 64)),
    ("64 objects open", RECORD, extra('{"a":' * 62 + "{}" + "}" * 62)),
    ("65 objects open", "too_deep", extra('{"a":' * 63 + "{}" + "}" * 63)),
    ("5,000 empty arrays, one in the other", "too_deep", extra("[" * 5000 + "]" * 5000)),
    ("5,000 arrays that are never closed", "too_deep", b"[" * 5000),
    ("500 empty arrays side by side", RECORD, extra("[" + ",".join(["[]"] * 500) + "]")),
    ("500 brackets in a string", RECORD, with_("response", '"' + "[{" * 250 + '"')),
    ("500 brackets in a string behind quotes", RECORD, with_("response", r'"\"\\\"' + "[" * 500 + r'\\"')),
    ("500 brackets in a key", RECORD, plus('"' + "{" * 500 + '": 1')),
    ("65 brackets closed and opened again", RECORD, extra('["]", ' * 30 + "0" + "]" * 30)),
    ("too deep and a bad byte", "invalid_utf8", b"[" * 65 + b"\xff"),
    ("too deep and malformed", "too_deep", extra("[" * 64 + ",")),
    ("too deep and a key twice", "too_deep", plus('"a": 1, "a": ' + "[" * 64 + "]" * 64)),
    ("too deep and no object", "too_deep", b"[" * 65 + b"]" * 65),
    ("a key twice and malformed", "malformed_json", plus('"a": 1, "a": 2,')),
    ("a key twice and no object", "duplicate_key", b'[{"a": 1, "a": 2}]'),
    ("a bad byte and malformed", "invalid_utf8", b"{\xff"),
    # No object.
    ("an array", "not_an_object", b"[]"),
    ("a line in an array", "not_an_object", b"[" + PLAIN.encode() + b"]"),
    ("a line in a string", "not_an_object", json.dumps(PLAIN).encode()),
    ("an empty string", "not_an_object", b'""'),
    ("a number", "not_an_object", b"42"),
    ("minus zero", "not_an_object", b"-0"),
    ("a number of 4,300 digits", "not_an_object", b"7" * 4300),
    ("a number of 5,000 digits", "too_large", b"7" * 5000),
    ("true", "not_an_object", b"true"),
    ("null", "not_an_object", b" null\r"),
    # Numbers.
    ("a score of 1e999", "bad_score", with_("score", "1e999")),
    ("a score of -1E400", "bad_score", with_("score", "-1E400")),
    ("a score of 1E+400", "bad_score", with_("score", "1E+400")),
    ("a score of 400 digits", "bad_score", with_("score", "9" * 400)),
    ("a score of -0", RECORD, with_("score", "-0")),
    ("a score of 0.0e-0", RECORD, with_("score", "0.0e-0")),
    ("a score of 1e308", RECORD, with_("score", "1e308")),
    ("a score with 5,000 decimals", RECORD, with_("score", "0." + "5" * 5000)),
    ("a score as text", "bad_score", with_("score", '"0.5"')),
    ("a score of true", "bad_score", with_("score", "true")),
    ("a score as text NaN", "bad_score", with_("score", '"NaN"')),
    ("a score of 00", "malformed_json", with_("score", "00")),
    ("a score of 01", "malformed_json", with_("score", "01")),
    ("a score of .5", "malformed_json", with_("score", ".5")),
    ("a score of +1", "malformed_json", with_("score", "+1")),
    ("a score of 1.", "malformed_json", with_("score", "1.")),
    ("a score of 1e", "malformed_json", with_("score", "1e")),
    ("a score of 0x1", "malformed_json", with_("score", "0x1")),
    ("a score of 1_0", "malformed_json", with_("score", "1_0")),
    ("a score of 0,5", "malformed_json", with_("score", "0,5")),
    ("a score of -", "malformed_json", with_("score", "-")),
    ("a score of Arabic digits", "malformed_json", with_("score", "\u0661")),
    ("an unknown field of 1e999", RECORD, extra("[1e999, -1E400, 9223372036854775808]")),
    ("an unknown field of 4,300 digits", RECORD, extra("9" * 4300)),
    ("an unknown field of 5,000 digits", "too_large", extra("9" * 5000)),
    ("tokens of 2**63 - 1", RECORD, with_("prompt_tokens", str(2**63 - 1))),
    ("tokens of -2**63", RECORD, with_("prompt_tokens", str(-(2**63)))),
    ("tokens of -0", RECORD, with_("prompt_tokens", "-0")),
    ("tokens of 2**63", "bad_prompt_tokens", with_("prompt_tokens", str(2**63))),
    ("tokens of -2**63 - 1", "bad_completion_tokens", with_("completion_tokens", str(-(2**63) - 1))),
    ("tokens of 2**64", "bad_completion_tokens", with_("completion_tokens", str(2**64))),
    ("tokens of 1.5", "bad_prompt_tokens", with_("prompt_tokens", "1.5")),
    ("tokens of 1e999", "bad_prompt_tokens", with_("prompt_tokens", "1e999")),
    ("tokens of text", "bad_completion_tokens", with_("completion_tokens", '"12"')),
    ("a latency of 1e999", "bad_latency_ms", with_("latency_ms", "1e999")),
    ("a cost in words", "bad_cost_usd", with_("cost_usd", '"free"')),
    ("a grounded fraction of an array", "bad_grounded_fraction", with_("grounded_fraction", "[0.5]")),
    # Other columns of the wrong type.
    *(
        (f"{name} of a number", f"bad_{name}", with_(name, "5"))
        for name in ("run_id", "task_id", "model", "file", "prompt", "response", "verdict", "human_override")
    ),
    ("source_class of a number", "bad_source_class", with_("source_class", "5")),
    ("a response of an object", "bad_response", with_("response", '{"text": "a"}')),
    ("a response of false", "bad_response", with_("response", "false")),
    ("a task of an array", "bad_task_id", with_("task_id", '["nasty"]')),
    ("cited paths as one text", "bad_cited_paths", with_("cited_paths", '"src/a.py"')),
    ("cited paths with a null", "bad_cited_paths", with_("cited_paths", '["src/a.py", null]')),
    ("success markers with a number", "bad_success_markers", with_("success_markers", '["ok", 1]')),
    ("failure markers of an object", "bad_failure_markers", with_("failure_markers", '{"slow": true}')),
    ("messages of an object", "bad_messages", with_("messages", '{"role": "user"}')),
    ("messages of prose", "bad_messages", with_("messages", '"hello"')),
    ("messages of text with NaN", "bad_messages", with_("messages", '"[NaN]"')),
    ("messages of text with a trailing comma", "bad_messages", with_("messages", '"[1,]"')),
    ("messages of text with a comment", "bad_messages", with_("messages", '"[1 /* one */]"')),
    ("messages of text cut off", "bad_messages", with_("messages", '"[1, 2"')),
    ("messages of text with a key twice", "bad_messages", with_("messages", calling('{"a": 1, "a": 2}'))),
    ("messages of text that is too deep", "bad_messages", with_("messages", calling('{"a":' * 60 + "1" + "}" * 60))),
    ("messages of text that is deep", RECORD, with_("messages", calling('{"a":' * 50 + "1" + "}" * 50))),
    ("arguments of text that is too deep", RECORD, with_("messages", calling(json.dumps('{"a":' * 70 + "1" + "}" * 70)))),
    ("all optional fields null", RECORD, without("model", "prompt")[:-1] + b', "model": null, "prompt": null}'),
    # Words that are not of the vocabulary.
    ("an unknown source class", "bad_source_class", with_("source_class", '"review"')),
    ("a source class in capitals", "bad_source_class", with_("source_class", '"Verdict"')),
    ("a source class with a space", "bad_source_class", with_("source_class", '"verdict "')),
    ("an unknown override", "bad_human_override", with_("human_override", '"accept"')),
    ("an override in capitals", "bad_human_override", with_("human_override", '"ACCEPTED"')),
    ("an override with a NUL", "bad_human_override", with_("human_override", r'"accepted\u0000"')),
    ("a null override", RECORD, with_("human_override", "null")),
    ("an unknown verdict", RECORD, with_("verdict", '"splendid"')),
    # What is required.
    ("an empty object", "missing_source_class", b"{}"),
    ("no task", "missing_task_id", without("task_id")),
    ("a null task", "missing_task_id", with_("task_id", "null")),
    ("an empty task", "missing_task_id", with_("task_id", '""')),
    ("a task of white space", "missing_task_id", with_("task_id", r'" \t\r\n\u000b\f"')),
    ("a task of Unicode white space", "missing_task_id", with_("task_id", '"\u00a0\u2003\u3000\u2028"')),
    ("a task of a zero-width space", "missing_task_id", with_("task_id", '"\u200b"')),
    ("no source class", "missing_source_class", without("source_class")),
    ("a null source class", "missing_source_class", with_("source_class", "null")),
    ("no task and a bad score", "bad_score", without("task_id")[:-1] + b', "score": "high"}'),
    ("no run", RECORD, without("run_id")),
    ("no clock", RECORD, without("created_at")),
    # Times.
    ("February 30", "bad_created_at", with_("created_at", '"2026-02-30T12:00:00Z"')),
    ("February 29 of no leap year", "bad_created_at", with_("created_at", '"2026-02-29"')),
    ("February 29 of a leap year", RECORD, with_("created_at", '"2024-02-29T23:59:59.999999Z"')),
    ("month 13", "bad_created_at", with_("created_at", '"2026-13-01T12:00:00Z"')),
    ("month 0", "bad_created_at", with_("created_at", '"2026-00-01T12:00:00Z"')),
    ("day 0", "bad_created_at", with_("created_at", '"2026-01-00T12:00:00Z"')),
    ("April 31", "bad_created_at", with_("created_at", '"2026-04-31T12:00:00Z"')),
    ("hour 25", "bad_created_at", with_("created_at", '"2026-01-31T25:00:00Z"')),
    ("minute 60", "bad_created_at", with_("created_at", '"2026-01-31T12:60:00Z"')),
    ("second 61", "bad_created_at", with_("created_at", '"2026-01-31T12:00:61Z"')),
    ("offset +25:00", "bad_created_at", with_("created_at", '"2026-01-31T12:00:00+25:00"')),
    ("offset +05:60", "bad_created_at", with_("created_at", '"2026-01-31T12:00:00+05:60"')),
    ("offset +14:00", RECORD, with_("created_at", '"2026-01-31T12:00:00+14:00"')),
    ("a year of five digits", "bad_created_at", with_("created_at", '"12026-01-31T12:00:00Z"')),
    ("a year before the first by its offset", "bad_created_at", with_("created_at", '"0001-01-01T00:00:00+05:00"')),
    ("a year after the last by its offset", "bad_created_at", with_("created_at", '"9999-12-31T23:59:59-05:00"')),
    ("the year 0", "bad_created_at", with_("created_at", '"0000-01-01T00:00:00Z"')),
    ("a negative year", "bad_created_at", with_("created_at", '"-2026-01-31T12:00:00Z"')),
    ("seconds since 1970", "bad_created_at", with_("created_at", "1767225600")),
    ("seconds since 1970 as text", "bad_created_at", with_("created_at", '"1767225600"')),
    ("infinity as a time", "bad_created_at", with_("created_at", '"infinity"')),
    ("epoch as a time", "bad_created_at", with_("created_at", '"epoch"')),
    ("yesterday as a time", "bad_created_at", with_("created_at", '"yesterday"')),
    ("an American date", "bad_created_at", with_("created_at", '"01/31/2026"')),
    ("a time with full-width digits", "bad_created_at", with_("created_at", '"\uff12\uff10\uff12\uff16-01-31"')),
    ("a time and more", "bad_created_at", with_("created_at", '"2026-01-31T12:00:00Z\'; drop table x"')),
    ("a time and a NUL", "bad_created_at", with_("created_at", r'"2026-01-31T12:00:00Z\u0000"')),
    ("a null time", RECORD, with_("created_at", "null")),
    # Length.
    ("a line of exactly the limit", RECORD, of_length(MAX_LINE_BYTES)),
    ("a line one byte over the limit", "line_too_long", of_length(MAX_LINE_BYTES + 1)),
    ("a CR over the limit", "line_too_long", of_length(MAX_LINE_BYTES) + b"\r"),
    ("a long line of bad bytes", "line_too_long", b"\xff" * 100_000),
    ("a long line of brackets", "line_too_long", b"[" * 100_000),
    ("a long line of a million bytes", "line_too_long", of_length(1_000_000)),
]

NAMES = [name for name, _, _ in NASTY]


def good_line(number: int) -> bytes:
    """Return a good line whose task has this number."""
    return json.dumps(evidence_line(f"good-{number}")).encode()


#: The file: a good line, then each nasty line and another good one. Nasty line n (from 0) is line 2n + 2 of the file.
LINES = [good_line(0)]
for _number, (_, _, _line) in enumerate(NASTY, start=1):
    LINES += [_line, good_line(_number)]


def digest(line: bytes) -> str:
    """Return the hash by which a line is known."""
    return sha256(line).hexdigest()


@dataclass
class Fates:
    """What a run made of the lines of its files, by path and number."""

    exit_code: int
    counts: tuple[int, int]
    records: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    skipped: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def of(self, path: str, number: int) -> str:
        """Return the fate of a line; its number is in the books once, or not at all."""
        if (path, number) in self.records:
            assert (path, number) not in self.skipped
            return RECORD
        return str(self.skipped[path, number]["reason"]) if (path, number) in self.skipped else BLANK


def run(root: Path, *arguments: str) -> Fates:
    """Run the command over the evidence in a root, and read from the published warehouse what became of every line."""
    result = etl("run-all", "--root", root, *arguments)
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as connection:
        counts = connection.execute("select sum(record_count), sum(blank_count) from evidence.file").fetchall()[0]
        fates = Fates(result.exit_code, (int(counts[0]), int(counts[1])))
        for table, found in (("record", fates.records), ("skipped", fates.skipped)):
            rows = connection.sql(f"from evidence.{table}").to_arrow_table().to_pylist()
            found.update({(row["source_path"], row["item_number"]): row for row in rows})
            assert len(found) == len(rows)
    return fates


@pytest.fixture(
    scope="module",
    params=[pytest.param(ending, id=ending or "plain", marks=pytest.mark.slow if ending else ()) for ending in PACK],
)
def fates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Fates]:
    """Give the path of a file with all lines, plain or packed, and what one run made of it."""
    root = tmp_path_factory.mktemp("nasty")
    path = f"evidence.jsonl{request.param}"
    (root / "evidence").mkdir()
    (root / "evidence" / path).write_bytes(PACK[request.param](b"\n".join(LINES) + b"\n"))
    return path, run(root, "--set", f"max_line_bytes={MAX_LINE_BYTES}")


def test_the_table_is_fit_to_test_with() -> None:
    """The table is long enough, names each entry once, covers every reason, and holds no line feed."""
    assert len(NASTY) >= 120
    assert len(set(NAMES)) == len(NAMES)
    assert not [name for name, _, line in NASTY if b"\n" in line]
    assert {fate for _, fate, _ in NASTY} >= {
        *(RECORD, BLANK, "line_too_long", "invalid_utf8", "too_large", "too_deep", "malformed_json"),
        *("duplicate_key", "not_an_object", "missing_task_id", "missing_source_class", "bad_created_at", "bad_human_override"),
    }


@pytest.mark.parametrize("index", range(len(NASTY)), ids=NAMES)
def test_a_nasty_line_has_its_fate(fates: tuple[str, Fates], index: int) -> None:
    """A nasty line is a record, blank or skipped with its reason; what was skipped comes back byte for byte."""
    path, found = fates
    number = 2 * index + 2
    _, fate, line = NASTY[index]
    assert found.of(path, number) == fate
    if fate == RECORD:
        record = found.records[path, number]
        value = json.loads(line)
        assert record["item_sha256"] == digest(line)
        assert (record["source"], record["source_path"]) == ("evidence", path)
        assert record["evidence_id"] == digest(
            "\x1f".join(["evidence", value.get("run_id") or "", value["task_id"], digest(line)]).encode()
        )
        for name in ("task_id", "run_id", "response", "prompt", "model", "source_class", "score", "prompt_tokens"):
            assert record[name] == value.get(name), name
    elif fate != BLANK:
        skipped = found.skipped[path, number]
        assert skipped["item_sha256"] == digest(line)
        assert skipped["source"] == "evidence"
        if fate == "line_too_long":
            offset = sum(len(before) + 1 for before in LINES[: number - 1])
            assert skipped["raw"] is None
            assert skipped["detail"] == f"offset {offset}, length {len(line)}"
        else:
            assert skipped["raw"] == line


def test_every_good_line_loads(fates: tuple[str, Fates]) -> None:
    """Not one good line is lost or changed, whatever stands before and after it."""
    path, found = fates
    for number in range(1, len(LINES) + 1, 2):
        record = found.records[path, number]
        assert record["item_sha256"] == digest(LINES[number - 1])
        assert record["response"] == f"The answer to good-{number // 2}."


def test_lines_in_are_fates_out(fates: tuple[str, Fates]) -> None:
    """Every line is in the books once, and the run that skipped lines says so by its exit code."""
    _, found = fates
    blank = sum(fate == BLANK for _, fate, _ in NASTY)
    assert found.exit_code == 1
    assert found.counts == (len(LINES) - blank, blank)
    assert len(found.records) + len(found.skipped) == len(LINES) - blank
    assert not found.records.keys() & found.skipped.keys()


# Lines that nobody thought of, judged a second time by the standard library's parser.


class NotJsonError(ValueError):
    """Text that is no JSON by RFC 8259."""


class TooLargeError(Exception):
    """A number of more digits than are read."""


def strictly(line: bytes) -> tuple[str, Any]:
    """Return RECORD and the object that a line holds, or BLANK or its reason and None."""
    if not line.strip(b" \t\r"):
        return BLANK, None
    try:
        text = line.decode("utf-8")
        return ("too_deep", None) if depth(text) > MAX_DEPTH else parsed(text)
    except UnicodeDecodeError:
        return "invalid_utf8", None
    except TooLargeError:
        return "too_large", None
    except ValueError:
        return "malformed_json", None


def parsed(text: str) -> tuple[str, Any]:
    """Return RECORD and an object, or a reason and None; raise ValueError or TooLargeError at the first other fault."""
    repeated: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, value in pairs:
            encodable(key)
            encodable(value)
        repeated.extend(key for key in {key for key, _ in pairs} if [key for key, _ in pairs].count(key) > 1)
        return dict(pairs)

    def constant(word: str) -> Any:
        raise NotJsonError(word)

    def number(digits: str) -> float:
        if len(digits.removeprefix("-").split(".")[0].lower().split("e")[0]) > MAX_DIGITS:
            raise TooLargeError
        return float(digits)

    value = json.loads(text, object_pairs_hook=members, parse_constant=constant, parse_int=number, parse_float=number)
    encodable(value)
    if repeated:
        return "duplicate_key", None
    return (RECORD, value) if isinstance(value, dict) else ("not_an_object", None)


def encodable(value: Any) -> None:
    """Raise ValueError if a text, or one in an array, cannot be UTF-8; objects were looked at when they were built."""
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, list):
        for part in value:
            encodable(part)


def depth(text: str) -> int:
    """Return how many brackets are open at once outside strings, where a backslash hides a quote too."""
    most = now = 0
    for token in re.findall(r'\\["\\]|"(?:\\.|[^"\\])*(?:"|\\?$)|[][{}]', text, re.DOTALL):
        if token in "[{":
            now += 1
            most = max(most, now)
        elif token in "]}":
            now = max(now - 1, 0)
    return most


SEEDS = [line for _, fate, line in NASTY if 0 < len(line) < 2000]
GOOD = [line for _, fate, line in NASTY if fate == RECORD and len(line) < 2000]
TOKENS = [
    *(bytes([byte]) for byte in b"\"\\:,{}[] \t\r\x00\x01\x0b\x1b'-+.0e1aN/#\x80\xc0\xc3\xed\xf4\xff"),
    *(b"NaN", b"Infinity", b"null", rb"\ud800", rb"\udc00", rb"\ud83d\ude00", rb"\u0061", b'"task_id":1,', b'"a" :[],'),
    *(b"//", b"[" * 64, b"]" * 64, b'{"a":' * 63, b"1e999", b"9" * 5000, b"{}", b"[]", b'""', b"\xef\xbb\xbf"),
    *("\u2028".encode(), "\u00e9".encode(), "\U0001f600".encode(), b"00", b"\\\\", b'\\"'),
]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Return a line of the table after some flips, deletions, insertions, cuts and splices."""
    line = draw(st.sampled_from(GOOD) | st.sampled_from(SEEDS))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(line)))
        match draw(st.sampled_from(["flip", "delete", "insert", "insert", "truncate", "splice"])):
            case "flip" if at < len(line):
                line = line[:at] + bytes([line[at] ^ 1 << draw(st.integers(0, 7))]) + line[at + 1 :]
            case "delete":
                line = line[:at] + line[at + draw(st.integers(1, 8)) :]
            case "insert":
                line = line[:at] + draw(st.sampled_from(TOKENS)) + line[at:]
            case "truncate":
                line = line[:at]
            case "splice":
                other = draw(st.sampled_from(SEEDS))
                line = line[:at] + other[draw(st.integers(0, len(other))) :]
            case _:
                pass
    return line.replace(b"\n", b"")


FUZZ = mutants() | mutants() | mutants() | st.binary(max_size=60).map(lambda line: line.replace(b"\n", b""))


@pytest.mark.slow
def test_two_thousand_fuzzed_lines_have_the_verdict_of_the_standard_library(tmp_path: Path) -> None:
    """Each fuzzed line is judged as the standard library judges it, and twenty files of them lose no line."""
    fuzzed: list[bytes] = []

    @settings(max_examples=2000, derandomize=True, deadline=None, database=None)
    @given(FUZZ)
    def alone(line: bytes) -> None:
        fuzzed.append(line)
        verdict, _ = strictly(line)
        if verdict != BLANK:
            refusal = judge(line, MAX_DEPTH, MAX_VALUES)
            assert (refusal.reason if refusal else RECORD) == verdict

    alone()
    in_files(fuzzed, tmp_path)


def in_files(fuzzed: list[bytes], root: Path) -> None:
    """Collect lines from twenty files: every line has its one fate, with its bytes, and every record its text."""
    size = -(-len(fuzzed) // 20)
    endings = list(PACK)
    files = {f"evidence/{place:02}.jsonl{endings[place % 3]}": fuzzed[place * size : (place + 1) * size] for place in range(20)}
    for path, lines in files.items():
        file = root / "evidence" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PACK[file.suffix if file.suffix != ".jsonl" else ""](b"".join(line + b"\n" for line in lines)))
    found = run(root)
    blank = wrong = 0
    for path, lines in files.items():
        for number, line in enumerate(lines, start=1):
            verdict, value = strictly(line)
            fate = found.of(path, number)
            blank += verdict == BLANK
            if verdict == RECORD and fate != RECORD:
                assert fate.startswith(("missing_", "bad_")), line
                wrong += 1
            else:
                assert fate == verdict, line
            if fate == RECORD:
                record = found.records[path, number]
                assert record["item_sha256"] == digest(line)
                assert [record[name] for name in ("task_id", "run_id", "prompt", "response", "model", "verdict")] == [
                    value.get(name) for name in ("task_id", "run_id", "prompt", "response", "model", "verdict")
                ]
            elif fate != BLANK:
                assert found.skipped[path, number]["item_sha256"] == digest(line)
                assert found.skipped[path, number]["raw"] == line
    assert len(fuzzed) >= 2000
    assert found.counts == (len(fuzzed) - blank, blank)
    assert len(found.records) + len(found.skipped) + blank == len(fuzzed)
    assert len(found.records) > 100
    assert wrong > 20

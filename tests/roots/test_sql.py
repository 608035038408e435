"""What etl sql prints: a table for people; CSV and JSON Lines for other programs, row by row."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import copy_of, etl, evidence_line, write_evidence

from etl.base.project import Project
from etl.console import parts
from etl.inspect.sql import stream
from etl.warehouse import read_only

#: A value, how CSV has it, and how a line of JSON does.
VALUES = {
    "null": ("", "null"),
    "''": ("", '""'),
    "'a,b'": ("a,b", '"a,b"'),
    "'a\"b'": ('a"b', r'"a\"b"'),
    "'a' || chr(13) || chr(10) || 'b'": ("a\r\nb", r'"a\r\nb"'),
    "' é😀 '": (" é😀 ", '" é😀 "'),
    "chr(27) || chr(0) || chr(8232)": ("\x1b\0\u2028", '"\\u001b\\u0000\u2028"'),
    "true": ("true", "true"),
    "12345678901234567890": ("12345678901234567890", "12345678901234567890"),
    "-170141183460469231731687303715884105727::hugeint": ("-170141183460469231731687303715884105727",) * 2,
    "1.10": ("1.10", "1.10"),
    "1.2345678901234567890123::decimal(38, 22)": ("1.2345678901234567890123",) * 2,
    "0.1::double": ("0.1", "0.1"),
    "1e300::double": ("1e+300", "1e+300"),
    "'nan'::double": ("nan", '"nan"'),
    "'-inf'::double": ("-inf", '"-inf"'),
    "timestamp '2026-01-31 12:00:00'": ("2026-01-31 12:00:00", '"2026-01-31T12:00:00"'),
    "timestamp '2026-01-31 12:00:00.5'": ("2026-01-31 12:00:00.5", '"2026-01-31T12:00:00.500000"'),
    "timestamp 'infinity'": ("infinity", '"infinity"'),
    "timestamp '-infinity'": ("-infinity", '"-infinity"'),
    "timestamptz 'infinity'": ("infinity", '"infinity"'),
    "timestamp_s 'infinity'": ("infinity", '"infinity"'),
    "timestamp_ns '2026-01-31 12:00:00.123456789'": ("2026-01-31 12:00:00.123456789",) * 2,
    "date '2026-01-31'": ("2026-01-31", '"2026-01-31"'),
    "date 'infinity'": ("infinity", '"infinity"'),
    "timestamp '9999-12-31 23:59:59.999999'": ("9999-12-31 23:59:59.999999", '"9999-12-31T23:59:59.999999"'),
    "timestamp '20000-01-01'": ("20000-01-01 00:00:00", '"20000-01-01 00:00:00"'),
    "date '0044-03-15 (BC)'": ("0044-03-15 (BC)", '"0044-03-15 (BC)"'),
    r"'\xFFa'::blob": (r"\xFFa", r'"\\xffa"'),
    "[1, null]": ("[1, NULL]", "[1,null]"),
    "[date 'infinity', null]": ("[infinity, NULL]", '["infinity",null]'),
    "array_value(date 'infinity', date '2026-01-31')": ("[infinity, 2026-01-31]", '["infinity","2026-01-31"]'),
    "[['nan'::double, 1.5]]": ("[[nan, 1.5]]", '[["nan",1.5]]'),
    "{'a': 1.10, 'b \"': timestamp 'infinity', 'c': null::date}": (
        "{'a': 1.10, 'b \"': infinity, 'c': NULL}",
        r'{"a":1.10,"b \"":"infinity","c":null}',
    ),
    "map {'k': [date '-infinity']}": ("{k=[-infinity]}", '{"k":["-infinity"]}'),
    "'{\"a\": 1.10}'::json": ('{"a": 1.10}', r'"{\"a\": 1.10}"'),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with a published record."""
    return copy_of(publish_record, tmp_path_factory.mktemp("root"))


def publish_record(root: Path) -> None:
    """Publish one record."""
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    assert etl("run-all", "--root", root).exit_code == 0


def printed(root: Path, form: str, query: str) -> str:
    """Return what a query prints."""
    result = etl("sql", query, "--root", root, "--format", form)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def written(root: Path, form: str, query: str) -> str:
    """Return what is written for a query: click's runner would change the ends of lines."""
    pieces: list[str] = []
    stream(Project.at(root), query, form, pieces.append)
    return "".join(pieces)


def test_each_value_as_csv(root: Path) -> None:
    """A header, then the engine's own text of each value, in quotes where RFC 4180 wants them; a null is empty."""
    text = written(root, "csv", f'select {", ".join(VALUES)}, 1 as n, 2 as n, 3 as "a,b"')
    header, row = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header[-3:] == ["n", "n_1", "a,b"]
    assert row[:-3] == [as_csv for as_csv, _ in VALUES.values()]
    assert text.endswith(",1,2,3\r\n")  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_each_value_as_a_line_of_json(root: Path, value: str) -> None:
    """Numbers have all their digits; what JSON has no word for is the engine's text; a line is a line."""
    text = printed(root, "jsonl", f'select {value} as v, 1 as "ä""", 1 as v')
    wanted = VALUES[value][1]
    wanted = wanted if value != "timestamp_ns '2026-01-31 12:00:00.123456789'" else f'"{wanted}"'
    assert text == f'{{"v":{wanted},"ä\\"":1,"v_1":1}}\n'
    json.loads(text)


@pytest.mark.parametrize("value", VALUES)
def test_each_value_in_a_table_and_a_document(root: Path, value: str) -> None:
    """No time stands in another year; the document is that of a line of JSON, but for numbers that JSON has not."""
    query = f"select {value} as v"
    document = etl("sql", query, "--root", root, "--json").json[0]["v"]
    of_line = json.loads(printed(root, "jsonl", query))["v"]
    if "nan" not in value and "inf'::double" not in value and "decimal" not in value:
        assert document == of_line
    if "infinity" in value:
        assert "infinity" in etl("sql", query, "--root", root).stdout
        assert "9999" not in etl("sql", query, "--root", root).stdout


def test_no_rows(root: Path) -> None:
    """CSV is its header, JSON Lines nothing."""
    query = "select 1 as a, 2 as b where false"
    assert written(root, "csv", query) == "a,b\r\n"
    assert written(root, "jsonl", query) == ""


def test_rows_of_one_column(root: Path) -> None:
    """A null, or an empty text, that stands alone is no empty line, which readers would pass over."""
    text = written(root, "csv", "select unnest(['x', null, '', 'y']) as a")
    assert [*csv.reader(io.StringIO(text, newline=""))] == [["a"], ["x"], [""], [""], ["y"]]


QUERIES = {
    "select 1 as a; select 2 as a": [{"a": 2}],
    "select 2 as a;": [{"a": 2}],
    "select 2 as a ; /* ; */ ; -- é;": [{"a": 2}],
    "select ';--' as a -- ;": [{"a": ";--"}],
    "select 'é' as a; -- é": [{"a": "é"}],
    "with x as (select 2 as a) from x": [{"a": 2}],
    "from (values (2), (1)) as t (a) order by a": [{"a": 1}, {"a": 2}],
    "values (1)": [{"col0": 1}],
    "select column_name from (describe policy.baseline)": [{"column_name": "run_id"}],
    "select count(*)::int as n from evidence.record": [{"n": 1}],
}


@pytest.mark.parametrize(("query", "rows"), QUERIES.items())
def test_the_last_statement_is_printed(root: Path, query: str, rows: list[dict[str, Any]]) -> None:
    """However a query ends, and whatever stands before its last statement, in every form."""
    assert etl("sql", query, "--root", root, "--json").json == rows
    assert [json.loads(line) for line in printed(root, "jsonl", query).splitlines()] == rows
    assert len(printed(root, "csv", query).splitlines()) == len(rows) + 1


@pytest.mark.parametrize(
    "query", ["describe evidence.record", "show all tables", "summarize evidence.record", "explain select 1"]
)
def test_statements_that_are_no_select(root: Path, query: str) -> None:
    """What the engine tells of itself is rows like any."""
    rows = etl("sql", query, "--root", root, "--json").json
    assert rows
    assert len(printed(root, "jsonl", query).splitlines()) == len(rows)
    text = printed(root, "csv", query)
    assert len([*csv.reader(io.StringIO(text, newline=""))]) == len(rows) + 1


def test_rows_keep_their_order(root: Path) -> None:
    """Over many batches, as the query orders them."""
    text = written(root, "csv", "select range as n from range(50000) order by hash(range)")
    wanted = etl("sql", "select list(range order by hash(range)) as n from range(50000)", "--root", root, "--json").json
    assert [int(line) for line in text.split("\r\n")[1:-1]] == wanted[0]["n"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_error_at_a_late_row(root: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """What was computed before is printed, then a sentence and exit code 2."""
    monkeypatch.setattr(read_only, "ROWS_PER_BATCH", 10)
    late = "select case when range = 99999 then error('too late') else range end as n from range(100000)"
    result = etl("sql", late, "--root", root, "--format", form)
    assert result.exit_code == 2
    assert "too late" in result.stderr
    assert result.stderr.count("\n") == 1
    for query in ("create table t (a int)", "copy (select 1) to '/tmp/x'", "select from", "", ";", "select 1; drop table t"):
        result = etl("sql", query, "--root", root, "--format", form)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1), query


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--format", "xml"], "--format xml: give table, csv or jsonl."),
        (["--format", "csv", "--json"], "--json prints one document, --format csv row by row; give one of them."),
        (["--json", "--format", "jsonl"], "--json prints one document, --format jsonl row by row; give one of them."),
    ],
)
def test_forms_that_are_none(root: Path, options: list[str], sentence: str) -> None:
    """One sentence, and exit code 2."""
    result = etl("sql", "select 1", "--root", root, *options)
    assert (result.exit_code, result.stderr) == (2, f"etl: {sentence}\n")


def test_a_table_is_what_there_was_without_a_form(root: Path) -> None:
    """--format table says what is so anyway, and goes with --json."""
    query = "select 1 as a, timestamp '2026-01-31' as t, 'x' || chr(27) as x, [1, null] as l"
    assert printed(root, "table", query) == etl("sql", query, "--root", root).stdout
    assert "2026-01-31 00:00:00 x\\u001b" in printed(root, "table", query)
    assert etl("sql", query, "--root", root, "--format", "table", "--json").json[0]["a"] == 1


def test_no_terminal_obeys_what_evidence_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a pipe go the exact bytes; to a terminal lines in which no character moves a cursor."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for out, wanted in ((io.StringIO(), 'a,"\x1b\x9b"\r\nb\n'), (Terminal(), 'a,"\\u001b\\u009b"\nb\n')):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            parts.print_exactly('a,"\x1b\x9b"\r\nb\n')
        assert out.getvalue() == wanted


def test_a_reader_that_has_enough(root: Path) -> None:
    """If the pipe is closed early, as head does it, the command ends at once and says nothing."""
    for options in (["--format", "csv"], ["--format", "jsonl"], ["--json"], []):
        size = 1_000_000_000 if "--format" in options else 100_000
        command = [sys.executable, "-m", "etl", "sql", f"from range({size})", "--root", str(root), *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            said = process.stderr.read()
            process.wait(60)
        assert said == b"", options


def test_bytes_are_utf_8(root: Path) -> None:
    """Whatever the locale says, with the ends of lines of RFC 4180."""
    command = [sys.executable, "-m", "etl", "sql", "select chr(128512) as a", "--root", str(root), "--format", "csv"]
    done = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"})
    assert done.stdout == "a\r\n😀\r\n".encode()


#: A program that runs a command and says on stderr how much memory it took, in KiB.
MEASURED = """\
import re, sys
from etl.cli.app import app
try:
    app()
finally:
    sys.stderr.write(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def test_long_results_need_no_memory(root: Path) -> None:
    """A result of a gigabyte is printed in a process that may take half of that."""
    query = "select range, repeat('x', 500) as x from range(2000000)"
    command = [sys.executable, "-c", MEASURED, "sql", query, "--root", str(root), "--format", "csv"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    assert int(done.stderr) < 500_000

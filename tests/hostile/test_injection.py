"""Names, texts and arguments made to be mistaken for something else: SQL, paths, options, commands to a terminal."""

import gzip
import json
import os
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from conftest import Result, etl, evidence_line, jsonl, write_evidence

from etl.base.terminal import harmless

SQL = [
    "'; drop table evidence.record; --",
    '"; drop table evidence.record; --',
    "x') union all select 1 --",
    "' or '1'='1",
    "'||(select 1)||'",
    "$id",
    "$1 ? %s {0} {id}",
    "chr(31) \\ \\' \\x27",
    "select 1; select 2",
    "[red]markup[/red]",
    "%",
    "_",
    "*",
]

#: Colour, a cleared screen, links (OSC 8), the clipboard (OSC 52), the title; bells and other C0; C1; bidi controls.
TERMINAL = {
    "ESC": "\x1b[31mred\x1b[2J\x1b[H\x1b]8;;http://a\x07here\x1b]8;;\x07\x1b]52;c;ZWNobw==\x07\x1b]0;title\x07\x1bc",
    "C0": "\x07safe\x08\x08\x08\x08evil\revil\x0e\x0f\x7f\x01",
    "C1": "\x9b31mred\x9d52;c;ZWNobw==\x9c\x90q\x9c\x85",
    "bidi": "\u202egnp.exe\u2066x\u2067\u2068\u2069\u202a\u202b\u202c\u202d\u200e\u200f\u061c",
}

#: Characters that a terminal obeys, or that turn the reading direction; line feeds are the program's own.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def require_tame(text: str) -> None:
    """Fail, and show where, if a text holds a character that a terminal obeys."""
    found = OBEYED.search(text)
    assert found is None, ascii(text[max(0, found.start() - 60) : found.end() + 20])


def require_refusal(result: Result) -> None:
    """Fail unless a command said only, in one harmless sentence, that it was used wrongly."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    require_tame(result.stderr)


def rows(root: Path, query: str) -> list[tuple[Any, ...]]:
    """Query the published warehouse without the command."""
    with duckdb.connect(str(root / "warehouse" / "etl.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder, except in the staging folder."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".etl" not in path.parts
    }


# SQL in names, texts and arguments.


def sql_line(number: int, text: str, **fields: Any) -> dict[str, Any]:
    """Return a line in which every text is the same piece of SQL; ``number`` makes the line unique."""
    texts = dict.fromkeys(("run_id", "model", "file", "prompt"), text)
    return evidence_line(text, **texts, response=f"{number} {text}", verdict="accept", cited_paths=[text]) | fields


@pytest.fixture(scope="module")
def sql_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run over texts, file names, folders, sources, a mapping and a manifest full of SQL."""
    root = tmp_path_factory.mktemp("sql")
    for number, text in enumerate(SQL):
        name = text.replace("/", "|")
        line = sql_line(number, text)
        write_evidence(
            root / "evidence",
            {
                f"evidence/{number:02}.jsonl": [line],
                f"evidence/{name}.jsonl": [line],
                f"evidence/{name}/{name}/a.jsonl": [line],
                f"{name}.jsonl": [line],
                f"{name}-folder/a.jsonl": [line],
            },
        )
    mapping = root / "sql" / "2_sources" / "mapped'; drop table evidence.record; --.sql"
    mapping.parent.mkdir(parents=True)
    mapping.write_text(
        "select 'verdict' as source_class, json ->> 'task_id' as task_id, json ->> 'response' as response from raw.item\n",
        encoding="utf-8",
    )
    write_evidence(root / "evidence", {f"{mapping.stem}.jsonl": [sql_line(0, SQL[0])]})
    (root / "known.txt").write_text("\n".join(text for text in SQL if not text.startswith('"')), encoding="utf-8")
    result = etl("run-all", "--root", root, "--known-paths", root / "known.txt")
    assert result.exit_code == 1, result.stderr
    return root


def test_sql_in_evidence_is_text(sql_root: Path) -> None:
    """Every line keeps its place and its text: as a record, or skipped for its unknown source."""
    records = rows(
        sql_root, "select task_id, run_id, model, file, prompt, cited_paths[1] from evidence.record where model is not null"
    )
    assert sorted(records) == sorted([(text,) * 6 for text in SQL] * 3)
    assert rows(sql_root, "select reason, count(*) from evidence.skipped group by all") == [("unknown_source", 2 * len(SQL))]
    sources = {text.replace("/", "|") for text in SQL}
    assert {source for (source,) in rows(sql_root, "select source from evidence.skipped")} == {
        *sources,
        *(f"{source}-folder" for source in sources),
    }
    assert rows(sql_root, "select count(*) from evidence.record where starts_with(source, 'mapped''; drop')") == [(1,)]


def test_sql_in_evidence_ships_as_it_is(sql_root: Path) -> None:
    """The dataset holds the exact texts, each once, as the copies are duplicates; known paths are compared as text."""
    shipped = jsonl(sql_root / "exports/rag/playbooks/part-00001.jsonl")
    known = [text for text in SQL if not text.startswith('"')]
    assert sorted(row["task_id"] for row in shipped) == sorted(known)
    assert {row["content"] for row in shipped} == {f"{SQL.index(text)} {text}" for text in known}
    assert sorted(pl.read_parquet(sql_root / "exports/rag/playbooks/part-00001.parquet")["task_id"]) == sorted(known)
    assert etl("verify", "--root", sql_root).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("text", SQL)
def test_explain_finds_a_place_by_its_exact_name(sql_root: Path, text: str) -> None:
    """A path with SQL or wildcards in it names only its own item, from the evidence folder or the root."""
    name = f"{text.replace('/', '|')}.jsonl"
    found = etl("explain", f"evidence/{name}:1", "--root", sql_root, "--json").json
    assert [record["source_path"] for record in found["records"]] == [f"evidence/{name}"]
    assert [item["source_path"] for item in found["skipped"]] == [name]
    assert found["pairs"] == []


@pytest.mark.slow
@pytest.mark.parametrize("text", SQL)
def test_sql_as_an_id_is_a_value(sql_root: Path, text: str) -> None:
    """An argument is a value, never a part of a statement or a pattern: it names the task of this name, or nothing."""
    before = contents(sql_root)
    found = etl("explain", "--root", sql_root, "--json", "--", text).json
    assert {record["task_id"] for record in found["records"]} == {text}
    require_refusal(etl("explain", "--root", sql_root, "--", f"{text} "))
    for command in ("receipts", "verify", "drift"):
        require_refusal(etl(command, "--root", sql_root, "--", text))
    assert contents(sql_root) == before


@pytest.mark.parametrize(
    "name", ["accept_at", "max_pairs_per_task", "include_partial", "memory_limit", "threads", "max_depth", "max_values"]
)
@pytest.mark.parametrize("value", ["0); drop table x", "1 --", "1GB'; select 1"])
def test_sql_as_a_setting_is_refused(sql_root: Path, name: str, value: str) -> None:
    """A setting has a type: SQL is not a valid value, and nothing is run or changed."""
    before = contents(sql_root)
    result = etl("run-all", "--root", sql_root, "--set", f"{name}={value}")
    require_refusal(result)
    assert name in result.stderr
    assert contents(sql_root) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accept_at; drop table x", "accept_at'", "__class__", "known_paths_sha256", "", "a\x1b[31m"])
def test_sql_as_the_name_of_a_setting_is_refused(sql_root: Path, name: str) -> None:
    """A name of a setting that is SQL is refused as an unknown setting."""
    require_refusal(etl("run-all", "--root", sql_root, "--set", f"{name}=1"))


@pytest.mark.parametrize("stage", ["collect; drop table x", "../collect", "collect'", "", "\x1b[31m"])
def test_sql_as_a_stage_is_refused(sql_root: Path, stage: str) -> None:
    """A name of a stage that is SQL is refused as an unknown stage."""
    require_refusal(etl("run", "--root", sql_root, "--", stage))


# Run ids are not paths.


@pytest.fixture(scope="module")
def runs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with one run and, beside its reports, the folder of a run that no command may read."""
    root = tmp_path_factory.mktemp("runs") / "root"
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    assert etl("run-all", "--root", root).exit_code == 0
    (run_id,) = run_ids(root)
    for outside in (root / "reports" / "outside", root.parent / "outside"):
        shutil.copytree(root / "reports" / "distillation" / run_id, outside)
        for file in outside.glob("*.json"):
            file.write_text(file.read_text("utf-8").replace("export-rag", "SECRET"), encoding="utf-8")
    return root


def run_ids(root: Path) -> list[str]:
    """Return the names of the runs' folders."""
    return sorted(path.name for path in (root / "reports" / "distillation").iterdir() if path.is_dir())


@pytest.mark.slow
@pytest.mark.parametrize("command", ["receipts", "verify", "drift"])
@pytest.mark.parametrize(
    "run_id",
    [
        *("../../etc", "../outside", "../../../outside", "/etc", "/", ".", "..", "", "~", "latest.md", "{run}/", "./{run}"),
        *("../distillation/{run}", "{run}/../{run}", "{run}\n", " {run}", "{run}\x00", "{root}/reports/distillation/{run}"),
        *("..\\outside", "C:\\outside", "%2e%2e/outside", "{run}\x1b[31m", "*", "{run}%"),
    ],
)
def test_a_run_id_is_no_path(runs_root: Path, command: str, run_id: str) -> None:
    """Only the exact id of a known run names it; anything else is exit code 2, and no other folder is read."""
    wanted = run_id.format(run=run_ids(runs_root)[0], root=runs_root)
    before = contents(runs_root.parent)
    result = etl(command, "--root", runs_root, "--", wanted)
    require_refusal(result)
    assert "SECRET" not in result.stderr
    assert contents(runs_root.parent) == before


@pytest.mark.parametrize("command", ["receipts", "verify", "drift"])
def test_a_document_cannot_name_a_run_elsewhere(runs_root: Path, tmp_path: Path, command: str) -> None:
    """A summary in reports/ that claims to be the run ``../outside`` leads no command out of reports/."""
    root = tmp_path / "root"
    shutil.copytree(runs_root, root)
    (run_id,) = run_ids(root)
    planted = root / "reports" / "distillation" / "planted"
    shutil.copytree(root / "reports" / "distillation" / run_id, planted)
    for file in planted.glob("*.json"):
        text = file.read_text("utf-8").replace(run_id, "../outside").replace('"seq": 1', '"seq": 2')
        file.write_text(text, encoding="utf-8")
    for arguments in (["../outside"], []):
        result = etl(command, "--root", root, *arguments)
        assert "SECRET" not in result.stdout + result.stderr
    require_refusal(etl(command, "--root", root, "../outside"))


# Cited paths that lead out of the repository.

OUTSIDE = [
    *("..", "../a.py", "a/../b.py", "src/..", "src/../../a.py", "a/../", "./../a.py", "/etc/passwd", "//server/share"),
    *("C:\\a.py", "c:/a.py", "C:a.py", "\\a.py", "\\\\server\\share", "..\\a.py", "a\\..\\b.py", "src\\..", "a/..\\b.py"),
    *("src/a.py\x00", "\x00", "src\x00/../a.py"),
]
INSIDE = ["src/a.py", "src/..a.py", "a..b/c.py", "...", "src/.hidden", "it's.py", "a b.py", "-rf", "%2e%2e.py", "\u202ea.py"]


def as_git_prints(path: str) -> str:
    """Return a path as ``git ls-files`` prints it: with octal bytes in quotes, where it holds a control character."""
    if not re.search(r"[\x00-\x1f\x7f]", path):
        return path
    escaped = re.sub(r'[\x00-\x1f\x7f"\\]', lambda character: f"\\{ord(character[0]):03o}", path)
    return f'"{escaped}"'


@pytest.fixture(scope="module")
def cited(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], dict[str, dict[str, Any]]]:
    """Give the cited paths that shipped and the quarantined rows by path, under a manifest that lists them all."""
    root = tmp_path_factory.mktemp("cited")
    paths = [*OUTSIDE, *INSIDE]
    write_evidence(
        root / "evidence",
        {
            "evidence.jsonl": [
                evidence_line(str(number), verdict="accept", cited_paths=["src/a.py", path])
                for number, path in enumerate(paths)
            ]
        },
    )
    (root / "known.txt").write_bytes("".join(f"{as_git_prints(path)}\n" for path in paths).encode())
    assert etl("run-all", "--root", root, "--known-paths", root / "known.txt").exit_code == 0
    shipped = {paths[int(row["task_id"])] for row in jsonl(root / "exports/sft/instruction_response/part-00001.jsonl")}
    refused = {paths[int(row["task_id"])]: row for row in jsonl(root / "exports/quarantine/sft/part-00001.jsonl")}
    return shipped, refused


@pytest.mark.slow
@pytest.mark.parametrize("path", OUTSIDE, ids=ascii)
def test_a_path_that_leads_out_is_absent(cited: tuple[set[str], dict[str, dict[str, Any]]], path: str) -> None:
    """A cited path that is absolute, climbs, names a drive or holds a NUL is absent, even if the manifest lists it."""
    shipped, refused = cited
    assert path not in shipped
    assert refused[path]["quarantine_reason"] == "hallucinated_file_path"
    assert refused[path]["detail"] == "cited_paths[2]"


@pytest.mark.slow
@pytest.mark.parametrize("path", INSIDE, ids=ascii)
def test_an_odd_path_inside_is_present(cited: tuple[set[str], dict[str, dict[str, Any]]], path: str) -> None:
    """A path that only looks odd is an ordinary path."""
    shipped, refused = cited
    assert path in shipped
    assert path not in refused


# Names of files.

NAMES = [
    *(b"it's", b'say "hi"', b"new\nline", b"-rf", b"--help", b"\xff\xfe", b"caf\xe9", b"*", b"?", b"[a-z]", b"{a,b}", b"**"),
    *(b"$(id)", b"`id`", b"a b", b" lead", b"trail ", b"~", b"%41", b"#", b"a:1", b"a\\b", b"\\xff\\xfe.twin", b"...", b"a;b"),
    *(b"a\tb", b"\x1b[31m", "\u202e".encode(), "\u2028".encode(), "\U0001f600".encode(), "e\u0301".encode(), b"n" * 200),
]


def as_text(name: bytes) -> str:
    """Return a name as the receipts write it: bytes that are not UTF-8 become the replacement character and their value."""
    odd = re.compile("[\udc80-\udcff]")
    return odd.sub(lambda byte: f"\ufffd{ord(byte[0]) - 0xDC00:02x}", name.decode("utf-8", "surrogateescape"))


def write_bytes(folder: Path, name: bytes, line: dict[str, Any]) -> None:
    """Write a file of one line, whatever bytes are in its name."""
    file = folder / os.fsdecode(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(line), encoding="utf-8")


@pytest.fixture(scope="module")
def odd_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run over a file and a folder of each odd name."""
    root = tmp_path_factory.mktemp("names")
    for number, name in enumerate(NAMES):
        for kind, path in (("file", name + b".jsonl"), ("folder", name + b".folder/a.jsonl")):
            write_bytes(root / "evidence" / "evidence", path, evidence_line(f"t{number}", response=kind))
    result = etl("run-all", "--root", root)
    assert result.exit_code == 0, result.stderr
    require_tame(result.stdout + result.stderr)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(NAMES)), ids=[ascii(as_text(name))[:20] for name in NAMES])
def test_an_odd_file_name_is_a_name(odd_names: Path, number: int) -> None:
    """A file with an odd name, or in a folder with one, is read, and its lines are known by exactly that name."""
    name = as_text(NAMES[number])
    paths = set() if name.startswith(".") else {f"evidence/{name}.jsonl", f"evidence/{name}.folder/a.jsonl"}  # hidden
    found = rows(odd_names, f"select source_path, source from evidence.record where task_id = 't{number}'")
    assert set(found) == {(path, "evidence") for path in paths}
    for path in paths:
        (record,) = etl("explain", "--root", odd_names, "--json", "--", f"{path}:1").json["records"]
        assert record["source_path"] == path


@pytest.mark.slow
def test_odd_file_names_verify(odd_names: Path) -> None:
    """All evidence is found again under the names in the receipts, and they are printed harmlessly."""
    for command in ("verify", "receipts", "drift"):
        result = etl(command, "--root", odd_names)
        assert result.exit_code == 0
        require_tame(result.stdout + result.stderr)


@pytest.mark.slow
def test_two_names_that_are_written_alike_stay_two(tmp_path: Path) -> None:
    """A name with bytes that are not UTF-8, and the same name with their escapes, are two files: no records share a key."""
    for number, name in enumerate((b"\xff.jsonl", b"\\xff.jsonl")):
        write_bytes(tmp_path / "evidence" / "evidence", name, evidence_line(f"t{number}", verdict="accept"))
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    keys = rows(tmp_path, "select source_path, item_number from evidence.record")
    assert len(keys) == len(set(keys)) == 2
    assert len(jsonl(tmp_path / "exports/rag/playbooks/part-00001.jsonl")) == 2


# Commands to a terminal.


def hostile_lines(text: str) -> list[dict[str, Any] | bytes]:
    """Return lines with a text in every field that takes one; two of them make a pair, some are skipped."""
    texts = dict.fromkeys(("run_id", "model", "file", "prompt", "response"), text)
    lists = {name: [text] for name in ("success_markers", "failure_markers", "cited_paths")}
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    return [
        evidence_line(text, **texts, **lists, messages=messages, verdict="accept"),
        evidence_line(text, **texts | {"run_id": f"2{text}", "response": f"2{text}"}, **lists, verdict="reject"),
        evidence_line(text, **texts, **lists, verdict=text),
        evidence_line(f"markers {text}", **texts, **lists),
        evidence_line(text, source_class=text),
        evidence_line(text, human_override=text),
        evidence_line(text, created_at=text),
        json.dumps({text: 1})[:-1].encode() + b", " + json.dumps({text: 2})[1:].encode(),
        text.encode() + b" no JSON",
        b"\xff" + text.encode(),
    ]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result]]:
    """Give the root of a good run and of a run on evidence full of commands to a terminal, and what was printed."""
    root = tmp_path_factory.mktemp("terminal") / "root\x1b[31m\u202e"
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    printed = [etl("run-all", "--root", root)]
    for number, text in enumerate(TERMINAL.values()):
        name = text.replace("/", "|")
        write_evidence(
            root / "evidence",
            {
                f"evidence/{number:02}.jsonl": hostile_lines(text),
                f"evidence/{name}.jsonl": [evidence_line(f"file {number}", verdict="accept"), b"{"],
                f"{name}.jsonl": [evidence_line(f"source {number}")],
            },
        )
        (root / "evidence" / "evidence" / f"cut {name}.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 9)[:-9])
        (root / "evidence" / "evidence" / f"broken {name}.jsonl").symlink_to("nowhere")
    mapping = root / "sql" / "2_sources" / "mapped\u202e\x9b31m.sql"
    mapping.parent.mkdir(parents=True)
    mapping.write_text("select 'verdict' as source_class, json ->> 'x' as task_id from raw.item\n", encoding="utf-8")
    write_evidence(root / "evidence", {f"{mapping.stem}.jsonl": [{"x": "1"}, {"x": ""}]})
    (root / "known\x1b[31m.txt").write_text("\n".join(map(as_git_prints, TERMINAL.values())), encoding="utf-8")
    arguments = ("--root", root, "--known-paths", root / "known\x1b[31m.txt")
    printed += [etl("run-all", *arguments, "--dry-run"), etl("run-all", *arguments)]
    assert [result.exit_code for result in printed] == [0, 0, 1]
    return root, printed


@pytest.mark.slow
def test_runs_print_nothing_that_a_terminal_obeys(terminal: tuple[Path, list[Result]]) -> None:
    """run-all and its dry run name sources, files, reasons and folders, and emit no control character."""
    for result in terminal[1]:
        require_tame(result.stdout + result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["receipts", "verify", "drift", "health"])
def test_reports_print_nothing_that_a_terminal_obeys(terminal: tuple[Path, list[Result]], command: str) -> None:
    """Commands that report on a run name its files and flags, and emit no control character."""
    result = etl(command, "--root", terminal[0])
    assert result.exit_code in {0, 1, 3}
    assert result.stdout
    require_tame(result.stdout + result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["*/summary.md", "latest.md"])
def test_pages_hold_nothing_that_a_terminal_obeys(terminal: tuple[Path, list[Result]], page: str) -> None:
    """The Markdown pages can be shown with cat."""
    files = list((terminal[0] / "reports" / "distillation").glob(page))
    assert files
    for file in files:
        require_tame(file.read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "from evidence.record",
        "from evidence.skipped",
        "from evidence.file",
        "from scored.run",
        "from datasets.rag",
        "from datasets.preference",
        "from policy.known_path",
        "from receipts.message",
        "from receipts.file",
        "select map {'\x1b[31m': ['\u202e']} as \"\x1b[31m\u202e\"",
        "select {'\x9b31m': '\x07'} as \"\x07\", '\x1b]52;c;AAAA\x07'::blob as b, 'a\x1bb' as \"\x9b\"",
        "select \x1b[31m",
        "select '\x1b[31m' +",
        'select "\u202e" from evidence.record',
        'from "\x9b31m"',
        "select error('\x1b[31m\u202e')",
        "select '\x1b[31m'::int",
        "select cast(prompt as int) from evidence.record where prompt like chr(27) || '%'",
    ],
    ids=ascii,
)
def test_sql_prints_nothing_that_a_terminal_obeys(terminal: tuple[Path, list[Result]], query: str) -> None:
    """Rows, column names and errors of any query are printed harmlessly."""
    result = etl("sql", query, "--root", terminal[0])
    assert result.exit_code in {0, 2}
    assert result.stdout or result.stderr
    require_tame(result.stdout + result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(TERMINAL)), ids=list(TERMINAL))
def test_explain_prints_nothing_that_a_terminal_obeys(terminal: tuple[Path, list[Result]], number: int) -> None:
    """A record, a pair, a skipped line or file, explained by any name, shows its texts harmlessly."""
    root, text = terminal[0], list(TERMINAL.values())[number]
    name = text.replace("/", "|")
    places = [f"evidence/{number:02}.jsonl:{line}" for line in (1, 5, 8, 9, 10)]
    places += [f"evidence/{name}.jsonl:1", f"evidence/broken {name}.jsonl:0", f"{name}.jsonl:0"]
    for place in places:
        result = etl("explain", "--root", root, "--", place)
        assert result.exit_code == 0, ascii(place)
        require_tame(result.stdout + result.stderr)
    (pair,) = (row for row in jsonl(root / "exports/preference/chosen_rejected/part-00001.jsonl") if row["task_id"] == text)
    result = etl("explain", "--root", root, "--", pair["id"])
    assert harmless(text.split("\n")[0]) in result.stdout
    require_tame(result.stdout)
    require_refusal(etl("explain", "--root", root, "--", f"no {text}"))


@pytest.mark.slow
@pytest.mark.parametrize("text", TERMINAL.values(), ids=list(TERMINAL))
def test_data_keep_the_exact_text(terminal: tuple[Path, list[Result]], text: str) -> None:
    """The exports (JSONL and Parquet) and the warehouse hold the original text, not the harmless form that is printed."""
    root = terminal[0]
    (row,) = (row for row in jsonl(root / "exports/rag/playbooks/part-00001.jsonl") if row["task_id"] == text)
    assert (row["content"], row["source_run_id"], row["model"]) == (text, text, text)
    parquet = pl.read_parquet((root / "exports/rag/playbooks/part-00001.parquet").read_bytes()).filter(
        pl.col("task_id") == text
    )
    assert parquet["content"].to_list() == [text]
    (pair,) = (row for row in jsonl(root / "exports/preference/chosen_rejected/part-00001.jsonl") if row["task_id"] == text)
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == (text, text, f"2{text}")
    kept = rows(root, "select prompt, model, file, success_markers[1], cited_paths[1] from evidence.record")
    assert (text,) * 5 in kept


@pytest.mark.slow
@pytest.mark.parametrize("text", TERMINAL.values(), ids=list(TERMINAL))
@pytest.mark.parametrize(
    "arguments",
    [
        ["receipts", "{}"],
        ["drift", "{}"],
        ["verify", "{}"],
        ["drift", "--fail-on", "{}"],
        ["run-all", "--set", "{}"],
        ["run-all", "--set", "{}=1"],
        ["run-all", "--set", "accept_at={}1"],
        ["run-all", "--known-paths", "no {}"],
        ["run-all", "--evidence", "no {}"],
        ["run-all", "--recorded-at", "{}"],
        ["run", "{}"],
    ],
    ids=" ".join,
)
def test_errors_repeat_nothing_that_a_terminal_obeys(
    terminal: tuple[Path, list[Result]], arguments: list[str], text: str
) -> None:
    """A sentence about a wrong argument repeats it harmlessly."""
    require_refusal(etl(*(part.format(text) for part in arguments), "--root", terminal[0]))


@pytest.mark.slow
@pytest.mark.parametrize("text", TERMINAL.values(), ids=list(TERMINAL))
def test_a_mapping_that_fails_on_a_text_does_not_repeat_it(tmp_path: Path, text: str) -> None:
    """An SQL error that quotes the evidence reaches neither screen nor documents; its item is skipped as mapping_failed."""
    write_evidence(tmp_path / "evidence", {"mine.jsonl": [{"task_id": text}]})
    mapping = tmp_path / "sql" / "2_sources" / "mine.sql"
    mapping.parent.mkdir(parents=True)
    mapping.write_text(
        "select 'verdict' as source_class, json ->> 'task_id' as task_id, "
        "error('no number: ' || (json ->> 'task_id')) as verdict from raw.item\n",
        encoding="utf-8",
    )
    result = etl("run-all", "--root", tmp_path)
    assert result.exit_code == 1
    assert "1 skipped as mapping_failed" in result.stdout
    said = [
        result.stdout + result.stderr,
        *(file.read_text("utf-8") for file in tmp_path.glob("reports/**/*") if file.is_file()),
    ]
    for page in said:
        assert "no number" not in page
        require_tame(page)


# What etl sql cannot do.

FORBIDDEN = [
    "from read_csv('{secret}')",
    "from read_csv_auto('{secret}')",
    "from '{secret}'",
    "from read_text('{secret}')",
    "from read_blob('{secret}')",
    "from read_json('{secret}')",
    "from read_ndjson_objects('{secret}')",
    "from read_parquet('{outside}/a.parquet')",
    "from sniff_csv('{secret}')",
    "from glob('{outside}/*')",
    "from query('from read_text(''{secret}'')')",
    "from query_table('{secret}')",
    "select (select content from read_text('{secret}'))",
    "with t as (from read_text('{secret}')) from t",
    "prepare p as from read_text('{secret}'); execute p",
    "explain analyze from read_text('{secret}')",
    "select 1; from read_text('{secret}')",
    "from read_text('{root}/warehouse/../../outside/secret.csv')",
    "from read_text('file://{secret}')",
    "from read_text('https://localhost:1/secret.csv')",
    "copy (select 1) to '{outside}/new.csv'",
    "copy (select 1) to '{secret}'",
    "copy (select 1) to '{secret}' (format csv, use_tmp_file false)",
    "copy (select 1) to '{outside}/new.parquet' (format parquet)",
    "copy (select 1) to '{outside}' (format csv, partition_by (a))",
    "copy (select 1) to '{root}/warehouse/etl.duckdb'",
    "copy (select 1) to '{root}/warehouse/etl.duckdb' (format csv, use_tmp_file false)",
    "copy (select 1) to '{root}/warehouse/etl.duckdb.wal'",
    "copy (select 1) to '{root}/warehouse/etl.duckdb.wal' (format parquet, use_tmp_file false)",
    "copy (select 1) to '{root}/warehouse/new.csv'",
    "copy (select 1) to '{root}/exports/rag/playbooks/part-00001.jsonl' (format json, use_tmp_file false)",
    "copy (select 1) to '/dev/stdout'",
    "copy evidence.record from '{secret}'",
    "export database '{outside}/export'",
    "import database '{outside}'",
    "attach '{outside}/other.duckdb'",
    "attach '{outside}/new.duckdb' as new",
    "attach '{root}/warehouse/etl.duckdb' as again (read_write)",
    "attach ':memory:' as new",
    "install httpfs",
    "force install httpfs",
    "load httpfs",
    "load '{outside}/evil.duckdb_extension'",
    "create secret s (type s3)",
    "create persistent secret s (type s3)",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set global lock_configuration = false",
    "set threads = 1",
    "set temp_directory = '{outside}'",
    "set home_directory = '{outside}'",
    "set file_search_path = '{outside}'",
    "set allowed_directories = ['{outside}']",
    "set autoinstall_known_extensions = true",
    "set session timezone = 'UTC'",
    "reset threads",
    "pragma threads = 4",
    "pragma enable_profiling",
    "pragma profiling_output = '{outside}/profile.json'",
    "pragma import_database('{outside}')",
    "call enable_logging(storage = 'file', storage_path = '{outside}/log')",
    "insert into evidence.record (source) values ('x')",
    "update evidence.record set task_id = 'x'",
    "delete from evidence.record",
    "drop table evidence.record",
    "drop view scored.run",
    "alter table evidence.record rename to other",
    "create table evidence.other (a int)",
    "create or replace view scored.run as select 1",
    "create macro mine() as 1",
    "truncate evidence.record",
]


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a run, with a secret, a database and a Parquet file in a folder beside it."""
    root = tmp_path_factory.mktemp("shut") / "root"
    write_evidence(root / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    assert etl("run-all", "--root", root).exit_code == 0
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("SECRET,1\nSECRET,2\n", encoding="utf-8")
    pl.DataFrame({"a": ["SECRET"]}).write_parquet(outside / "a.parquet")
    with duckdb.connect(str(outside / "other.duckdb")) as other:
        other.execute("create table t as select 'SECRET' as a")
    return root


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_sql_reaches_no_file_and_changes_nothing(shut: Path, tmp_path: Path, statement: str) -> None:
    """To read another file, write a file, load code or change a setting is refused; no byte changes."""
    place = tmp_path / "place"
    shutil.copytree(shut.parent, place)
    before = contents(place)
    query = statement.format(root=place / "root", outside=place / "outside", secret=place / "outside" / "secret.csv")
    result = etl("sql", query, "--root", place / "root")
    assert "SECRET" not in result.stdout
    assert contents(place) == before
    require_refusal(result)

"""The command as users meet it: what it says, and with which exit code."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from conftest import etl, evidence_line, jsonl, write_evidence

from etl.base.files import sha256_of
from etl.console.parts import short_count, show_table
from etl.pipeline.stages import STAGES
from etl.receipts import check as checking

EVIDENCE = [
    evidence_line("a", verdict="accept", run_id="1"),
    evidence_line("a", verdict="reject", run_id="2", response="Worse."),
    evidence_line("b", verdict="partial"),
    evidence_line("c", verdict="escalate"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of one good run."""
    root = tmp_path_factory.mktemp("cli")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", root).exit_code == 0
    return root


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables be as wide as in a terminal of 80 columns."""
    monkeypatch.setattr("etl.console.parts.PIPE_WIDTH", 80)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run-all", "--evidence", "/no/such"], "/no/such: there is no such evidence folder"),
        (["run-all", "--set", "colour=red"], "there is no setting 'colour'"),
        (["run-all", "--set", "accept_at"], "write it as NAME=VALUE"),
        (["run-all", "--set", "accept_at=2"], "Setting accept_at cannot be '2'"),
        (["run-all", "--set", "accept_at=nan"], "Setting accept_at cannot be 'nan'"),
        (["run-all", "--set", "partial_at=0.95"], "partial_at (0.95) must not exceed accept_at (0.9)"),
        (["run-all", "--set", "max_pairs_per_task=0"], "Setting max_pairs_per_task cannot be '0'"),
        (["run-all", "--set", "known_paths_sha256=0"], "there is no setting 'known_paths_sha256'"),
        (["run-all", "--known-paths", "/no/manifest"], "--known-paths /no/manifest: it cannot be read"),
        (["run-all", "--recorded-at", "yesterday"], "is not an ISO 8601 time"),
        (["run", "distil"], "There is no stage 'distil'; the stages are collect, score"),
        (["receipts", "nobody"], "There is no run 'nobody'; the newest are:"),
        (["drift", "nobody"], "There is no run 'nobody'"),
        (["verify", "nobody"], "There is no run 'nobody'"),
        (["explain", "nobody"], "Nothing here has the id 'nobody'"),
        (["sql", ""], "The query is empty"),
        (["sql", "select '\udcff'"], "the byte 0xff at character 9 is not UTF-8"),
        (["run-all", "--recorded-at", "0001-01-01T00:00:00+05:00"], "is not an ISO 8601 time"),
        (["sql", "select from"], "The query failed: Parser Error"),
        (["sql", "create table t (a int)"], "CREATE is not allowed, the warehouse is read-only"),
        (["sql", "from read_csv('/etc/passwd')"], "disabled by configuration"),
        (["sql", "copy (select 1) to '/tmp/etl-leak.csv'"], "COPY is not allowed"),
        (["sql", "attach '/tmp/etl-leak.db'"], "ATTACH is not allowed"),
        (["sql", "set enable_external_access = true"], "SET is not allowed"),
    ],
)
def test_bad_usage_is_one_sentence(root: Path, arguments: list[str], sentence: str) -> None:
    """Wrong usage ends with exit code 2 and one clear sentence on stderr."""
    result = etl(*arguments, "--root", root)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["what?", "back\\slash"])
def test_a_root_that_the_engine_cannot_open(tmp_path: Path, name: str) -> None:
    """Its files could not be opened by their names: a sentence names the folder, and nothing is made."""
    result = etl("run-all", "--root", tmp_path / name)
    assert (result.exit_code, name in result.stderr, "rename the folder" in result.stderr) == (2, True, True)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("arguments", [["run-all", "--nonsense"], ["nonsense"], ["sql"]])
def test_unknown_options_are_usage_errors(arguments: list[str]) -> None:
    """An unknown command or option is exit code 2 as well."""
    assert etl(*arguments).exit_code == 2


@pytest.mark.parametrize("command", [["run-all"], ["run", "collect", "score", "export-all"]])
def test_a_run_makes_its_root(root: Path, tmp_path: Path, command: list[str]) -> None:
    """A root that does not exist is made, as long as its parent exists."""
    new = tmp_path / "new"
    assert etl(*command, "--root", new, "--evidence", root / "evidence").exit_code == 0
    assert (new / "exports" / "sft" / "instruction_response" / "part-00001.jsonl").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run-all", "--root", "{}/nowhere/deep"], "no such folder, and none to make it in"),
        (["run-all", "--root", "{}/nowhere"], "no such evidence folder"),
        (["run-all", "--root", "{}/file"], "no such folder"),
        (["plan", "--root", "{}/nowhere"], "no such folder"),
        (["receipts", "--root", "{}/nowhere"], "no such folder"),
        (["sql", "select 1", "--root", "{}/nowhere"], "no such folder"),
    ],
)
def test_no_such_root(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """If a root cannot be made, or the command does not make one, a sentence says so, and nothing is made."""
    (tmp_path / "file").touch()
    result = etl(*(argument.format(tmp_path) for argument in arguments))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert sentence in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_dry_run_makes_no_root(root: Path, tmp_path: Path) -> None:
    """A dry run says what a run in a new root would do, and makes nothing."""
    result = etl("run-all", "--dry-run", "--json", "--root", tmp_path / "new", "--evidence", root / "evidence")
    assert [book["records_in"] for book in result.json] == [4, 4, 4, 4, 1]
    assert not (tmp_path / "new").exists()


def test_the_table_of_a_run_fits_a_terminal(capsys: pytest.CaptureFixture[str], narrow: None) -> None:
    """No line of the table is longer than 80 columns, even with figures of millions, and no word is cut."""
    counts = [short_count(count) for count in (9_999_999, 10_000_000, 123_456_789, 0, 9_999_999)]
    assert counts == ["9,999,999", "10.0 M", "123.5 M", "0", "9,999,999"]
    names = ("stage", "status", "in", "accepted", "rejected", "quarantined", "skipped")
    show_table("", names, [("export-preference", "not passed", *counts)])
    head, _, row, _ = capsys.readouterr().out.splitlines()
    assert len(head) <= 80
    assert head.split() == list(names)
    assert row.split() == " ".join(["export-preference", "not passed", *counts]).split()


@pytest.mark.parametrize(
    ("cells", "lines"),
    [
        (["export-preference", "a" * 40, "some more words than fit"], ["export-preference", "some more words than "]),
        (["export-preference", "a" * 40, "a" * 21], ["a" * 21]),
        (["export-preference", "a" * 40, "a" * 22], ["a" * 39, "a" * 22]),
    ],
)
def test_a_table_breaks_no_word(capsys: pytest.CaptureFixture[str], narrow: None, cells: list[str], lines: list[str]) -> None:
    """Prose wraps between words; only words that do not fit side by side are broken, and of those the longest."""
    show_table("", ("stage", "what", "why"), [cells])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert all(line in shown for line in lines)


@pytest.mark.parametrize("command", ["receipts", "drift --explain", "drift --history", "verify", "verify --all", "plan"])
def test_the_tables_of_commands_fit_a_terminal(two_runs: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """In 80 columns a command shows the words that it shows in a pipe, none of them broken, in lines that fit."""
    in_a_pipe = etl(*command.split(), "--root", two_runs).stdout
    monkeypatch.setattr("etl.console.parts.PIPE_WIDTH", 80)
    in_a_terminal = etl(*command.split(), "--root", two_runs).stdout
    assert max(map(len, in_a_terminal.splitlines())) <= 80
    assert Counter(in_a_terminal.replace("─", "").split()) == Counter(in_a_pipe.replace("─", "").split())


def test_completion_can_be_installed(tmp_path: Path) -> None:
    """``etl --install-completion`` writes the shell's script, and the script completes a command's name."""
    command = [Path(sys.executable).with_name("etl")]
    home = os.environ | {"HOME": str(tmp_path)}
    # it looks for a shell among the processes that started it; the second command keeps bash from being replaced
    in_bash = ["bash", "-c", '"$0" --install-completion; exit $?', *command]
    done = subprocess.run(in_bash, env=home, capture_output=True, check=False)
    assert done.returncode == 0
    assert (tmp_path / ".bashrc").is_file()
    asked = home | {"_ETL_COMPLETE": "complete_bash", "COMP_WORDS": "etl recei", "COMP_CWORD": "1"}
    completed = subprocess.run(command, env=asked, capture_output=True, text=True, check=False)
    assert completed.stdout.split() == ["receipts"]


@pytest.mark.parametrize("command", [["sql", "select 1"], ["explain", "x"], ["drift"], ["receipts"], ["verify"]])
def test_commands_that_need_a_run_say_so(tmp_path: Path, command: list[str]) -> None:
    """Before the first run the commands that look say that there is none."""
    result = etl(*command, "--root", tmp_path)
    assert result.exit_code == 2
    assert "make one with etl run-all" in result.stderr


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["run-all"], "this is not a warehouse of this version"),
        (["sql", "select 1"], "this is not a warehouse of this version"),
        (["explain", "x"], "this is not a warehouse of this version"),
        (["drift"], "There is no run yet"),
        (["verify"], "There is no run yet"),
    ],
)
def test_a_file_that_is_no_warehouse(tmp_path: Path, command: list[str], sentence: str) -> None:
    """Another file in the warehouse's place is named, not overwritten; commands that need only the receipts still work."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    (tmp_path / "warehouse").mkdir()
    file = tmp_path / "warehouse" / "etl.duckdb"
    file.write_bytes(b"not a database" * 1000)
    result = etl(*command, "--root", tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert sentence in result.stderr
    assert file.read_bytes() == b"not a database" * 1000


@pytest.mark.parametrize(
    "statement",
    ["create table x (a int)", "create schema policy; create table policy.warehouse_format as select 99 as version"],
)
def test_a_warehouse_of_another_version(tmp_path: Path, statement: str) -> None:
    """A database that is not ours, or of another format, is refused."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    (tmp_path / "warehouse").mkdir()
    with duckdb.connect(str(tmp_path / "warehouse" / "etl.duckdb")) as other:
        other.execute(statement)
    for command in (["run-all"], ["sql", "select 1"]):
        result = etl(*command, "--root", tmp_path)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "move it away and run etl run-all" in result.stderr


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("4_scored/run.sql", "select nonsense from nowhere", "sql/4_scored/run.sql: Catalog Error"),
        ("4_scored/run.sql", "selec", "sql/4_scored/run.sql:1:1: Parser Error"),
        ("9_mine/Bad Name.sql", "select 1", "a view is named sql/<number>_<schema>/<name>.sql"),
        ("stray.sql", "select 1", "stray.sql"),
    ],
)
def test_broken_overlay(tmp_path: Path, name: str, body: str, sentence: str) -> None:
    """A broken SQL overlay is reported with its file and DuckDB's message."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    file = tmp_path / "sql" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(body, encoding="utf-8")
    result = etl("run-all", "--root", tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert sentence in result.stderr
    assert not (tmp_path / "exports").exists()


def test_json_is_one_document(root: Path) -> None:
    """With --json stdout is one JSON document, errors included."""
    assert isinstance(etl("sql", "from receipts.run", "--root", root, "--json").json, list)
    assert set(etl("receipts", "--root", root, "--json").json) == {"summary", "receipts"}
    assert etl("drift", "--root", root, "--json").json["severity"] == "ok"
    assert {check["status"] for check in etl("verify", "--root", root, "--json").json} == {"ok"}
    assert isinstance(etl("health", "--root", root, "--json").json, list)
    assert set(etl("sql", "nonsense", "--root", root, "--json").json) == {"error"}


def test_sql_prints_what_duckdb_can_hold(root: Path) -> None:
    """Blobs, times, decimals, lists and structs come out as JSON."""
    query = (
        "select '\\xFF'::blob as b, timestamp '2026-01-01' as t, timestamptz '2026-01-01 00:00:00+02' as z, "
        "1.5::decimal(3, 1) as d, 1.2345678901234567890123::decimal(38, 22) as e, [1, 2] as l, "
        "{'a': null, 'b': ['\\xAA'::blob]} as s, 1::hugeint as h, interval 1 day as i"
    )
    (row,) = etl("sql", query, "--root", root, "--json").json
    assert row == {
        "b": "\\xff",
        "t": "2026-01-01T00:00:00",
        "z": "2025-12-31T22:00:00Z",
        "d": 1.5,
        "e": "1.2345678901234567890123",
        "l": [1, 2],
        "s": {"a": None, "b": ["\\xaa"]},
        "h": 1,
        "i": "P1D",
    }
    assert etl("sql", query, "--root", root).exit_code == 0


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    """--dry-run prints the counts that a run would have, and leaves no file."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    before = sorted(tmp_path.rglob("*"))
    books = etl("run-all", "--root", tmp_path, "--dry-run", "--json").json
    assert sorted(tmp_path.rglob("*")) == before
    assert etl("run-all", "--root", tmp_path, "--json").exit_code == 0
    summary = etl("receipts", "--root", tmp_path, "--json").json["summary"]
    assert [(book["stage"], book["records_in"], book["accepted"]) for book in books] == [
        (stage["name"], stage["records_in"], stage["stats"]["accepted"]) for stage in summary["stages"]
    ]


def test_run_all_prints_the_funnel(root: Path) -> None:
    """The table at the end has a row per stage; below it are the funnel and the paths of the outputs."""
    result = etl("run-all", "--root", root)
    for stage in STAGES:
        assert stage.name in result.stdout
    assert "4 records -> rag 2, sft 1, preference 1;" in result.stdout
    assert str(root / "exports") in result.stdout
    assert result.stderr == ""


def test_fail_fast_stops_at_collect(tmp_path: Path) -> None:
    """--fail-fast: a skipped line stops the run after collect, and nothing is published."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": ["nonsense", *EVIDENCE]})
    result = etl("run-all", "--root", tmp_path, "--fail-fast", "--json")
    assert result.exit_code == 1
    statuses = [stage["status"] for stage in json.loads(result.stdout)["stages"]]
    assert statuses == ["failed", "not_run", "not_run", "not_run", "not_run"]
    assert not (tmp_path / "exports").exists()


def test_unknown_verdicts_are_listed(tmp_path: Path) -> None:
    """The end of a run, its page and etl health name the ten most frequent, with their counts, and count the others."""
    words = ["shrug", "Shrug", "approved", "x" * 80, *(f"word {at:02}" for at in range(10))]
    lines = [evidence_line(f"t{at}", verdict=word) for at, word in enumerate(words)]
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": lines})
    result = etl("run-all", "--root", tmp_path)
    named = ["'shrug' (evidence, 2)", *(f"'word {at:02}' (evidence, 1)" for at in range(9))]
    said = f"these verdicts are unknown, so their records need human review: {', '.join(named)} and 2 others (2); "
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"score: {said}" in result.stdout
    (page,) = (tmp_path / "reports/distillation").glob("*/summary.md")
    assert f"## Warnings\n\n- score: {said}" in page.read_text(encoding="utf-8")
    checks = {check["what"]: check for check in etl("health", "--root", tmp_path, "--json").json}
    assert checks["verdicts"]["status"] == "warn"
    assert checks["verdicts"]["detail"].startswith(said)
    level = "select level, message from receipts.message"
    assert etl("sql", level, "--root", tmp_path, "--json").json[0]["level"] == "warning"


def test_skipped_lines_are_loud_and_lost_nothing(tmp_path: Path) -> None:
    """A skipped line: exit code 1, and everything else is published."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": ["nonsense", *EVIDENCE]})
    result = etl("run-all", "--root", tmp_path)
    assert result.exit_code == 1
    assert "evidence: 1 skipped as malformed_json, the first is evidence.jsonl:1." in result.stdout
    assert len(jsonl(tmp_path / "exports/rag/playbooks/part-00001.jsonl")) == 2


def test_opt_ins(tmp_path: Path) -> None:
    """--include-partial admits partially accepted rows into sft, --include-review unsure ones into rag."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    result = etl("run-all", "--root", tmp_path, "--include-partial", "--include-review", "--json")
    assert result.json["datasets"] == {"rag": 3, "sft": 2, "preference": 1}
    same = etl("run-all", "--root", tmp_path, "--set", "include_partial=true", "--set", "include_review=true", "--json")
    assert same.json["run_hash"] == result.json["run_hash"]


class TestSomeStages:
    """``etl run STAGE…``."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Give a root with one published version."""
        write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
        assert etl("run-all", "--root", tmp_path).exit_code == 0
        return tmp_path

    def test_others_are_carried_over(self, root: Path) -> None:
        """One export runs again; the other stages are reused and name the run that made them; their bytes stay."""
        made_by = etl("receipts", "--root", root, "--json").json["summary"]["run_id"]
        before = (root / "exports/rag/playbooks/part-00001.parquet").read_bytes()
        assert etl("run", "export-sft", "--root", root, "--include-partial").exit_code == 0
        document = etl("receipts", "--root", root, "--json").json
        statuses = {receipt["stage"]: (receipt["status"], receipt["made_by"]) for receipt in document["receipts"]}
        assert statuses.pop("export-sft") == ("ok", None)
        assert set(statuses.values()) == {("reused", made_by)}
        assert document["summary"]["datasets"] == {"rag": 2, "sft": 2, "preference": 1}
        assert (root / "exports/rag/playbooks/part-00001.parquet").read_bytes() == before
        assert etl("verify", "--root", root).exit_code == 0

    def test_export_all_names_the_three_exports(self, root: Path) -> None:
        """export-all is export-rag, export-sft and export-preference."""
        assert etl("run", "export-all", "--root", root, "--force").exit_code == 0
        receipts = etl("receipts", "--root", root, "--json").json["receipts"]
        assert [receipt["status"] for receipt in receipts] == ["reused", "reused", "ok", "ok", "ok"]

    def test_a_mixture_is_refused(self, root: Path) -> None:
        """A run that would reuse a stage whose inputs changed is refused, and the old version stays."""
        before = (root / "exports/sft/instruction_response/part-00001.jsonl").read_bytes()
        write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE[:2]})
        result = etl("run", "collect", "--root", root)
        assert result.exit_code == 2
        assert result.stderr.startswith("etl: score cannot be reused: evidence.jsonl has ")
        assert "Run it too, or use etl run-all." in result.stderr
        assert (root / "exports/sft/instruction_response/part-00001.jsonl").read_bytes() == before

    def test_another_manifest_changes_every_dataset(self, root: Path) -> None:
        """Another manifest of known paths changes every dataset: to run only one of them is refused."""
        cited = [evidence_line(name, verdict="accept", cited_paths=[name]) for name in ("a", "b")]
        write_evidence(root / "evidence", {"evidence.jsonl": cited})
        for name in ("a", "b"):
            (root / f"{name}.txt").write_text(f"{name}\n", encoding="utf-8")
        assert etl("run-all", "--root", root, "--known-paths", root / "a.txt").exit_code == 0
        result = etl("run", "export-rag", "--root", root, "--known-paths", root / "b.txt")
        assert result.exit_code == 2
        assert "export-sft cannot be reused: settings changed: known_paths_sha256 is " in result.stderr
        assert [row["task_id"] for row in jsonl(root / "exports/rag/playbooks/part-00001.jsonl")] == ["a"]

    def test_nothing_to_carry_over(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Some stages alone need a published version."""
        root = tmp_path_factory.mktemp("fresh")
        write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
        result = etl("run", "score", "--root", root)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert not (root / "exports").exists()

    def test_dry_run_of_some_stages(self, root: Path) -> None:
        """A dry run prints the counts of the named stages."""
        books = etl("run", "export-all", "--root", root, "--dry-run", "--json").json
        assert [book["stage"] for book in books] == ["export-rag", "export-sft", "export-preference"]

    def test_unchanged_stages_may_run_alone(self, root: Path) -> None:
        """A stage that runs again with the same inputs gives the same version."""
        before = (root / "exports/sft/instruction_response/part-00001.jsonl").read_bytes()
        assert etl("run", "collect", "score", "--root", root).exit_code == 0
        assert (root / "exports/sft/instruction_response/part-00001.jsonl").read_bytes() == before


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with two published runs."""
    root = tmp_path_factory.mktemp("two-runs")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", root).exit_code == 0
    assert etl("run-all", "--root", root, "--force").exit_code == 0
    return root


class TestVerify:
    """``etl verify [RUN]``."""

    @pytest.fixture
    def root(self, two_runs: Path, tmp_path: Path) -> Path:
        """Give a copy of that root."""
        return Path(shutil.copytree(two_runs, tmp_path / "root"))

    @staticmethod
    def checks(root: Path, *arguments: str) -> tuple[int, dict[str, str]]:
        """Return the exit code, and the status of each check by what was checked."""
        result = etl("verify", *arguments, "--root", root, "--json")
        return result.exit_code, {check["what"]: check["status"] for check in result.json}

    def test_all_is_as_recorded(self, root: Path) -> None:
        """An untouched root verifies."""
        code, checks = self.checks(root)
        assert (code, set(checks.values())) == (0, {"ok"})
        assert len([what for what in checks if what.startswith("exports/")]) == 12

    @pytest.mark.parametrize("arguments", [(), ("--all",)])
    def test_a_file_that_cannot_be_read(self, root: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
        """It is a failed check, and all other checks are made."""

        def refuse(file: Path) -> str:
            if file.name == "summary.md":
                raise PermissionError(errno.EACCES, "Permission denied", str(file))
            return sha256_of(file)

        before = self.checks(root, *arguments)[1]
        monkeypatch.setattr(checking, "sha256_of", refuse)
        code, checks = self.checks(root, *arguments)
        failed = [what for what, status in checks.items() if status == "failed"]
        assert (code, checks.keys()) == (1, before.keys())
        assert failed
        assert all(what.endswith("summary.md") for what in failed)

    def test_older_run(self, root: Path) -> None:
        """For an older run the documents are checked; its outputs were replaced since."""
        older = min(path.name for path in (root / "reports/distillation").iterdir() if path.is_dir())
        code, checks = self.checks(root, older)
        assert (code, checks["exports/sft/instruction_response/part-00001.jsonl"]) == (0, "unchecked")
        assert checks["summary.json"] == "ok"

    @pytest.mark.parametrize(
        "name", ["exports/sft/instruction_response/part-00001.jsonl", "exports/quarantine/rag/part-00001.parquet"]
    )
    def test_changed_output(self, root: Path, name: str) -> None:
        """A changed byte in an output is found."""
        (root / name).write_bytes((root / name).read_bytes() + b" ")
        code, checks = self.checks(root)
        assert (code, checks[name]) == (1, "failed")

    def test_missing_output(self, root: Path) -> None:
        """A missing output is found."""
        (root / "exports/rag/playbooks/part-00001.jsonl").unlink()
        code, checks = self.checks(root)
        assert (code, checks["exports/rag/playbooks/part-00001.jsonl"]) == (1, "failed")

    @pytest.mark.parametrize(
        ("name", "old", "new", "found_in"),
        [
            ("summary.json", '"accepted": 4', '"accepted": 5', "summary.json"),
            ("collect.json", '"accepted": 4', '"accepted": 5', "collect.json"),
            ("score.json", '"record_count": 4', '"record_count": 99', "score.json"),
            ("score.json", '"needs_human_review": 1', '"needs_human_review": 7', "score.json"),
            ("score.json", '"code_hash": "', '"code_hash": "f', "score.json"),
            ("score.json", '"status": "ok"', '"status": "reused"', "score.json"),
            ("drift.json", '"severity": "ok"', '"severity": "warn"', "summary.md"),
            ("drift.json", "{", "[", "drift.json"),
            ("summary.md", "passed", "failed", "summary.md"),
        ],
    )
    def test_edited_document(self, root: Path, name: str, old: str, new: str, found_in: str) -> None:
        """An edited document of any run is found, by its content or by what no longer fits."""
        for folder in (path for path in (root / "reports/distillation").iterdir() if path.is_dir()):
            before = (folder / name).read_text(encoding="utf-8")
            assert old in before
            (folder / name).write_text(before.replace(old, new, 1), encoding="utf-8")
            result = etl("verify", folder.name, "--root", root, "--json")
            failed = [f"{check['what']} {check['detail']}" for check in result.json if check["status"] == "failed"]
            assert result.exit_code == 1
            assert any(found_in in sentence for sentence in failed), failed

    def test_a_file_that_the_run_did_not_write(self, root: Path) -> None:
        """A file that was put beside the documents of a run fails."""
        folder = max(path for path in (root / "reports/distillation").iterdir() if path.is_dir())
        (folder / "more.json").write_text("{}", encoding="utf-8")
        code, checks = self.checks(root)
        assert (code, checks["more.json"]) == (1, "failed")

    def test_evidence_is_looked_for_where_the_run_read_it(self, tmp_path: Path) -> None:
        """A run over another evidence folder is compared with that folder, not with the root's own."""
        elsewhere = write_evidence(tmp_path / "elsewhere", {"evidence.jsonl": EVIDENCE})
        root = tmp_path / "root"
        write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE[:1]})
        assert etl("run-all", "--root", root, "--evidence", elsewhere).exit_code == 0
        for arguments in ((), ("--all",)):
            code, checks = self.checks(root, *arguments)
            assert (code, checks["evidence.jsonl"]) == (0, "ok")
        write_evidence(elsewhere, {"evidence.jsonl": EVIDENCE[:1]})
        for arguments in ((), ("--all",)):
            code, checks = self.checks(root, *arguments)
            assert (code, checks["evidence.jsonl"]) == (1, "failed")

    def test_evidence_that_grew_or_went_is_no_failure(self, root: Path) -> None:
        """Logs grow and are rotated away: that is unchecked, not a failure; a rewritten log fails."""
        file = root / "evidence" / "evidence.jsonl"
        content = file.read_bytes()
        file.write_bytes(content + b"{}\n")
        assert self.checks(root)[1]["evidence.jsonl"] == "unchecked"
        file.write_bytes(content.replace(b"answer", b"ansver"))
        code, checks = self.checks(root)
        assert (code, checks["evidence.jsonl"]) == (1, "failed")
        file.unlink()
        assert self.checks(root) == (0, checks | {"evidence.jsonl": "unchecked"})


def test_json_holds_any_value(root: Path) -> None:
    """Large integers, decimals, numbers such as NaN, and columns of one name: still one valid document."""
    query = "select 170141183460469231731687303715884105727::hugeint as n, 1.5 as d, 'nan'::double as x, 1 as n, 2 as n"
    assert etl("sql", query, "--root", root, "--json").json == [{"n": 2**127 - 1, "d": 1.5, "x": None, "n_1": 1, "n_2": 2}]


def test_an_error_in_json_is_unicode(tmp_path: Path) -> None:
    """The document about a path of bytes that are not UTF-8 holds their escapes."""
    result = etl("sql", "select 1", "--root", tmp_path / "no\udcff", "--json")
    assert result.exit_code == 2
    assert result.json["error"].startswith(f"{tmp_path}/no\\udcff: there is no such folder")


def test_unforeseen_errors_are_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is one sentence and exit code 1; --debug adds the traceback; --json stays one document."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr("etl.receipts.drift.drift_of", fail)
    result = etl("drift", "--root", root, "--json")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "ZeroDivisionError: division by zero" in result.json["error"]
    assert "Traceback" in etl("drift", "--root", root, "--debug").stderr


def test_debug_keeps_json_one_document(tmp_path: Path) -> None:
    """A failed run with --json --debug prints its summary once."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": ["nonsense"]})
    result = etl("run-all", "--root", tmp_path, "--fail-fast", "--json", "--debug")
    assert result.json["published"] is False
    assert "Traceback" in result.stderr


def test_health(tmp_path: Path) -> None:
    """Health checks everything that a run needs, and says what to do."""
    findings = {finding["what"]: finding for finding in etl("health", "--root", tmp_path, "--json").json}
    assert findings["evidence"]["status"] == "failed"
    assert findings["published"]["status"] == "warn"
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    etl("run-all", "--root", tmp_path)
    result = etl("health", "--root", tmp_path, "--json")
    assert result.exit_code == 0
    assert {finding["status"] for finding in result.json} == {"ok"}


def test_version_and_help() -> None:
    """The command prints its version, and its help."""
    assert etl("--version").stdout.startswith("etl ")
    for command in ("run-all", "run", "plan", "drift", "receipts", "verify", "explain", "sql", "health"):
        assert command in etl("--help").stdout

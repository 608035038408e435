"""A root that is configured: all commands read etl.toml the same way, health shows it, settings of sources are inputs."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import copy_of, etl, evidence_line, jsonl, write_evidence
from increments import assert_as_fresh, exports, run

from etl.ingest import portion
from etl.ingest.mapping import Mapper

#: A mapping that goes row by row and asks for settings in several ways; it is the same for two sources.
MAPPING = """\
-- One row per note.
-- fields:
--   task text required = /task
--   words text = /words
with own as (
    select max(value) filter (where name = 'prompt') as prompt from policy.source_setting
)

select
    raw.item.source_path,
    raw.item.item_number,
    'verdict' as source_class,
    task as task_id,
    words as response,
    own.prompt,
    (select value from policy.source_setting where source = 'SOURCE' and name = 'model') as model,
    case when (select value from policy.source_setting where name = 'graded') = 'true' then 'accept' end as verdict,
    kind.value as file,
from raw.item
cross join own
left join policy.source_setting as kind on concat('kind of ', raw.item.task) = kind.name
"""

CONFIGURATION = """\
include_partial = true
[sources.notes]
prompt = "Say it."
model = "m1"
graded = true
"kind of t1" = "src/one.py"
[sources.others]
model = "n1"
"""

OBSERVED = "select source, prompt, model, verdict, file, count(*)::int as n from evidence.record group by all order by all"


def add_mappings(root: Path) -> None:
    """Give the sources notes and others the mapping."""
    folder = root / "sql" / "2_sources"
    folder.mkdir(parents=True)
    for source in ("notes", "others"):
        (folder / f"{source}.sql").write_text(MAPPING.replace("SOURCE", source), encoding="utf-8")


def publish_notes(root: Path) -> None:
    """Publish two sources whose mappings read settings, and one whose mapping reads none."""
    add_mappings(root)
    (root / "etl.toml").write_text(CONFIGURATION, encoding="utf-8")
    notes = [{"task": f"t{number}", "words": f"About {number}."} for number in range(4)]
    files = {"notes/one.jsonl": notes[:2], "notes/two.jsonl": notes[2:], "others/one.jsonl": notes}
    write_evidence(root / "evidence", files | {"evidence.jsonl": [evidence_line("e", verdict="accept")]})
    run(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with a published run of these sources."""
    root = copy_of(publish_notes, tmp_path / "root")
    run(root, "--force")  # on the files of the copy
    return root


def rows(root: Path, query: str = OBSERVED) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    return [tuple(row.values()) for row in etl("sql", query, "--root", root, "--json").json]


def change(root: Path, before: str, after: str) -> None:
    """Change etl.toml."""
    file = root / "etl.toml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def assert_as_configured_afresh(root: Path, fresh: Path) -> None:
    """Assert that the root equals a fresh one with the same mappings and configuration."""
    fresh.mkdir()
    add_mappings(fresh)
    (fresh / "etl.toml").write_bytes((root / "etl.toml").read_bytes())
    assert_as_fresh(root, fresh)


def test_a_mapping_reads_the_settings_of_its_source(root: Path) -> None:
    """It sees those of its own source alone, whatever it asks for; the published warehouse has all."""
    assert rows(root) == [
        ("evidence", "Solve e.", "model-a", "accept", None, 1),
        ("notes", "Say it.", "m1", "accept", "src/one.py", 1),
        ("notes", "Say it.", "m1", "accept", None, 3),
        ("others", None, "n1", None, None, 4),
    ]
    assert rows(root, "from policy.source_setting order by all") == [
        ("notes", "graded", "true"),
        ("notes", "kind of t1", "src/one.py"),
        ("notes", "model", "m1"),
        ("notes", "prompt", "Say it."),
        ("others", "model", "n1"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"m1"', '"m2"', "sources.notes.model is m2, and was m1"),
        ("graded = true\n", "", "sources.notes.graded is None, and was true"),
        ("[sources.others]", "new = 1\n[sources.others]", "sources.notes.new is 1, and was None"),
    ],
)  # fmt: skip
def test_a_source_whose_settings_change_is_collected_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, why: str
) -> None:
    """All its files are read again, those of other sources are not; the result is that of a fresh root."""
    change(root, before, after)
    plan = etl("plan", "--root", root, "--json").json
    assert {step["reason"] for step in plan["steps"]} == {f"settings changed: {why}."}
    mapped = []
    prepare = Mapper.prepare
    monkeypatch.setattr(Mapper, "prepare", lambda self: (mapped.append(self._mapping.name), prepare(self))[1])
    receipt = run(root)
    assert mapped == ["notes"]
    carried = {entry["path"]: entry["carried"] for entry in receipt["inputs"]["files"]}
    assert carried == {
        "evidence.jsonl": True, "notes/one.jsonl": False, "notes/two.jsonl": False, "others/one.jsonl": True
    }  # fmt: skip
    assert_as_configured_afresh(root, tmp_path / "fresh")
    assert run(root)["status"] == "reused"


def test_settings_and_evidence_may_change_at_once(root: Path, tmp_path: Path) -> None:
    """A grown file of a source whose settings changed is read from its beginning, that of another source is read on."""
    change(root, '"m1"', '"m2"')
    for source in ("notes", "others"):
        with (root / f"evidence/{source}/one.jsonl").open("ab") as lines:
            lines.write(b'{"task": "new"}\n')
    (root / "evidence/notes/two.jsonl").unlink()
    run(root)
    assert_as_configured_afresh(root, tmp_path / "fresh")
    assert {model for source, _, model, *_ in rows(root) if source == "notes"} == {"m2"}


def test_another_setting_that_changes_too(root: Path, tmp_path: Path) -> None:
    """With a setting on which all reading depends, everything is collected again."""
    change(root, '"m1"', '"m2"')
    change(root, "include_partial", "max_depth = 9\ninclude_partial")
    receipt = run(root)
    assert not any(entry["carried"] for entry in receipt["inputs"]["files"])
    assert_as_configured_afresh(root, tmp_path / "fresh")


def test_what_no_mapping_reads_changes_nothing(root: Path) -> None:
    """Settings of sources concern no stage where nobody reads them."""
    for source in ("notes", "others"):
        mapping = root / f"sql/2_sources/{source}.sql"
        mapping.write_text("select source_path, item_number, 'verdict' as source_class, 't' as task_id from raw.item\n")
    run(root)
    change(root, '"m1"', '"m2"')
    assert run(root)["status"] == "reused"


def test_a_view_that_reads_settings_of_sources(root: Path) -> None:
    """A view of one's own sees those of all sources, and its stage runs again where they change."""
    for source in ("notes", "others"):
        mapping = root / f"sql/2_sources/{source}.sql"
        mapping.write_text("select source_path, item_number, 'verdict' as source_class, 't' as task_id from raw.item\n")
    folder = root / "sql/1_policy"
    folder.mkdir()
    words = "select source as verdict, 'accepted' as category from policy.source_setting group by all\n"
    (folder / "verdict.sql").write_text(f"-- One row per word.\n{words}", encoding="utf-8")
    run(root)
    assert rows(root, "select verdict from policy.verdict order by all") == [("notes",), ("others",)]
    change(root, "[sources.others]", "[sources.evidence]")
    actions = {step["stage"]: step["action"] for step in etl("plan", "--root", root, "--json").json["steps"]}
    assert (actions.pop("collect"), {*actions.values()}) == ("reuse", {"run"})
    run(root)
    assert rows(root, "select verdict from policy.verdict order by all") == [("evidence",), ("notes",)]


def test_such_a_mapping_goes_row_by_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It maps a source in several portions, with the same result; only what is new of a file that grew is mapped."""
    before = exports(root)
    sizes = []
    together = Mapper.together
    monkeypatch.setattr(portion, "PORTION_BYTES", 1)
    monkeypatch.setattr(Mapper, "together", lambda self, rows: (sizes.append(len(rows)), together(self, rows))[1])
    with (root / "evidence/others/one.jsonl").open("ab") as lines:
        lines.write(b"\n")
    run(root, "--force")
    assert exports(root) == before
    assert max(sizes) == 1


CROSSING = {
    "from raw.item, raw.item as other": True,
    "from policy.source_setting left join raw.item on true": True,
    "from raw.item full join policy.source_setting as s on s.name = raw.item.json": True,
    "from raw.item, (select max(item_number) as last from raw.item)": True,
    "from raw.item order by item_number": True,
    "from raw.item positional join policy.source_setting": True,
    "from raw.item, (with top as materialized (select max(item_number) from raw.item) from top)": True,
    "from (from raw.item limit 1) as raw_item cross join policy.source_setting": True,
    "from raw.item cross join policy.source_setting as s where s.name = 'model'": False,
    "from raw.item left join policy.source_setting as s on s.name = raw.item.json": False,
    "from raw.item where exists (from policy.source_setting as s where s.name = raw.item.json)": False,
    "from raw.item where json not in (select name from policy.source_setting)": False,
    "from raw.item where (select count(*) from policy.source_setting) > 1": False,
    "from (select *, unnest(range(2)) from raw.item) as raw_item cross join policy.source_setting as s": False,
}


@pytest.mark.parametrize(("read", "needs_all"), CROSSING.items())
def test_which_mappings_need_all_of_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str, needs_all: bool
) -> None:
    """One that looks at several items, or gives rows that no item has; not one that adds settings to each item."""
    folder = tmp_path / "sql" / "2_sources"
    folder.mkdir(parents=True)
    item = "raw_item" if "as raw_item" in read else "raw.item"
    select = f"select {item}.source_path, {item}.item_number, 'verdict' as source_class, 't' as task_id"
    (folder / "notes.sql").write_text(f"{select} {read}\n", encoding="utf-8")
    (tmp_path / "etl.toml").write_text("[sources.notes]\nmodel = 'm'\nother = 1\n", encoding="utf-8")
    write_evidence(tmp_path / "evidence", {"notes.jsonl": ["{}"]})
    seen = []
    prepare = Mapper.prepare

    def noted(mapper: Mapper) -> None:
        prepare(mapper)
        seen.append(mapper.needs_whole_source)

    monkeypatch.setattr(Mapper, "prepare", noted)
    etl("run-all", "--root", tmp_path, "--dry-run")
    assert seen == [needs_all]


def test_receipts_tell_runs_with_other_settings_apart(root: Path) -> None:
    """The summary names each value, the settings hash differs, diff names the change, and each run can be replayed."""
    first = etl("receipts", "--root", root, "--json").json
    change(root, '"m1"', '"m2"')
    run(root)
    second = etl("receipts", "--root", root, "--json").json
    values = [each["summary"]["request"]["settings"]["sources.notes.model"] for each in (first, second)]
    assert values == ["m1", "m2"]
    for before, now in zip(first["receipts"], second["receipts"], strict=True):
        assert before["settings_hash"] != now["settings_hash"]
    runs = [each["summary"]["run_id"] for each in (first, second)]
    assert etl("diff", *runs, "--root", root, "--json").json["settings"] == [
        {"name": "sources.notes.model", "before": "m1", "now": "m2"}
    ]
    (root / "etl.toml").write_text("nonsense = 1\n[sources.notes]\nmodel = 'm3'\n", encoding="utf-8")
    refused = etl("replay", runs[1], "--root", root)
    assert (refused.exit_code, "there is no setting 'nonsense'" in refused.stderr) == (2, True)
    (root / "etl.toml").unlink()
    assert etl("replay", runs[1], "--root", root).exit_code == 0
    statement = json.loads(etl("receipts", runs[1], "--root", root, "--format", "in-toto").stdout.splitlines()[0])
    parameters = statement["predicate"]["buildDefinition"]["externalParameters"]
    assert "sources.notes.model" in json.dumps(parameters)


def test_the_same_settings_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether etl.toml, the environment or flags give them; known paths and the evidence too."""
    lines = [evidence_line("a", verdict="partial"), evidence_line("b", verdict="accept", cited_paths=["no.py"])]
    logs = write_evidence(tmp_path / "logs", {"evidence.jsonl": lines})
    paths = tmp_path / "paths.txt"
    paths.write_text("yes.py\n", encoding="utf-8")
    published = []
    for way in ("file", "environment", "sets", "flags"):
        root = tmp_path / way
        root.mkdir()
        options: list[str | Path] = []
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            if way == "file":
                text = 'include_partial = true\nmax_depth = 9\nevidence = "../logs"\nknown_paths = "../paths.txt"\n'
                (root / "etl.toml").write_text(text, encoding="utf-8")
            if way == "environment":
                values = {"INCLUDE_PARTIAL": "true", "MAX_DEPTH": "9", "EVIDENCE": "logs", "KNOWN_PATHS": "paths.txt"}
                for name, value in values.items():
                    patch.setenv(f"ETL_{name}", value)
            if way == "sets":
                named = ("include_partial=true", "max_depth=9", "evidence=logs", "known_paths=paths.txt")
                options = [part for each in named for part in ("--set", each)]
            if way == "flags":
                options = ["--include-partial", "--set", "max_depth=9", "--evidence", logs, "--known-paths", paths]
            assert etl("run-all", "--root", root, *options).exit_code == 0
            assert {step["action"] for step in etl("plan", "--root", root, *options, "--json").json["steps"]} == {"reuse"}
        published.append(exports(root))
    assert published[0] == published[1] == published[2] == published[3]
    assert len(jsonl(tmp_path / "file/exports/sft/instruction_response/part-00001.jsonl")) == 1
    assert jsonl(tmp_path / "file/exports/quarantine/sft/part-00001.jsonl")[0]["quarantine_reason"] == "hallucinated_file_path"


def test_a_flag_can_take_back_what_the_file_says(root: Path) -> None:
    """--set include_partial=false outweighs the file; the run says so in its receipts."""
    run(root, "--set", "include_partial=false")
    settings = etl("receipts", "--root", root, "--json").json["summary"]["request"]["settings"]
    assert settings["include_partial"] is False


READING = (
    *(["run-all"], ["run", "score"], ["plan"], ["drift"], ["receipts"], ["verify"], ["replay"], ["health"]),
    *(["peek", "evidence"], ["diff", "a", "b"], ["run-all", "--dry-run"]),
)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_all_commands_read_the_file(root: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """What is wrong in it, or in the environment, is exit code 2 and one sentence for each of them; nothing is changed."""
    before = sorted(root.rglob("*"))
    change(root, "include_partial = true", "include_partail = true")
    result = etl(*command, "--root", root)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: {root}/etl.toml:1: there is no setting 'include_partail'; the settings are ")
    change(root, "include_partail = true", "accept_at = 7")
    result = etl(*command, "--root", root)
    assert (result.exit_code, f"(from {root}/etl.toml:1)" in result.stderr) == (2, True)
    change(root, "accept_at = 7", "accept_at = 1")
    change(root, "[sources.notes]", "[sources.nots]")
    result = etl(*command, "--root", root)
    assert (result.exit_code, f"{root}/etl.toml:2: [sources.nots] names no source" in result.stderr) == (2, True)
    change(root, "[sources.nots]", "[sources.notes]")
    monkeypatch.setenv("ETL_THREADS", "many")
    result = etl(*command, "--root", root)
    assert (result.exit_code, "(from the environment variable ETL_THREADS)" in result.stderr) == (2, True)
    assert result.stderr.count("\n") == 1
    assert sorted(root.rglob("*")) == before


def test_asking_works_whatever_the_file_says(root: Path) -> None:
    """Commands that take no settings do not read it."""
    (root / "etl.toml").write_text("[", encoding="utf-8")
    assert etl("sql", "select 1", "--root", root).exit_code == 0
    assert etl("verify", "--all", "--root", root).exit_code == 0
    assert etl("recover", "--root", root).exit_code == 0


def test_paths_that_are_not_there(root: Path) -> None:
    """The sentence names the line that names them; health says of the evidence what is wrong, and goes on."""
    change(root, "include_partial", 'known_paths = "gone.txt"\ninclude_partial')
    result = etl("run-all", "--root", root)
    assert result.exit_code == 2
    assert result.stderr == f"etl: {root}/etl.toml:1 names {root}/gone.txt: it cannot be read: No such file or directory.\n"
    change(root, 'known_paths = "gone.txt"', 'evidence = "gone"')
    for command in (["run-all"], ["plan"], ["peek", "notes"]):
        result = etl(*command, "--root", root)
        assert result.exit_code == 2
        assert result.stderr == f"etl: {root}/gone: there is no such evidence folder; mend evidence in {root}/etl.toml:1.\n"
    result = etl("health", "--root", root, "--json")
    assert result.exit_code == 1
    (failed,) = [check for check in result.json if check["status"] == "failed"]
    assert (failed["what"], f"{root}/gone" in failed["detail"]) == ("evidence", True)


def test_peek_sees_what_a_run_would(root: Path) -> None:
    """It maps with the settings of the source, from the folder of evidence that is configured."""
    (root / "evidence").rename(root / "logs")
    change(root, "include_partial", 'evidence = "logs"\ninclude_partial')
    change(root, '"m1"', '"m9"')
    items = etl("peek", "notes", "--root", root, "--json").json["items"]
    assert {record["model"] for item in items for record in item["records"]} == {"m9"}


@pytest.mark.parametrize("command", [["run-all"], ["run", "score"], ["plan"], ["health"]], ids=" ".join)
def test_a_variable_that_is_no_setting_is_named(root: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """It may be a typing error, or another tool's: a sentence on stderr, and nothing else."""
    monkeypatch.setenv("ETL_INCLUDE_REVEIW", "true")
    result = etl(*command, "--root", root)
    assert result.exit_code == 0
    assert result.stderr == (
        "etl: The environment variable ETL_INCLUDE_REVEIW is no setting and has no effect; ETL_INCLUDE_REVIEW is one.\n"
    )


def test_health_shows_where_values_come_from(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of what is not at its default, in 80 columns; all settings with --json, as findings that say more."""
    monkeypatch.setattr("etl.console.parts.PIPE_WIDTH", 80)
    monkeypatch.setenv("ETL_ACCEPT_AT", "0.75")
    monkeypatch.chdir(root)
    change(root, "include_partial", 'known_paths = "etl.toml"\nmemory_limit = "3GB"\ninclude_partial')
    shown = etl("health", "--root", root, "--evidence", "evidence").stdout
    assert all(len(line) <= 80 for line in shown.splitlines() if "/" not in line)
    settings, _, note = shown.partition("settings\n")[2].rpartition("\n\n")
    assert note == "All other settings are at their defaults; --json names all.\n"
    table = [line.split() for line in settings.splitlines()]
    assert table[2:] == [
        ["accept_at", "0.75", "environment", "ETL_ACCEPT_AT"],
        ["include_partial", "true", "etl.toml:3"],
        ["memory_limit", "3GB", "etl.toml:2"],
        ["evidence", "evidence", "flag", "--evidence"],
        ["known_paths", "etl.toml", "etl.toml:1"],
        ["sources.notes.graded", "true", "etl.toml:7"],
        ['sources.notes."kind', "of", 't1"', "src/one.py", "etl.toml:8"],
        ["sources.notes.model", "m1", "etl.toml:6"],
        ["sources.notes.prompt", "Say", "it.", "etl.toml:5"],
        ["sources.others.model", "n1", "etl.toml:10"],
    ]
    found = {each["setting"]: each for each in etl("health", "--root", root, "--json").json if "setting" in each}
    assert len(found) == 32 + 5
    assert found["include_partial"] == {
        "what": "setting include_partial", "status": "ok", "detail": "true (etl.toml:3)",
        "setting": "include_partial", "value": True, "origin": "etl.toml:3",
    }  # fmt: skip
    origins = [found[name]["origin"] for name in ("accept_at", "partial_at", "evidence", "sources.notes.model")]
    assert origins == ["environment ETL_ACCEPT_AT", "default", "default", "etl.toml:6"]
    (root / "etl.toml").unlink()
    monkeypatch.delenv("ETL_ACCEPT_AT")
    assert etl("health", "--root", root).stdout.endswith("All settings are at their defaults; --json names them.\n")


def test_what_evidence_and_files_say_cannot_move_the_terminal(root: Path) -> None:
    """Keys and values of etl.toml are shown as any text of strangers."""
    change(root, 'model = "m1"', 'model = "\\u001b[31m"\n"\\u001b[32m" = 1')
    for command in ("health", "plan", "run-all"):
        assert "\x1b" not in etl(command, "--root", root).stdout
    change(root, "[sources.notes]", '[sources."\\u001b[33m"]')
    result = etl("run-all", "--root", root)
    assert (result.exit_code, "\x1b" in result.stderr) == (2, False)


def test_the_file_is_no_evidence(tmp_path: Path) -> None:
    """Where the root is the folder of evidence's parent, as ever, nobody collects it; a comment in it makes no stage stale."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": [evidence_line("a", verdict="accept")]})
    (tmp_path / "etl.toml").write_text("accept_at = 0.9\n", encoding="utf-8")
    run(tmp_path)
    (tmp_path / "etl.toml").write_text("# Nothing.\n", encoding="utf-8")
    assert run(tmp_path)["status"] == "reused"

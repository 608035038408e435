"""Which settings concern a stage, and what is never known to be unchanged: the SQL says so, not a list."""

import ast
from contextlib import closing
from pathlib import Path

import pytest
from conftest import REPOSITORY

from etl.base.errors import SqlError
from etl.base.settings import NOT_READ_BY_STAGES, OF_SOURCES, Settings, SourceSetting
from etl.context import Stage
from etl.pipeline.stages import STAGES
from etl.warehouse.connection import Warehouse
from etl.warehouse.lineage import Lineage, settings_hash
from etl.warehouse.sql_files import Sql

#: Settings on which reading evidence depends, and settings of which nothing else is known.
EVERYWHERE = frozenset(Settings.model_fields) - NOT_READ_BY_STAGES

SWITCHES = {"include_partial", "include_review"}
SCORES = {"accept_at", "partial_at", "grounded_accept_at", "grounded_partial_at"}

#: Views that name settings: in any step or subquery, by views that they read, or by a macro.
NAMING = {
    "select 1 as one": set(),
    "select setting.accept_at from policy.setting as setting": {"accept_at"},
    "select accept_at, partial_at from policy.setting": {"accept_at", "partial_at"},
    "with step as (select history_runs from (select 1 as history_runs)) select * from step": set(),
    "with step as (select accept_at from policy.setting) select * from step": {"accept_at"},
    "select verdict.* from policy.verdict as verdict, policy.setting as s where s.partial_at > 0": {"partial_at"},
    "from policy.known_path": {"known_paths_sha256"},
    "select max(value) as model from policy.source_setting where source = 'notes'": {OF_SOURCES},
    "select mine.model_now() as model": {OF_SOURCES},
    "select category from scored.run": SCORES,
    "from policy.verdict where exists (select 1 from policy.setting where include_review)": {"include_review"},
    "select mine.limit_now() as now": {"accept_at"},
    "select limit_of_main() as now": {"partial_at"},
    "select S.Accept_At from POLICY.Setting as S": {"accept_at"},
    "select (with t as (select 1 as n) select n from t) as a, (select n from mine.thr) as b": {"max_pairs_per_task"},
    "select count(*) as rows from policy.admission where dataset = 'sft'": {"include_partial", "include_review"},
    "select id from datasets.decision where dataset = 'sft'": {
        *(*SCORES, *SWITCHES, "known_paths_sha256", "max_prompts_per_response", "part_items", "one_file"),
        *("validation_share", "test_share", "holdout_sha256"),
    },
}

#: Views that may read any setting: by a star, by a whole row, by columns chosen at run time, or without naming one.
OF_ANY = [
    "select * from policy.setting",
    "from policy.setting",
    "select s.* from policy.verdict cross join policy.setting as s",
    "select setting from policy.setting",
    "select columns(lambda name: name like 'accept%') from policy.setting",
    "select count(*) as settings from policy.setting",
    "select value from (unpivot policy.setting on accept_at, partial_at into name name value value)",
    "with step as (select * from policy.setting) select accept_at from step",
    "select x.v || s.accept_at as v from policy.setting as s, lateral (select to_json(s)::varchar as v) as x",
    "select v.x from policy.setting as s join (values ('a')) as v (x) on to_json(s)::varchar like v.x and s.accept_at > 0",
    "select u.x::varchar || s.accept_at as v from policy.setting as s, unnest([s]) as u (x)",
    "select accept_at from policy.setting join (values (5)) as v (max_pairs_per_task) using (max_pairs_per_task)",
    "select max(accept_at) as v from policy.setting natural join (select 5 as max_pairs_per_task) as v",
    "select to_json(s)::varchar || S.accept_at as v from policy.setting as S",
    "select x.e || accept_at as v from (select #5 as e, accept_at from policy.setting) as x",
    "select e::varchar || s.include_partial as v from policy.setting as s (a, b, c, d, e)",
    "select POLICY.Setting.accept_at, setting as all_of_it from POLICY.Setting",
]

#: Views, and the relations that each reads and that are not known to be unchanged; None: the view itself is reported.
UNPROVABLE = {
    "select category from scored.run": [],
    "select path from policy.known_path": [],
    "from policy.source_setting": [],
    "select run_id from receipts.run": ["receipts.run"],
    "from receipts.row_history": ["receipts.row_history"],
    "select run_id from policy.baseline": ["policy.baseline"],
    "select * from query_table('evidence.record')": None,
    "from duckdb_settings()": None,
    "select now() as now": None,
    "select current_timestamp as now": None,
    "select random() as chance, verdict from policy.verdict": None,
}

MACRO = """
create schema if not exists mine;
create macro mine.limit_now() as (select accept_at from policy.setting);
create macro mine.model_now() as (select max(value) from policy.source_setting);
create macro limit_of_main() as (select partial_at from policy.setting), (x) as x;
"""

#: A view that one of the views above reads, under a name that one of its steps has too.
OTHERS = {"sql/9_mine/thr.sql": "-- One of mine.\nselect max_pairs_per_task as n from policy.setting\n"}

BODIES = [*NAMING, *OF_ANY, *UNPROVABLE]


def name_of(body: str) -> str:
    """Return the name of a user's own view."""
    return f"mine.view_{BODIES.index(body)}"


@pytest.fixture(scope="module")
def lineage() -> Lineage:
    """Give the lineage of the product's SQL with all these views."""
    sql = Sql.of(Path("/nonexistent"))
    views = {f"sql/9_mine/view_{BODIES.index(body)}.sql": f"-- One of mine.\n{body}\n" for body in BODIES}
    warehouse = Warehouse.create(Sql(sql.files | views | OTHERS | {"sql/macros.sql": sql["macros"] + MACRO}), Settings())
    found = Lineage.of(warehouse)
    warehouse.close()
    return found


@pytest.mark.parametrize(("body", "settings"), NAMING.items())
def test_a_view_is_concerned_by_the_settings_that_it_names(lineage: Lineage, body: str, settings: set[str]) -> None:
    """The settings that it names itself, in any step or subquery, and those that the views and macros it uses name."""
    assert set(lineage.settings_of([name_of(body)], None)) - EVERYWHERE == settings


@pytest.mark.parametrize("body", OF_ANY)
def test_a_view_that_may_read_any_setting_is_concerned_by_all(lineage: Lineage, body: str) -> None:
    """A view that may read any setting has all of them."""
    assert set(lineage.settings_of([name_of(body)], None)) == EVERYWHERE | set(Settings().row())


@pytest.mark.parametrize(("body", "relations"), UNPROVABLE.items())
def test_what_is_not_known_to_be_unchanged(lineage: Lineage, body: str, relations: list[str] | None) -> None:
    """What follows from evidence and settings can be reused; what runs leave behind, or what is unknown, cannot."""
    assert lineage.unprovable([name_of(body)]) == ([name_of(body)] if relations is None else relations)


def settings_of(lineage: Lineage, stage: Stage) -> frozenset[str]:
    """Return the settings that concern a stage."""
    return lineage.settings_of(stage.relations, stage.dataset.name if stage.dataset else None)


def test_an_opt_in_concerns_its_dataset_alone(lineage: Lineage) -> None:
    """The opt-ins are named in rows of policy.admission: each concerns the dataset of its row."""
    both = {"include_review", "include_partial"}
    switches = {stage.dataset.name: both & settings_of(lineage, stage) for stage in STAGES if stage.dataset}
    assert switches == {"rag": {"include_review"}, "sft": {"include_partial"}, "preference": set()}


def test_no_stage_is_concerned_by_what_cannot_change_it(lineage: Lineage) -> None:
    """Threads, memory, history and drift change no output byte, so no stage is stale because of them."""
    of_drift = {name for name in Settings.model_fields if name.startswith("drift_")}
    for stage in STAGES:
        assert not (of_drift | {"threads", "memory_limit", "history_runs"}) & settings_of(lineage, stage)


def test_the_hash_is_over_the_named_settings() -> None:
    """Another value of a named setting gives another hash; another value of any other setting does not."""
    names = {"accept_at", "max_depth"}
    base = settings_hash(Settings(), names)
    assert settings_hash(Settings(partial_at=0.6), names) == base
    assert settings_hash(Settings(accept_at=0.7), names) != base != settings_hash(Settings(max_depth=3), names)


def test_no_stage_reads_a_setting_that_views_alone_read() -> None:
    """A setting that a stage's Python reads concerns every stage; no stage reads those that only views are said to read."""
    # the first two change how fast it runs, not its results; the views of all exports name the third
    read_elsewhere = {"threads", "memory_limit", "one_file"}
    rooms = (REPOSITORY / "etl" / room for room in ("ingest", "export", "checks", "context.py", "pipeline/stages.py"))
    for module in (file for room in rooms for file in (room.rglob("*.py") if room.is_dir() else [room])):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not attributes & (NOT_READ_BY_STAGES - read_elsewhere), module


def test_settings_of_sources_concern_every_stage_where_a_mapping_reads_them(sql: Sql) -> None:
    """Without such a mapping they concern no stage; who may read anything is concerned by them too."""
    mapping = {"sql/2_sources/notes.sql": "select item.*, value as model from raw.item as item, policy.source_setting"}
    for files, concerned in (({}, set()), (mapping, {OF_SOURCES})):
        with closing(Warehouse.create(Sql(sql.files | files), Settings())) as warehouse:
            lineage = Lineage.of(warehouse)
        assert [{OF_SOURCES} & settings_of(lineage, stage) for stage in STAGES] == [concerned] * len(STAGES)
        assert OF_SOURCES in lineage.settings_of(["receipts.run"], None)


def test_the_hash_is_over_all_settings_of_sources() -> None:
    """A source, a key or a value that differs gives another hash; their order does not matter."""
    rows = (SourceSetting("a", "b", "c"), SourceSetting("a", "d", "e"))
    others = ((), rows[:1], (rows[0], SourceSetting("a", "d", "f")), (rows[0], SourceSetting("b", "d", "e")))
    hashes = [settings_hash(Settings(source_settings=each), {OF_SOURCES}) for each in (rows, *others)]
    assert len({*hashes}) == 5
    assert settings_hash(Settings(source_settings=rows[::-1]), {OF_SOURCES}) == hashes[0]


@pytest.mark.parametrize("made", ["evidence.record", "evidence.skipped", "evidence.file", "scored.run"])
def test_a_mapping_reads_nothing_that_collecting_makes(sql: Sql, made: str) -> None:
    """What it finds there would depend on what was collected before."""
    mapping = {"sql/2_sources/notes.sql": f"select item.* from raw.item as item where exists (from {made})"}
    with pytest.raises(SqlError, match=rf"^sql/2_sources/notes\.sql: a mapping cannot read {made}; it reads raw\.item\.$"):
        Warehouse.create(Sql(sql.files | mapping), Settings())


def test_what_needs_no_text_reads_none(lineage: Lineage, sql: Sql) -> None:
    """Views over evidence.record are planned with the pieces of long texts: each view above would be planned so, too."""
    datasets = {"datasets.rag", "datasets.sft", "datasets.preference", "datasets.prompt"}
    assert {view.qualified for view in sql.views if "evidence.record" in lineage.reads[view.qualified]} == datasets

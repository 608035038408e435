"""Law 4 for every way of reading: evidence that is collected edit by edit equals evidence that is collected at once."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SEEDS
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import Run, spelled
from etl.ingest.collect import collect
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql

#: A record for each item, or several where the item says so; an item with a word for n fails the mapping.
ITEM = """-- One row per item, and a second one where it says so.
-- nan: null{directives}
select
    source_path,
    item_number,
    unnest(case when json ->> 'twice' is null then [1] else [1, 2] end) as record_number,
    'verdict' as source_class,
    json ->> 'task' as task_id,
    (json ->> 'n')::bigint::double as score,
    json -> 'messages' as messages,
    json ->> 'problem' as problem,
from raw.item
"""

#: The first item of a unit is its record, all others are parts of it, but for those that say that they are not.
UNIT = """-- One row per unit.
-- {directives}
select
    arg_min(source_path, (source_path, item_number)) as source_path,
    arg_min(item_number, (source_path, item_number)) as item_number,
    'verdict' as source_class,
    unit as task_id,
    string_agg(json, chr(10) order by source_path, item_number) as response,
    sum((json ->> 'n')::bigint)::double as score,
    to_json(list(
        {{'role': 'model', 'content': [json ->> 'task']}} order by source_path, item_number
    ) filter (where json ->> 'task' is not null)) as messages,
    list({{'source_path': source_path, 'item_number': item_number}} order by source_path, item_number)
        filter (where json ->> 'alone' is null) as parts,
    arg_min(json ->> 'problem', (source_path, item_number)) as problem,
from raw.item
group by unit
"""

WINDOW = """-- One row per item; its score is the number of items of its file.
select
    source_path,
    item_number,
    'verdict' as source_class,
    json ->> 'task' as task_id,
    count(*) over (partition by source_path)::double as score,
from raw.item
"""

#: Fields whose faults skip items alone.
FIELDS = """-- One row per item.
-- fields:
--   task text required = /task
--   n integer = /n
--   messages json = /messages
select
    source_path,
    item_number,
    'verdict' as source_class,
    task as task_id,
    n as score,
    messages,
from raw.item
"""

MAPPINGS = {
    "items": ITEM.format(directives="\n-- items: /* /runs/*"),
    "asked": ITEM.format(directives="\n-- reads: *.txt *.jsonl in/*.json .kept/*"),
    "fields": FIELDS,
    "window": WINDOW,
    "files": UNIT.format(directives="grain: file"),
    "named": UNIT.format(directives="grain: folder result.json"),
    "marked": UNIT.format(directives="grain: folder mark.md"),
    "folders": UNIT.format(directives="grain: folder *"),
    "whole": UNIT.format(directives="grain: source"),
}
SOURCES = [*MAPPINGS, "nobody"]

VALUES = [
    {"task": "a"},
    {"task": "b", "n": 1, "twice": True},
    {"task": "c", "alone": True},
    {"task": "d", "n": "a word"},
    {"task": "e", "problem": "no_good"},
    {"task": "f", "n": 2},
    {"task": "g", "messages": [{"role": "human", "content": "Hi"}, {"role": "ai", "content": [{"text": "Hello"}]}]},
    {"task": "h", "messages": [{"role": "nobody", "content": "Hi"}]},
    {},
    [],
]
LINES = [*(json.dumps(value).encode() for value in VALUES), b"", b"no json", b'{"task": "g", "n": NaN}', b'{"task']


def as_lines(numbers: Sequence[int]) -> bytes:
    """Return lines of the pool, the last without its line feed where its number is odd."""
    content = b"".join(LINES[number] + b"\n" for number in numbers)
    return content[:-1] if numbers and numbers[-1] % 2 else content


def as_document(numbers: Sequence[int]) -> bytes:
    """Return an array of values of the pool, cut off where there are none."""
    return json.dumps([VALUES[number % len(VALUES)] for number in numbers]).encode() if numbers else b"[{}"


def as_parquet(numbers: Sequence[int]) -> bytes:
    """Return rows of the pool."""
    target = io.BytesIO()
    rows = [value for number in numbers if isinstance(value := VALUES[number % len(VALUES)], dict)]
    columns = {"task": pa.string(), "twice": pa.bool_(), "alone": pa.bool_(), "problem": pa.string()}
    pq.write_table(pa.Table.from_pylist([{**dict.fromkeys(columns), **row} for row in rows], pa.schema(columns)), target)
    return target.getvalue()


def as_archive(members: Mapping[str, Sequence[int]]) -> bytes:
    """Return an archive with members of these names."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, numbers in members.items():
            archive.writestr(zipfile.ZipInfo(name), content_of(name, numbers))
    return target.getvalue()


def content_of(name: str, content: Any) -> bytes:
    """Return the bytes of a file, or of a member, as its name says."""
    if isinstance(content, dict):
        return as_archive(content)
    if name.endswith((".json", ".md")):
        return as_document(content)
    return as_parquet(content) if name.endswith(".parquet") else as_lines(content)


NUMBERS = st.lists(st.integers(0, len(LINES) - 1), max_size=4)
INSIDE = [
    "one.jsonl",
    "in/two.json",
    "result.json",
    "in/result.json",
    "mark.md",
    "notes.txt",
    ".hidden",
    "in/log.zip",
    "a!b.json",
]
NAMES = [*INSIDE, "in/one.jsonl", "in/deep/three.jsonl", "rows.parquet", ".kept/one.json", "in/x.zip!y.jsonl", "in/mark.md"]
ARCHIVES = ["log.zip", "in/x.zip"]
IGNORES = [b"", b"one.jsonl\n", b"in/\n", b"*.zip\n", b"result.json\n", b"*\n!items\n!items/*\n"]
SINGLE = [f"{source}{ending}" for source in SOURCES for ending in (".jsonl", ".json", ".zip")]

#: A path and what it holds from then on; None: it is deleted; the path of another file: that one becomes it.
PLACES = st.sampled_from(SOURCES).flatmap(lambda source: st.sampled_from([f"{source}/{name}" for name in NAMES]))
ARCHIVE_PLACES = st.builds(lambda source, name: f"{source}/{name}", st.sampled_from(SOURCES), st.sampled_from(ARCHIVES))
MEMBERS = st.dictionaries(st.sampled_from(INSIDE), NUMBERS, max_size=4)
EDITS = st.one_of(
    st.tuples(PLACES | st.sampled_from(SINGLE), NUMBERS | st.none()),
    st.tuples(ARCHIVE_PLACES | st.sampled_from([f"{source}.zip" for source in SOURCES]), MEMBERS | st.none()),
    st.tuples(PLACES, PLACES),
    st.tuples(PLACES, st.builds(lambda number: ("grow", number), st.integers(0, len(LINES) - 1))),
    st.tuples(st.just(".etlignore"), st.sampled_from(IGNORES)),
)
STEPS = st.lists(st.lists(EDITS, min_size=1, max_size=5), min_size=2, max_size=5)


def edit(folder: Path, place: str, content: Any) -> None:
    """Do one edit of the evidence."""
    file = folder / place
    if content is None:
        file.unlink(missing_ok=True)
        return
    if isinstance(content, str):
        other = folder / content
        if other.exists() and other.suffix == file.suffix:
            file.parent.mkdir(parents=True, exist_ok=True)
            other.replace(file)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, tuple):
        file.write_bytes((file.read_bytes() if file.exists() else b"") + LINES[content[1]] + b"\n")
    else:
        file.write_bytes(content if isinstance(content, bytes) else content_of(file.name, content))


TABLES = {
    "evidence.file": "from evidence.file",
    "evidence.record": "select * exclude (record_key) from evidence.record",
    "evidence.skipped": "from evidence.skipped",
}


def rows(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of evidence.*."""
    return {table: warehouse.dicts(f"{query} order by all") for table, query in TABLES.items()}


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the files of the evidence by their paths."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def assert_balanced(warehouse: Warehouse, folder: Path) -> None:
    """Assert that each entry was mapped, is a part, or is skipped, once, and that each file is known."""
    item = "source_path, item_number"
    own = f"select distinct {item} from evidence.record"
    part = f"(select unnest(part.parts, recursive := true) from evidence.record as part) except {own}"
    assert warehouse.one(f"select count(*) from (({own}) intersect (select {item} from evidence.skipped))") == 0
    assert warehouse.one(f"select count(*) from (({part}) intersect (select {item} from evidence.skipped))") == 0
    assert warehouse.one(f"select count(*) = count(distinct ({item})) from evidence.skipped")
    counts = f"(select count(*) from ({own})), (select count(*) from ({part})), (select count(*) from evidence.skipped)"
    (taken,) = warehouse.execute(f"select {counts}")
    assert sum(taken) == warehouse.one("select coalesce(sum(record_count), 0) from evidence.file"), taken
    files = {spelled(path) for path in bytes_of(folder)}
    known = {path for (path,) in warehouse.execute("select source_path from evidence.file")}
    assert known <= files | {spelled(path.rpartition("/")[0]) for path in files if "/." in path}
    assert all(path in known or "/.kept/" in path for path in files)


class Grown:
    """A warehouse that is brought up to the evidence again and again."""

    def __init__(self, root: Path) -> None:
        for name, mapping in MAPPINGS.items():
            (root / "sql/2_sources").mkdir(parents=True, exist_ok=True)
            (root / f"sql/2_sources/{name}.sql").write_text(mapping, encoding="utf-8")
        self.folder = root / "evidence"
        self.folder.mkdir()
        self.project = Project.at(root, self.folder)
        self.sql = Sql.of(root / "sql")
        self.warehouse = self.new()
        self.before: dict[str, bytes] = {}

    def new(self) -> Warehouse:
        """Return an empty warehouse."""
        return Warehouse.create(self.sql, Settings())

    def clear(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        for table in ("stored_record", "long_text", "skipped", "file"):
            self.warehouse.execute(f"delete from evidence.{table}")
        self.before = {}

    def collect(self, warehouse: Warehouse, untouched: frozenset[str] = frozenset()) -> None:
        """Collect the evidence into a warehouse."""
        collect(Run(self.project, Settings(), self.sql, warehouse, self.folder, untouched=untouched))

    def step(self, edits: Sequence[tuple[str, Any]]) -> None:
        """Do some edits, collect, and compare with what a new warehouse gets."""
        for place, content in edits:
            edit(self.folder, place, content)
        now = bytes_of(self.folder)
        same = {path for path, content in now.items() if self.before.get(path) == content}
        known = self.warehouse.execute("select source_path from evidence.file where sha256 is not null and ignored_by is null")
        self.collect(self.warehouse, frozenset(same & {path for (path,) in known}))
        with closing(self.new()) as fresh:
            self.collect(fresh)
            grown, wanted = rows(self.warehouse), rows(fresh)
        for table in TABLES:
            extra = [row for row in grown[table] if row not in wanted[table]]
            lacking = [row for row in wanted[table] if row not in grown[table]]
            assert (table, extra, lacking, len(grown[table])) == (table, [], [], len(wanted[table]))
        assert_balanced(self.warehouse, self.folder)
        self.before = now


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """Give a warehouse over an empty folder of evidence."""
    made = Grown(tmp_path_factory.mktemp("grown"))
    yield made
    made.warehouse.close()


HARD = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
    "phases": [Phase.generate],
}  # shrinking takes minutes


@settings(max_examples=6, derandomize=True, **HARD)
@given(steps=STEPS)
def test_increments_equal_a_fresh_start(grown: Grown, steps: Sequence[Sequence[tuple[str, Any]]]) -> None:
    """Whatever is added, changed, moved, ignored or removed: the tables are those of a fresh start, and the books balance."""
    grown.clear()
    for edits in steps:
        grown.step(edits)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(SEEDS))
def test_increments_equal_a_fresh_start_for_many_edits(grown: Grown, number: int) -> None:
    """The same, for other edits with each seed."""
    tried = settings(max_examples=25, **HARD)(given(steps=STEPS)(test_increments_equal_a_fresh_start.hypothesis.inner_test))
    seed(number)(tried)(grown=grown)

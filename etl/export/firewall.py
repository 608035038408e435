"""The third layer of the firewall, and the audit: what was written is read back from disk and judged anew.

It trusts neither the views' admission nor a row's own label: each id's category is looked up in ``scored.run``.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from etl.base.datasets import Dataset
from etl.base.errors import AuditError, FirewallError
from etl.base.threads import map_ahead, read_ahead
from etl.context import Run
from etl.export.writer import ROWS_PER_GROUP, Written, digest_of, fixed_batches

#: JSON is parsed so many bytes at a time, and to the end of the row: what fits the caches is parsed in half the time.
PARSED_BYTES = 1 << 20

#: What the two sides of a pair may be.
PAIRS = {("accepted", "rejected"), ("accepted", "partially_accepted")}

_CATEGORY = """
select
    written.id,
    written.id is not distinct from sha256(concat($dataset, chr(31), scored.evidence_id))
    and written.provenance.line_sha256 is not distinct from scored.line_sha256 as is_named,
    scored.category,
from raw.main.written as written
left join scored.run as scored
    on written.provenance.source_path = scored.source_path
    and written.provenance.line_number = scored.line_number
where not is_named or scored.category is null or list_contains($never, scored.category)
order by written.id
limit 1
"""

#: The written pairs with what is known of the chosen side. A table of its own, so that to look the other side up needs one
#: hash table of the pairs in memory, and not two.
_CHOSEN = """
create or replace table raw.main.written_chosen as
select
    written.id,
    written.provenance.rejected as rejected,
    written.provenance.chosen.line_sha256 = scored.line_sha256 as is_named,
    scored.evidence_id,
    scored.task_id,
    scored.run_id,
    scored.category,
from raw.main.written as written
left join scored.run as scored
    on written.provenance.chosen.source_path = scored.source_path
    and written.provenance.chosen.line_number = scored.line_number
"""

_PAIR = """
select
    chosen.id,
    chosen.category as chosen_category,
    rejected.category as rejected_category,
    coalesce(chosen.task_id = rejected.task_id, false)
    and chosen.is_named
    and chosen.rejected.line_sha256 = rejected.line_sha256
    and chosen.id = sha256(concat($dataset, chr(31), chosen.evidence_id, chr(31), rejected.evidence_id)) as is_named,
    chosen.run_id = rejected.run_id as is_one_run,
from raw.main.written_chosen as chosen
left join scored.run as rejected
    on chosen.rejected.source_path = rejected.source_path
    and chosen.rejected.line_number = rejected.line_number
where
    not is_named
    or coalesce(is_one_run, true)
    or not list_contains($pairs, chosen.category || ' over ' || rejected.category)
order by chosen.id
limit 1
"""

_REPEATED = """
select id
from raw.main.written
group by id
having count(*) > 1
order by id
limit 1
"""

#: What is kept of the written rows, to be looked up all at once: who they say they are, and a hash of what they carry.
_NOTED = "select id, provenance, hash(prompt, response, run_id) as carried from written_rows"

#: A written row whose text or run is not that of the record it names. The hash is the engine's, of 64 bits; a column that
#: the dataset does not carry counts as null on both sides.
_BORROWED = """
select written.id
from raw.main.written as written
inner join evidence.record as record
    on written.provenance.source_path = record.source_path and written.provenance.line_number = record.line_number
where
    written.carried <> hash(
        case when list_contains($carried, 'prompt') then record.prompt end,
        case when list_contains($carried, 'response') then record.response end,
        case when list_contains($carried, 'run_id') then record.run_id end
    )
order by written.id
limit 1
"""

_NOTED_PAIRS = """
select
    id,
    provenance,
    hash(prompt, chosen, chosen_run_id) as carried_chosen,
    hash(prompt, rejected, rejected_run_id) as carried_rejected,
from written_rows
"""

_BORROWED_PAIRS = """
select written.id
from raw.main.written as written
inner join evidence.record as chosen
    on written.provenance.chosen.source_path = chosen.source_path
    and written.provenance.chosen.line_number = chosen.line_number
where written.carried_chosen <> hash(chosen.prompt, chosen.response, chosen.run_id)
union all
select written.id
from raw.main.written as written
inner join evidence.record as rejected
    on written.provenance.rejected.source_path = rejected.source_path
    and written.provenance.rejected.line_number = rejected.line_number
where written.carried_rejected <> hash(rejected.prompt, rejected.response, rejected.run_id)
order by id
limit 1
"""


def audit(
    run: Run, written: Written, rows: Callable[[], Iterable[pa.RecordBatch]], dataset: Dataset | None = None
) -> None:
    """Read a JSONL and a Parquet file back from disk, compare them in full with each other and with what was to be written.

    ``rows`` gives the relation's rows once more, to tell which one differs. The rows of a ``dataset`` then pass the
    firewall; a quarantine has none to pass. Raises AuditError, FirewallError.
    """
    file = _published(written.jsonl)
    is_compared = is_noted = False
    columns = _parquet(written.parquet, written.schema)
    with (
        read_ahead(columns) as from_parquet,
        map_ahead(partial(_parsed, schema=written.schema), _blocks(written.jsonl)) as from_jsonl,
    ):
        for columnar, text, digest in zip_longest(from_parquet, _regrouped(from_jsonl), written.digests):
            is_same = columnar is not None and columnar.equals(text) and digest_of(columnar) == digest
            if not is_same and not is_compared:
                _require_same(rows(), written)
                is_compared = True
            if dataset:
                _note(run, dataset, text, file, is_first=not is_noted)
                is_noted = True
    if is_noted and dataset:
        refuse_forbidden(run, dataset, file)
        for table in ("written", "written_chosen"):
            run.warehouse.execute(f"drop table if exists raw.main.{table}")


def _require_same(rows: Iterable[pa.RecordBatch], written: Written) -> None:
    """Raise AuditError where one of the files is not what the relation is, naming the first row that differs."""
    expected = (table.cast(written.schema) for table in fixed_batches(rows))
    files = _parquet(written.parquet, written.schema), _jsonl(written.jsonl, written.schema)
    row = 0
    for ours, columnar, text in zip_longest(expected, *files):
        _same(ours, columnar, written.parquet, row)
        _same(ours, text, written.jsonl, row)
        row += ours.num_rows


def refuse_forbidden(run: Run, dataset: Dataset, file: str) -> None:
    """Raise FirewallError if a written row is of a category that may never be there, or is not the record it says it is."""
    for (row,) in run.warehouse.execute(_REPEATED):
        raise FirewallError(f"{file}: the id {row} stands there twice.")
    carried = {"carried": sorted(dataset.carries.values())}
    is_of_pairs = dataset.grain == "pair"
    for (row,) in run.warehouse.execute(_BORROWED_PAIRS) if is_of_pairs else run.warehouse.execute(_BORROWED, carried):
        raise FirewallError(f"The row {row} of {dataset.name} has not the text or the run of the record that it names.")
    if is_of_pairs:
        _refuse_pairs(run, dataset, file)
    else:
        _refuse_records(run, dataset, file)


def _refuse_records(run: Run, dataset: Dataset, file: str) -> None:
    never = {"dataset": dataset.name, "never": sorted(dataset.never)}
    for row, is_named, category in run.warehouse.execute(_CATEGORY, never):
        if not is_named:
            raise FirewallError(f"{file}: the row {row} is no record of scored.run; nothing was published.")
        raise FirewallError(f"{file}: the row {row} is {category}, which may never enter {dataset.name}.")


def _refuse_pairs(run: Run, dataset: Dataset, file: str) -> None:
    pairs = [f"{chosen} over {rejected}" for chosen, rejected in sorted(PAIRS)]
    run.warehouse.execute(_CHOSEN)
    found = run.warehouse.execute(_PAIR, {"dataset": dataset.name, "pairs": pairs})
    for pair, chosen, rejected, is_named, is_one_run in found:
        if not is_named:
            raise FirewallError(f"{file}: the pair {pair} is not made of two records of one task.")
        if is_one_run:
            raise FirewallError(f"{file}: the pair {pair} compares a run with itself.")
        raise FirewallError(f"{file}: the pair {pair} sets {chosen} over {rejected}; that is no preference.")


def _note(run: Run, dataset: Dataset, rows: pa.Table, file: str, *, is_first: bool) -> None:
    """Keep what must be known of written rows; those of the other file are equal to them."""
    is_of_pairs = dataset.grain == "pair"
    if is_of_pairs and pc.any(pc.equal(rows["chosen"], rows["rejected"])).as_py():
        raise FirewallError(f"{file}: a pair has one text on both sides.")
    into = "create or replace table raw.main.written as" if is_first else "insert into raw.main.written"
    with run.warehouse.lent("written_rows", rows if is_of_pairs else _as_records(dataset, rows)):
        run.warehouse.execute(f"{into} {_NOTED_PAIRS if is_of_pairs else _NOTED}")


def _as_records(dataset: Dataset, rows: pa.Table) -> pa.Table:
    """Return the columns that a dataset takes from records, under the records' names; null where it takes none."""
    named = {record: rows[column] for column, record in dataset.carries.items()}
    nothing = pa.nulls(rows.num_rows, pa.string())
    columns = {name: named.get(name, nothing) for name in ("prompt", "response", "run_id")}
    return pa.table({"id": rows["id"], "provenance": rows["provenance"], **columns})


def _published(file: Path) -> str:
    """Return the file's path as it would be published: ``exports/…``."""
    return f"exports/{file.parent.name}/{file.name}"


def _parquet(file: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    with pq.ParquetFile(file) as parquet:
        if not parquet.schema_arrow.equals(schema):
            raise AuditError(f"{_published(file)}: its columns or types are not those of the dataset.")
        yield from fixed_batches(parquet.iter_batches(ROWS_PER_GROUP))


def _jsonl(file: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    yield from _regrouped(_parsed(lines, schema) for lines in _blocks(file))


def _regrouped(parsed: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut what was parsed into tables of a row group's length."""
    return fixed_batches(batch for rows in parsed for batch in rows.to_batches())


def _blocks(file: Path) -> Iterator[bytes]:
    """Yield a file's bytes, some whole lines at a time."""
    with file.open("rb") as stream:
        while lines := stream.read(PARSED_BYTES):
            yield lines + stream.readline()


def _parsed(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Parse with another library than the one that wrote it."""
    as_text = pa.schema([f.with_type(pa.string()) if pa.types.is_timestamp(f.type) else f for f in schema])
    parse = pa.json.ParseOptions(explicit_schema=as_text, unexpected_field_behavior="error")
    in_one = pa.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    return pa.json.read_json(pa.BufferReader(lines), read_options=in_one, parse_options=parse).cast(schema)


def _same(ours: pa.Table | None, written: pa.Table | None, file: Path, start: int) -> None:
    """Raise AuditError where two tables differ, naming the first row that does."""
    if ours is not None and written is not None and ours.equals(written):
        return
    if ours is None or written is None:
        raise AuditError(
            f"{file}: it has {'more' if ours is None else 'fewer'} rows than the relation it was written from."
        )
    for at, (left, right) in enumerate(zip_longest(ours.to_pylist(), written.to_pylist()), start=start + 1):
        if left != right:
            raise AuditError(f"{_published(file)}, row {at}: it differs from the relation it was written from.")
    raise AuditError(f"{_published(file)}: its types differ from those of the relation it was written from.")

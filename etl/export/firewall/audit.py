"""The audit: reads both files of a dataset back from disk, compares them in full, and judges their rows again.

It looks up each record that a written row names, and trusts nothing that the row says about itself.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from etl.base.datasets import Dataset, is_exported
from etl.base.errors import AuditError, FirewallError
from etl.base.threads import map_ahead, read_ahead
from etl.context import Run
from etl.export.firewall.rules import BEFORE_CATEGORY, CATEGORY, MATERIALISED, make_rules, rules_of
from etl.export.writer import Written, digest_of, regrouped
from etl.warehouse.connection import REREAD, Warehouse
from etl.warehouse.statements import read_sql

#: How many bytes of JSON are parsed at once, and on to the end of the row: a block that fits the caches takes half the time.
PARSED_BYTES = 1 << 20

#: Rows of about so many bytes are judged at once: enough to be worth a statement, few enough to hold their texts.
JUDGED_BYTES = 32 << 20

#: What a row can carry of its records, in the order of temp.written.
CARRIED = (
    *("source", "task_id", "run_id", "model", "title", "prompt", "response"),
    *("messages", "tools", "prompt_messages", "answer_messages", "pair_tools", "category", "created_at"),
    *("pair_created_at", "reason"),
)

#: What a pair carries of its chosen record, or of both.
OF_CHOSEN = {"prompt": "prompt", "tools": "pair_tools", "created_at": "pair_created_at", "reason": "reason"}

#: For each record of a pair: the columns of the pair that carry it, and what of the record is in them. What is of both is noted
#: with the chosen one.
PAIR = {
    side: {
        "task_id": "task_id",
        "prompt_messages": "prompt_messages",
        side: "response",
        f"{side}_messages": "answer_messages",
        f"{side}_run_id": "run_id",
        f"{side}_category": "category",
        **(OF_CHOSEN if side == "chosen" else {}),
    }
    for side in ("chosen", "rejected")
}

_TIME = pa.timestamp("us", tz="UTC")

#: For the record that a prompt is from, and for those that its answers are from: the columns that carry it.
OF_PROMPT = {"task_id": "task_id", "prompt_messages": "prompt_messages", "tools": "pair_tools"}
PROMPT = {"record": OF_PROMPT | {"prompt": "prompt"}, "answer": OF_PROMPT | {"answer": "response"}}

#: The answers of a prompt, and the records that they are from.
ANSWERS = ("answers", "answer_provenance")

#: The columns of each dataset that the re-read judges by themselves.
IDENTITY = {"id", "provenance", "split"}

#: The categories that a pair may prefer one over the other.
PREFERENCES = ["accepted over partially_accepted", "accepted over rejected"]

#: Streams the relation that the files were written from once more, in the tables that the writers were given.
Rows = Callable[[], Iterable[pa.Table]]


def begin_audit(run: Run) -> None:
    """Make what the audits of a dataset's parts share: the rules, and the table of the ids that are found."""
    make_rules(run)
    own, _ = run.warehouse.apart(REREAD)
    own.execute("create or replace table main.written_id (id varchar)")


def require_distinct(run: Run, parts: Sequence[Path]) -> None:
    """Raise FirewallError where two rows of a dataset's parts, given by their Parquet files, have one id; they were audited.

    Likewise where a group of tasks is on two sides of the split, in this dataset or in one that was audited before it.
    """
    own, _ = run.warehouse.apart(REREAD)
    for rule in ("twice", "divided"):
        for row, problem in own.execute(read_sql(__file__, rule)):
            raise FirewallError(_refusal(run, _part_with(row, parts), row, problem))


def audit(run: Run, written: Written, rows: Rows, dataset: Dataset | None = None) -> None:
    """Read the two files of a part back, and compare them in full with each other and with what the writers were given.

    Where they differ, ``rows`` tells which row is wrong. The rows of a ``dataset`` must also pass the firewall; those of a
    quarantine need not. Raises AuditError, FirewallError.
    """
    with closing(_read_both(written, rows)) as tables:
        if dataset:
            _refuse_forbidden(run, dataset, tables, _sides(dataset), [written.parquet])
        for _ in tables:
            pass


def audit_again(run: Run, parts: Sequence[Path], dataset: Dataset) -> None:
    """Judge the rows of parts that an earlier run wrote and audited, by their ids and by the records that they name alone.

    New evidence may have rejected one of them. What they carry has not changed since. Raises FirewallError.
    """
    if parts:
        _refuse_forbidden(run, dataset, _read_identities(parts), {side: {} for side in _sides(dataset)}, parts)


def begin_audit_of_published(run: Run) -> None:
    """Make what the audits of published rows share, over the published warehouse, in which nothing is materialised."""
    if run.sql.replaced.keys() & {*BEFORE_CATEGORY, CATEGORY}:
        run.warehouse.execute(f"create table {MATERIALISED} as from {CATEGORY}")
    begin_audit(run)


def judge_published(run: Run, dataset: Dataset, tables: Iterable[pa.Table], parts: Sequence[Path]) -> None:
    """Judge published rows of a dataset, with all that they carry, as they are read from its parts. Raises FirewallError."""
    if parts:
        _refuse_forbidden(run, dataset, tables, _sides(dataset), parts)


def judge_prompts(run: Run, tables: Iterable[pa.Table], are_reserved: bool) -> Iterator[pa.Table]:
    """Yield prompts of tasks with their answers once they are judged: all are reserved, or none is. Raises FirewallError."""
    own = rules_of(run)
    for table in tables:
        for row, answers, named in zip(*(table[name].to_pylist() for name in ("id", *ANSWERS)), strict=True):
            if len(answers) != len(named):
                raise FirewallError(_refusal(run, "datasets.prompt", row, "does not name a record for each answer"))
        for side, rows in (("record", table), ("answer", _answers(table))):
            with own.lent("written_rows", _select_records(rows, side, PROMPT[side])):
                own.execute(read_sql(__file__, "note"), {"side": side, "carried": [*PROMPT[side].values()]})
        own.execute(read_sql(__file__, "choose"))
        for row, problem in own.execute(read_sql(__file__, "prompt"), {"are_reserved": are_reserved}):
            raise FirewallError(_refusal(run, "datasets.prompt", row, problem))
        own.execute(read_sql(__file__, "note_id"))
        for emptied in ("written", "wanted"):
            own.execute(f"truncate temp.{emptied}")
        yield table
    for rule in ("twice", "divided"):
        for row, problem in own.execute(read_sql(__file__, rule)):
            raise FirewallError(_refusal(run, "datasets.prompt", row, problem))
    own.close()


def _answers(prompts: pa.Table) -> pa.Table:
    """Return a row for each answer of prompts, with what it carries of its prompt."""
    asked = prompts.take(pc.list_parent_indices(prompts["answers"])).drop_columns(["provenance", *ANSWERS])
    for lists, name in zip(ANSWERS, ("answer", "provenance"), strict=True):
        asked = asked.append_column(name, pc.list_flatten(prompts[lists]))
    return asked


def _read_identities(parts: Iterable[Path]) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part) as written:
            for group in range(written.num_row_groups):
                yield written.read_row_group(group, sorted(IDENTITY))


def _read_both(written: Written, rows: Rows) -> Generator[pa.Table]:
    """Yield each table of the files, once both hold the one that the writers were given. Raises AuditError."""
    try:
        with (
            read_ahead(_read_parquet(written)) as from_parquet,
            map_ahead(partial(_parse, schema=written.schema), _read_blocks(written.jsonl)) as parsed,
        ):
            for columnar, text, digest in zip_longest(from_parquet, _regroup(parsed, written), written.digests):
                if columnar is None or columnar != text or digest_of(columnar) != digest:
                    raise AuditError(_describe_difference(written, rows))
                yield text
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk failed, not the file
        raise AuditError(_describe_difference(written, rows)) from None


def _sides(dataset: Dataset) -> Mapping[str, Mapping[str, str]]:
    """Return what the columns of a row carry, for each record that it is made from."""
    return PAIR if dataset.grain == "pair" else {"record": dataset.carries}


def _refuse_forbidden(
    run: Run, dataset: Dataset, written: Iterable[pa.Table], sides: Mapping[str, Mapping[str, str]], parts: Sequence[Path]
) -> None:
    """Read the written rows of a dataset, and raise FirewallError for the first row, by id, that must not ship.

    A row must not ship if its category may never enter the dataset, if its attempt or content is rejected, or if it does not
    match the records that it names. The error names which of the ``parts`` has it.
    """
    own = rules_of(run)
    held = 0
    for rows in written:
        _require_known(rows, sides, _published_name(parts[0]))
        for side, carries in sides.items():
            with own.lent("written_rows", _select_records(rows, side, carries)):
                own.execute(read_sql(__file__, "note"), {"side": side, "carried": [*carries.values()]})
        held += rows.nbytes
        if held > JUDGED_BYTES:
            _judge(run, own, dataset, parts)
            held = 0
    _judge(run, own, dataset, parts)
    own.close()


def _judge(run: Run, own: Warehouse, dataset: Dataset, parts: Sequence[Path]) -> None:
    """Raise FirewallError for the first row of temp.written, by id, that must not ship; note the ids, and empty the table."""
    own.execute(read_sql(__file__, "choose"))
    law = {"preferences": PREFERENCES} if dataset.grain == "pair" else {"never": sorted(dataset.never)}
    for row, problem in own.execute(read_sql(__file__, dataset.grain), {"dataset": dataset.name, **law}):
        raise FirewallError(_refusal(run, _part_with(row, parts), row, problem))
    own.execute(read_sql(__file__, "note_id"))
    for table in ("written", "wanted"):
        own.execute(f"truncate temp.{table}")


def _part_with(row: str, parts: Sequence[Path]) -> str:
    """Return the published name of the JSONL file of the first part that has a row of this id."""
    found = (part for part in parts if row in pq.read_table(part, columns=["id"])["id"].to_pylist())
    return _published_name(next(found, parts[0]).with_suffix(".jsonl"))


def _refusal(run: Run, file: str, row: str, problem: str) -> str:
    return f"{file}: row {row} {problem}; the views in sql/6_datasets should have kept it out{_suspects(run)}."


def _suspects(run: Run) -> str:
    """Return where an overlay may be at fault, as the end of a sentence; nothing where there is none."""
    replaced = sorted({*run.sql.replaced.values()})
    return f", look at the overlay's {', '.join(replaced)}" if replaced else ""


def _require_known(rows: pa.Table, sides: Mapping[str, Mapping[str, str]], file: str) -> None:
    """Raise FirewallError where rows lack a column that is judged by itself, or the re-read does not know what one carries."""
    lacking = IDENTITY.difference(rows.column_names)
    if lacking:
        raise FirewallError(f"{file}: its rows have no column {min(lacking)}; the dataset's view must give it.")
    unknown = {*rows.column_names}.difference(IDENTITY, *sides.values())
    if unknown:
        raise FirewallError(
            f"{file}: nothing says what its column {min(unknown)} carries, so it cannot be compared; "
            "name it in etl/base/datasets.py, among what its dataset carries."
        )


def _select_records(rows: pa.Table, side: str, carries: Mapping[str, str]) -> pa.Table:
    """Return what rows carry of one of their records, by what it is; a column that they do not carry is null."""
    times = ("created_at", "pair_created_at")
    carried = {name: pa.nulls(rows.num_rows, _TIME if name in times else pa.string()) for name in CARRIED}
    carried |= {what: rows[column] for column, what in carries.items()}
    place = rows["provenance"] if side in PROMPT else pc.struct_field(rows["provenance"], side)
    return pa.table({"id": rows["id"], "provenance": place, "split": rows["split"], **carried})


def _describe_difference(written: Written, rows: Rows) -> str:
    """Return a sentence about the first row that differs from the relation, or about the file that cannot be read."""
    for file, read in ((written.parquet, _read_parquet), (written.jsonl, _read_jsonl)):
        name = _published_name(file)
        expected = (table.cast(written.schema) for table in rows() if len(table))
        try:
            row = _first_difference(expected, read(written))
        except (pa.ArrowException, OSError) as error:
            return f"{name}: it cannot be read back ({error})."
        if row:
            return f"{name}, row {row}: it differs from the relation that was written, or only one of them has it."
    return f"{_published_name(written.jsonl)}: its rows differ from those that the writers were given."


def _first_difference(ours: Iterable[pa.Table], theirs: Iterable[pa.Table]) -> int | None:
    """Return the number of the first row, from 1, in which two streams of tables differ; None where they are equal."""
    start = 1
    for both in zip_longest(ours, theirs):
        if both[0] != both[1]:
            pairs = zip_longest(*(table.to_pylist() if table is not None else [] for table in both))
            return next((row for row, (left, right) in enumerate(pairs, start) if left != right), start)
        start += len(both[0])
    return None


def _read_parquet(written: Written) -> Iterator[pa.Table]:
    with pq.ParquetFile(written.parquet) as parquet:
        if not parquet.schema_arrow.equals(written.schema):
            raise AuditError(f"{_published_name(written.parquet)}: its columns or types are not the dataset's.")
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group).combine_chunks()


def _read_jsonl(written: Written) -> Iterator[pa.Table]:
    return _regroup((_parse(lines, written.schema) for lines in _read_blocks(written.jsonl)), written)


def _read_blocks(file: Path) -> Iterator[bytes]:
    """Yield a file's bytes, some whole lines at a time."""
    with file.open("rb") as stream:
        while lines := stream.read(PARSED_BYTES):
            yield lines + stream.readline()


def _parse(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Parse lines with another library than the one that wrote them."""
    as_text = pa.schema([f.with_type(pa.string()) if pa.types.is_timestamp(f.type) else f for f in schema])
    parse = pa.json.ParseOptions(explicit_schema=as_text, unexpected_field_behavior="error")
    in_one = pa.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    return pa.json.read_json(pa.BufferReader(lines), read_options=in_one, parse_options=parse).cast(schema)


def _regroup(parsed: Iterable[pa.Table], written: Written) -> Iterator[pa.Table]:
    """Cut parsed tables into tables of the lengths that the writers were given."""
    return regrouped((batch for rows in parsed for batch in rows.to_batches()), written.lengths)


def _published_name(file: Path) -> str:
    """Return the path under which a file would be published: ``exports/…``."""
    paths = ("/".join(file.parts[-length:]) for length in range(2, len(file.parts)))
    return f"exports/{next(filter(is_exported, paths))}"

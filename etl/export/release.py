"""Writes the published datasets as files that a trainer takes, once the firewall's third layer has judged their rows again.

Rows are read from the published Parquet files twice: they are judged before the first line is written. Prompts of tasks are
read from the published warehouse, and judged as they are read; no file is in its place before all were.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.json import encode

from etl.base.datasets import DATASETS, Dataset
from etl.base.signals import stop_if_told
from etl.context import Run
from etl.export.files import Files
from etl.export.firewall.audit import audit_again, begin_audit_of_published, judge_prompts, judge_published, require_distinct
from etl.export.formats.format import PROMPT, QUARANTINE, Author, Format, LeftOut, Line, Origin, Row, Written
from etl.export.prompts import PROMPTS, stream_prompts
from etl.warehouse.statements import read_sql

#: How many rows become Python objects at once.
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Choice:
    """What is wanted: datasets, as the trainer's format calls them (none: all), and rows of them.

    Rows must meet ``where``, a condition in SQL over the columns of the dataset's view, and prompt and longest answer must have
    at most ``max_chars`` characters together. None: all rows.
    """

    datasets: tuple[str, ...] = ()
    where: str | None = None
    max_chars: int | None = None

    def unwanted(self, run: Run, published: str, reserved: bool) -> Mapping[str, str]:
        """Return which option leaves out each row that is not wanted, by its id. Raises UsageError."""
        relation, ships, characters = _rows_to_choose(published, reserved)
        conditions = {"max_chars": None if self.max_chars is None else f"{characters} <= {self.max_chars}", "where": self.where}
        rows = f"select * from {relation} where {ships}"
        found: dict[str, str] = {}
        for option, condition in conditions.items():
            if condition is not None:
                asked_by = f"--{option.replace('_', '-')} (for {published})"
                found |= dict.fromkeys(run.warehouse.not_meeting(rows, condition, "id", asked_by), option)
        return found


def _rows_to_choose(published: str, reserved: bool) -> tuple[str, str, str]:
    """Return the view that has published rows, the condition that they ship, and how many characters one has."""
    if published == PROMPT:
        return PROMPTS, "is_reserved" if reserved else "not is_reserved", "prompt_characters"
    dataset = next(each for each in DATASETS if each.name == published)
    answer = "answer_characters" if dataset.grain == "record" else "greatest(chosen_characters, rejected_characters)"
    return dataset.relation, dataset.ships, f"prompt_characters + {answer}"


@dataclass
class Release:
    """What came of rows, by the trainer's datasets; how many prompts were read, and the sha256 over their lines of JSON."""

    written: dict[str, Written]
    prompts: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def read(self, prompts: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Yield prompts that were read, and note them."""
        for table in prompts:
            for row in _rows(iter([table])):
                self.prompts += 1
                self.digest.update(encode(row) + b"\n")
            yield table


def write_release(run: Run, trainer: type[Format], choice: Choice, origin: Origin, folder: Path) -> Release:
    """Write the chosen files of a trainer into an empty folder, and return what came of the rows.

    Raises FirewallError for a published row that must not ship, UsageError where a line would be too large for the trainer, or
    the choice is not one of rows.
    """
    form = trainer()
    names = datasets_of(trainer, choice)
    read = dict.fromkeys(published for name in names for published in form.datasets[name])
    needed = [dataset for dataset in DATASETS if dataset.name in read]
    begin_audit_of_published(run)
    for dataset in needed:
        parts = parts_of(run, dataset.stem)
        tables = _tables(parts)
        judge_published(run, dataset, _seen(form, dataset, tables) if form.sees_all else tables, parts)
    if PROMPT in read:  # their groups must be on the sides that these have, also in datasets that are not asked for
        for dataset in (each for each in DATASETS if each not in needed):
            audit_again(run, parts_of(run, dataset.stem), dataset)
    require_distinct(run, [part for dataset in needed for part in parts_of(run, dataset.stem)])
    chosen = [name for name in read if not name.startswith(QUARANTINE)]
    unwanted = {name: choice.unwanted(run, name, form.is_for_evaluation) for name in chosen}
    if form.names_authors:
        origin = replace(origin, authors=_authors(run, needed, unwanted), reasons=_reasons(run))
    release = Release({name: Written() for name in names})
    with Files(folder, form) as files:
        for name, found in release.written.items():
            schema = form.schema(name, _schema(run, form.datasets[name]))
            for row, line in _all_lines(run, form, name, release, unwanted, origin):
                if isinstance(line, LeftOut):
                    found.left_out[line.reason] += 1
                else:
                    found.lines += 1
                    files.write(line, row, schema)
        pieces = files.close()
    for path, text in form.others(pieces, origin).items():
        (folder / path).write_text(text, encoding="utf-8")
    return release


def _all_lines(
    run: Run, form: Format, name: str, release: Release, unwanted: Mapping[str, Mapping[str, str]], origin: Origin
) -> Iterator[tuple[Row | None, Line | LeftOut]]:
    """Yield all that a format makes for a dataset of its trainer, with the row that it is from; count the rows."""
    for line in form.lines_about(name, origin):
        yield None, line
    for published in form.datasets[name]:
        if published == PROMPT:
            read = release.read(stream_prompts(run, form.is_for_evaluation))
            tables = judge_prompts(run, read, form.is_for_evaluation)
        else:
            tables = _tables(parts_of(run, stem_of(published)))
        for row in _rows(tables):
            release.written[name].rows += 1
            if option := unwanted.get(published, {}).get(row["id"]):
                release.written[name].left_out[option] += 1
                continue
            for made in form.lines(name, published, row):
                yield row, made


def datasets_of(trainer: type[Format], choice: Choice) -> list[str]:
    """Return the chosen datasets of a trainer, in its order."""
    return [name for name in trainer.datasets if not choice.datasets or name in choice.datasets]


def stem_of(published: str) -> str:
    """Return the stem of a published dataset, or of what one refused: ``quarantine/NAME``."""
    return next((dataset.stem for dataset in DATASETS if dataset.name == published), published)


def parts_of(run: Run, stem: str) -> list[Path]:
    """Return the published Parquet files with this stem, in the order of their parts."""
    whole = run.exports / f"{stem}.parquet"
    return [whole] if whole.is_file() else sorted((run.exports / stem).glob("part-*.parquet"))


def _schema(run: Run, published: Sequence[str]) -> pa.Schema | None:
    """Return the columns of published rows."""
    return next((pq.read_schema(part) for name in published for part in parts_of(run, stem_of(name))), None)


def _authors(run: Run, needed: Sequence[Dataset], unwanted: Mapping[str, Mapping[str, str]]) -> tuple[Author, ...]:
    """Return who wrote the answers of the rows that are wanted."""
    left_out = pa.table({"id": pa.array([row for rows in unwanted.values() for row in rows], pa.string())})
    with run.warehouse.lent("left_out", left_out):
        found = run.warehouse.execute(read_sql(__file__, "authors"), {"datasets": [dataset.name for dataset in needed]})
    return tuple(Author(*row) for row in found)


def _reasons(run: Run) -> dict[str, str]:
    return dict(run.warehouse.execute("select name, meaning from policy.reason order by precedence"))


def _tables(parts: Sequence[Path]) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part) as published:
            for group in range(published.num_row_groups):
                stop_if_told()
                yield published.read_row_group(group)


def _seen(form: Format, dataset: Dataset, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables, of which the format has seen the rows."""
    for table in tables:
        for row in _rows(iter([table])):
            form.see(dataset.name, row)
        yield table


def _rows(tables: Iterator[pa.Table]) -> Iterator[Row]:
    for table in tables:
        for batch in table.to_batches(ROWS_AT_ONCE):
            yield from batch.to_pylist()

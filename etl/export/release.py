"""Writes the published datasets as files that a trainer takes, once the firewall's third layer has judged their rows again.

Rows are read from the published Parquet files twice: they are judged before the first line is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.json import encode

from etl.base.datasets import DATASETS, Dataset
from etl.base.errors import UsageError
from etl.base.signals import stop_if_told
from etl.context import Run
from etl.export.firewall.audit import begin_audit_of_published, judge_published, require_distinct
from etl.export.formats.rows import Format, LeftOut, Line, Row

#: How many rows become Python objects at once.
ROWS_AT_ONCE = 512


@dataclass
class Written:
    """What came of rows for a dataset of a trainer: how many were read, how many lines written, and what was left out."""

    rows: int = 0
    lines: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Choice:
    """What is wanted: datasets, as the trainer's format calls them (none: all), and rows of them.

    Rows must meet ``where``, a condition in SQL over the columns of the dataset's view, and prompt and longest answer must have
    at most ``max_chars`` characters together. None: all rows.
    """

    datasets: tuple[str, ...] = ()
    where: str | None = None
    max_chars: int | None = None

    def unwanted(self, run: Run, dataset: Dataset) -> Mapping[str, str]:
        """Return which option leaves out each published row that is not wanted, by its id. Raises UsageError."""
        answer = "answer_characters" if dataset.grain == "record" else "greatest(chosen_characters, rejected_characters)"
        conditions = {
            "max_chars": None if self.max_chars is None else f"prompt_characters + {answer} <= {self.max_chars}",
            "where": self.where,
        }
        published = f"select * from {dataset.relation} where {dataset.ships}"
        found: dict[str, str] = {}
        for option, condition in conditions.items():
            if condition is not None:
                found |= dict.fromkeys(
                    run.warehouse.not_meeting(published, condition, "id", f"--{option} (for {dataset.name})"), option
                )
        return found


def write_release(run: Run, trainer: type[Format], choice: Choice, folder: Path) -> Mapping[str, Written]:
    """Write the chosen files of a trainer into an empty folder, and return what came of the rows, by the trainer's datasets.

    For each file of lines, the file of the same name below ids/ has the id and the provenance of each line. Raises
    FirewallError for a published row that must not ship, UsageError where a file would be too large for the trainer, or the
    choice is not one of rows.
    """
    form = trainer()
    names = [name for name in form.datasets if not choice.datasets or name in choice.datasets]
    needed = [dataset for dataset in DATASETS if any(dataset.name in form.datasets[name] for name in names)]
    begin_audit_of_published(run)
    for dataset in needed:
        judge_published(run, dataset, _noted(form, dataset, _tables(parts_of(run, dataset))), parts_of(run, dataset))
    require_distinct(run, [part for dataset in needed for part in parts_of(run, dataset)])
    unwanted = {dataset.name: choice.unwanted(run, dataset) for dataset in needed}
    written: dict[str, Written] = {name: Written() for name in names}
    with Files(folder, form.most_bytes) as files:
        for name, found in written.items():
            for published in form.datasets[name]:
                dataset = next(each for each in needed if each.name == published)
                for row in _rows(_tables(parts_of(run, dataset))):
                    found.rows += 1
                    if option := unwanted[published].get(row["id"]):
                        found.left_out[option] += 1
                        continue
                    for line in form.lines(name, published, row):
                        if isinstance(line, LeftOut):
                            found.left_out[line.reason] += 1
                        else:
                            found.lines += 1
                            files.write(line, row)
        lines = files.close()
    for path, text in form.others(lines).items():
        (folder / path).write_text(text, encoding="utf-8")
    return written


def parts_of(run: Run, dataset: Dataset) -> list[Path]:
    """Return the published Parquet files of a dataset, in the order of their parts."""
    whole = run.exports / f"{dataset.stem}.parquet"
    return [whole] if whole.is_file() else sorted((run.exports / dataset.stem).glob("part-*.parquet"))


def _tables(parts: Sequence[Path]) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part) as published:
            for group in range(published.num_row_groups):
                stop_if_told()
                yield published.read_row_group(group)


def _noted(form: Format, dataset: Dataset, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables, of which the format has seen the rows."""
    for table in tables:
        for row in _rows(iter([table])):
            form.note(dataset.name, row)
        yield table


def _rows(tables: Iterator[pa.Table]) -> Iterator[Row]:
    for table in tables:
        for batch in table.to_batches(ROWS_AT_ONCE):
            yield from batch.to_pylist()


class Files:
    """The files of a release. In each, lines with calls of tools come before those without.

    A reader of JSON Lines takes the types of the first ten megabytes for those of the whole file, and fails where a key comes
    later.
    """

    def __init__(self, folder: Path, most_bytes: int | None) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._open: dict[Path, BinaryIO] = {}
        self._lines: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, line: Line, row: Row) -> None:
        """Add a line to its file, and its row to the file below ids/. Raises UsageError where the file gets too large."""
        content = encode(line.content) + b"\n"
        self._lines[line.file] += 1
        self._bytes[line.file] += len(content)
        if self._most_bytes is not None and self._bytes[line.file] > self._most_bytes:
            raise UsageError(
                f"{line.file} would have more than {self._most_bytes // 1_000_000} MB, which this trainer does not take; "
                "export one dataset at a time, or fewer rows."
            )
        part = ".calls" if line.calls else ".texts"
        self._file(f"{line.file}{part}").write(content)
        origin = {"id": row["id"], "provenance": row["provenance"]}
        self._file(f"{ids_of(line.file)}{part}").write(encode(origin) + b"\n")

    def close(self) -> dict[str, int]:
        """Put the parts of each file together, and return how many lines each file has."""
        self._stack.close()
        for file in self._lines:
            for path in (file, ids_of(file)):
                with (self._folder / path).open("wb") as whole:
                    for part in (self._folder / f"{path}.calls", self._folder / f"{path}.texts"):
                        if part.is_file():
                            with part.open("rb") as lines:
                                while chunk := lines.read(1 << 20):
                                    whole.write(chunk)
                            part.unlink()
        return dict(self._lines)

    def _file(self, path: str) -> BinaryIO:
        place = self._folder / path
        if place not in self._open:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._open[place] = self._stack.enter_context(place.open("wb"))
        return self._open[place]


def ids_of(file: str) -> str:
    """Return the path of the file that says of which row each line of a file is."""
    return f"ids/{file}"

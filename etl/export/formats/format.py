"""What a format is: it makes lines of rows, and says what else its trainer needs."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

#: A row of a published dataset, by its columns; a message or a tool, as JSON objects are in Python.
Row = Mapping[str, Any]
Object = dict[str, Any]

#: What a format reads beside the published datasets: the prompts of tasks, and what a dataset refused.
PROMPT = "prompt"
QUARANTINE = "quarantine/"


class Line(NamedTuple):
    """A line of a file, or a row of a Parquet file.

    ``file`` is its path below the folder, ``calls`` whether a message of it calls a tool.
    """

    file: str
    content: Object
    calls: bool = False


class LeftOut(NamedTuple):
    """A row of which nothing is written to ``file``, and why."""

    file: str
    reason: str


class Piece(NamedTuple):
    """A file as it was written: the whole of ``file``, or a piece of it where that is too large."""

    file: str
    path: str
    lines: int
    bytes: int
    sha256: str


class Author(NamedTuple):
    """How many answers of a dataset a model wrote, according to a source. ``model`` is None where the source names none."""

    dataset: str
    source: str
    model: str | None
    answers: int


@dataclass
class Written:
    """What came of rows for a dataset of a trainer: how many were read, how many lines written, and what was left out."""

    rows: int = 0
    lines: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Origin:
    """Where the published datasets are from.

    ``documents`` are the texts of the run's summary and its receipts, by the names of their files, the summary first. ``where``
    and ``max_chars`` are the options that chose rows. ``reasons`` is what each reason means.
    """

    documents: Mapping[str, str]
    where: str | None = None
    max_chars: int | None = None
    authors: tuple[Author, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


class Format(ABC):
    """What a trainer takes. One is made for each release, because it may note what rows it has seen.

    ``datasets`` are those that it has files for, each with the published datasets whose rows it needs: ``prompt`` are the
    prompts of tasks, ``quarantine/NAME`` is what a dataset refused. Where ``is_for_evaluation``, prompts are those that are
    held out. A file has at most ``most_bytes``, None: any number; what is larger is cut in pieces. Where it has ``ids``, a
    file below ids/ has the id and the provenance of each line. ``sees_all`` is whether it must see all rows before it gives a
    line, ``names_authors`` whether its card names the models.
    """

    datasets: ClassVar[Mapping[str, tuple[str, ...]]]
    most_bytes: ClassVar[int | None] = None
    numbers_all_pieces: ClassVar[bool] = False
    ids: ClassVar[bool] = True
    sees_all: ClassVar[bool] = False
    names_authors: ClassVar[bool] = False
    is_for_evaluation: ClassVar[bool] = False

    def see(self, published: str, row: Row) -> None:  # noqa: B027 - most need not
        """See a row of a published dataset, before the first line is asked for."""

    def schema(self, dataset: str, published: pa.Schema | None) -> pa.Schema | None:  # noqa: ARG002 - most are lines of JSON
        """Return the columns of the Parquet files of a dataset of this trainer, None where they are lines of JSON.

        ``published`` are the columns of the published rows, None where it is made of none.
        """
        return None

    @abstractmethod
    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:
        """Yield what a row of a published dataset gives for a dataset of this trainer."""

    def lines_about(self, dataset: str, origin: Origin) -> Iterator[Line]:  # noqa: ARG002 - most have none
        """Yield lines for a dataset of this trainer that are made of no rows."""
        yield from ()

    def piece(self, file: str, number: int, count: int) -> str:
        """Return the path of a piece of a file, numbered from 0; of a whole file that of the file, unless all are numbered."""
        if count == 1 and not self.numbers_all_pieces:
            return file
        path = PurePosixPath(file)
        return str(path.with_name(f"{path.stem}-{number:05}-of-{count:05}{path.suffix}"))

    def others(self, pieces: list[Piece], origin: Origin) -> Mapping[str, str]:  # noqa: ARG002 - most have none
        """Return the texts of further files, by their paths."""
        return {}

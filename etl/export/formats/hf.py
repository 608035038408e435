"""A folder for datasets.load_dataset and the Hugging Face hub: shards by split, a dataset card, and croissant.json.

Conversations and tools are JSON text, which each version of ``datasets`` reads. Provenance is flat, because vector
stores take only numbers and text.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, ClassVar

import pyarrow as pa

from etl.export.formats.cards.about import about
from etl.export.formats.cards.croissant import croissant
from etl.export.formats.cards.facts import Facts
from etl.export.formats.cards.front_matter import configs_of, front_matter
from etl.export.formats.format import Format, LeftOut, Line, Origin, Piece, Row

#: The columns of the documents of a run.
RECEIPTS = pa.schema([("name", pa.string()), ("sha256", pa.string()), ("json", pa.string())])


class Hf(Format):
    """A configuration for each dataset, for what each refused, and for the receipts of the run."""

    datasets: ClassVar = {
        **{name: (name,) for name in ("sft", "preference", "rag")},
        **{f"quarantine_{name}": (f"quarantine/{name}",) for name in ("sft", "preference", "rag")},
        "receipts": (),
    }
    most_bytes: ClassVar = 500 * 1000 * 1000
    numbers_all_pieces: ClassVar = True
    ids: ClassVar = False
    names_authors: ClassVar = True

    def __init__(self) -> None:
        self._schemas: dict[str, pa.Schema] = {}

    def schema(self, dataset: str, published: pa.Schema | None) -> pa.Schema:
        """Return the published columns with provenance flat, and without the split, which the names of files tell."""
        fields = [field for column in published or RECEIPTS for field in _flat(column.name, column.type)]
        self._schemas[dataset] = pa.schema([field for field in fields if field.name != "split"])
        return self._schemas[dataset]

    def lines(self, dataset: str, published: str, row: Row) -> Iterator[Line | LeftOut]:
        """Yield a row for each row."""
        file = f"data/{dataset}/{row['split']}.parquet" if dataset == published else f"{published}/refused.parquet"
        yield Line(file, dict(pair for name, value in row.items() for pair in _flat_values(name, value)))

    def lines_about(self, dataset: str, origin: Origin) -> Iterator[Line]:
        """Yield the receipts of the run, as rows."""
        if dataset == "receipts":
            for name, text in origin.documents.items():
                yield Line("receipts/run.parquet", {"name": name, "sha256": sha256(text.encode()).hexdigest(), "json": text})

    def others(self, pieces: list[Piece], origin: Origin) -> Mapping[str, str]:
        """Return the dataset card, and the description of the files for Croissant; nothing where there are no rows."""
        configs = configs_of(pieces)
        if not configs:
            return {}
        facts = Facts.of(origin)
        return {
            "README.md": front_matter(configs, self._schemas, facts.license) + about(configs, pieces, facts),
            "croissant.json": croissant(configs, self._schemas, pieces, facts),
        }


def _flat(name: str, kind: pa.DataType) -> Iterator[pa.Field]:
    """Yield a column, or those of a struct: of provenance under their own names, of a side of it with the side before them."""
    if not pa.types.is_struct(kind):
        yield pa.field(name, kind)
        return
    for field in kind:
        yield from _flat(_name_of(name, field.name), field.type)


def _flat_values(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values of a column likewise."""
    if not isinstance(value, dict):
        if name != "split":
            yield name, value
        return
    for key, inner in value.items():
        yield from _flat_values(_name_of(name, key), inner)


def _name_of(struct: str, field: str) -> str:
    return field if struct == "provenance" else f"{struct}_{field}"

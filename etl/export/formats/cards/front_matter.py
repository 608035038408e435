"""The front matter of a dataset card: configurations and their columns, by which ``datasets.load_dataset`` reads a folder."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import pyarrow as pa

from etl.export.formats.format import Piece
from etl.export.formats.rows import as_text

#: By configuration, and in it by split: the paths of its files.
Configs = Mapping[str, Mapping[str, list[str]]]

#: The order of the sides of a split.
SPLITS = ("train", "validation", "test")


def configs_of(pieces: Iterable[Piece]) -> Configs:
    """Return the configurations of files, of those that have rows: data/NAME/SPLIT.* is of NAME, A/B/SPLIT.* is of A_B."""
    found: dict[str, dict[str, list[str]]] = {}
    for piece in pieces:
        file = PurePosixPath(piece.file)
        name = "_".join(part for part in file.parent.parts if part != "data")
        found.setdefault(name, {}).setdefault(file.stem, []).append(piece.path)
    return {name: dict(sorted(splits.items(), key=lambda split: _place(split[0]))) for name, splits in found.items()}


def front_matter(configs: Configs, schemas: Mapping[str, pa.Schema], license_name: str | None = None) -> str:
    """Return the front matter of a card; the first configuration is the default one. ``schemas`` has the columns of each."""
    card = ["---", *([f"license: {as_text(license_name)}"] if license_name else []), "configs:"]
    for number, (name, splits) in enumerate(configs.items()):
        card += [f"- config_name: {name}", *(["  default: true"] if number == 0 else []), "  data_files:"]
        card += [f"  - {{split: {split}, path: {_paths(paths)}}}" for split, paths in splits.items()]
    card.append("dataset_info:")
    for name in configs:
        columns = (f"  - {{name: {column.name}, {_feature(column.type)}}}" for column in schemas[name])
        card += [f"- config_name: {name}", "  features:", *columns]
    return "\n".join([*card, "---", ""])


def _feature(kind: pa.DataType) -> str:
    """Return what a card says of a type."""
    return f"list: {_dtype(kind.value_type)}" if isinstance(kind, pa.ListType) else f"dtype: {_dtype(kind)}"


def _dtype(kind: pa.DataType) -> str:
    if isinstance(kind, pa.JsonType):
        return "json"
    return '"timestamp[us, tz=UTC]"' if pa.types.is_timestamp(kind) else str(kind)


def _paths(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"[{', '.join(paths)}]"


def _place(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS)), split

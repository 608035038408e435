"""What the contracts share: types, patterns and the strict configuration."""

from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

#: 64 lower-case hexadecimal digits: a sha256.
SHA256 = r"^[0-9a-f]{64}$"

_PROVENANCE = {"source_path": pl.String, "item_number": pl.Int64, "record_number": pl.Int64, "item_sha256": pl.String}

#: Where a record came from: the path relative to the evidence folder, the item and the record in it, both from 1, and the hash
#: of the item's bytes.
Provenance = Annotated[pl.Struct, _PROVENANCE]

#: Where both sides of a pair came from.
PairProvenance = Annotated[pl.Struct, {"chosen": pl.Struct(_PROVENANCE), "rejected": pl.Struct(_PROVENANCE)}]

#: A time in UTC, to the microsecond.
Time = Annotated[pl.Datetime, "us", "UTC"]

#: The sides of a split.
SPLITS = ["train", "validation", "test"]

#: Several texts.
Texts = Annotated[pl.List, pl.String]


class Contract(pa.DataFrameModel):
    """A frame with exactly the columns it names, in that order, of those types."""

    class Config:
        """Nothing more, nothing less, nothing coerced."""

        strict = True
        ordered = True
        coerce = False


def not_blank(data: PolarsData) -> pl.LazyFrame:
    """Tell for each text whether something of it can be seen: whether it is not blank, as ``policy.is_blank`` says."""
    return data.lazyframe.select(is_visible(data.key))


def is_visible(column: str) -> pl.Expr:
    """Return the condition for a column of texts to be not blank."""
    return pl.col(column).str.contains(r"[^\p{Z}\p{Cc}\p{Cf}\p{Co}]")

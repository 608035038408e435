"""The contract of the rag dataset."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from etl.checks.common import SHA256, SPLITS, Contract, Provenance, Time, not_blank


class Rag(Contract):
    """A row is one record worth retrieving. ``rejected`` can never be its category."""

    id: pl.String = pa.Field(str_matches=SHA256)
    source_run_id: pl.String
    task_id: pl.String
    source: pl.String
    source_category: pl.String = pa.Field(isin=["accepted", "partially_accepted", "needs_human_review"])
    title: pl.String = pa.Field(nullable=True, str_length={"max_value": 120})
    content: pl.String
    model: pl.String = pa.Field(nullable=True)
    created_at: Time = pa.Field(nullable=True)
    split: pl.String = pa.Field(isin=SPLITS)
    provenance: Provenance

    @pa.check("source_run_id", "task_id", "content")
    @classmethod
    def has_text(cls, data: PolarsData) -> pl.LazyFrame:
        """Require more than white space."""
        return not_blank(data)

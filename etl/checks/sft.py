"""The contract of the sft dataset."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from etl.checks.common import SHA256, Contract, Provenance, Time, not_blank


class Sft(Contract):
    """A row is one instruction and the response to learn. ``rejected`` and ``needs_human_review`` can never be its score."""

    id: pl.String = pa.Field(str_matches=SHA256)
    source_run_id: pl.String
    task_id: pl.String
    source: pl.String
    quality_score: pl.String = pa.Field(isin=["accepted", "partially_accepted"])
    instruction: pl.String
    response: pl.String
    model: pl.String = pa.Field(nullable=True)
    created_at: Time = pa.Field(nullable=True)
    provenance: Provenance

    @pa.check("source_run_id", "task_id", "instruction", "response")
    @classmethod
    def has_text(cls, data: PolarsData) -> pl.LazyFrame:
        """Require more than white space."""
        return not_blank(data)

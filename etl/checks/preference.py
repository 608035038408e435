"""The contract of the preference dataset."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from etl.checks.common import SHA256, Contract, PairProvenance, Time, not_blank


class Preference(Contract):
    """A row is one prompt with a better and a worse response, of two runs and two texts."""

    id: pl.String = pa.Field(str_matches=SHA256)
    task_id: pl.String
    prompt: pl.String
    chosen: pl.String
    rejected: pl.String
    chosen_run_id: pl.String
    rejected_run_id: pl.String
    chosen_category: pl.String = pa.Field(isin=["accepted"])
    rejected_category: pl.String = pa.Field(isin=["rejected", "partially_accepted"])
    reason: pl.String = pa.Field(isin=["accepted_over_rejected", "accepted_over_partially_accepted"])
    created_at: Time = pa.Field(nullable=True)
    provenance: PairProvenance

    @pa.check("task_id", "prompt", "chosen", "rejected", "chosen_run_id", "rejected_run_id")
    @classmethod
    def has_text(cls, data: PolarsData) -> pl.LazyFrame:
        """Require more than white space."""
        return not_blank(data)

    @pa.dataframe_check
    @classmethod
    def has_two_texts(cls, data: PolarsData) -> pl.LazyFrame:
        """Refuse a text that is better than itself."""
        return data.lazyframe.select(pl.col("chosen") != pl.col("rejected"))

    @pa.dataframe_check
    @classmethod
    def has_two_runs(cls, data: PolarsData) -> pl.LazyFrame:
        """Refuse a run that is compared with itself."""
        return data.lazyframe.select(pl.col("chosen_run_id") != pl.col("rejected_run_id"))

    @pa.dataframe_check
    @classmethod
    def names_its_gap(cls, data: PolarsData) -> pl.LazyFrame:
        """Require the reason to name the two categories of the pair."""
        named = pl.format("{}_over_{}", pl.col("chosen_category"), pl.col("rejected_category"))
        return data.lazyframe.select(pl.col("reason") == named)

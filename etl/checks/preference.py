"""The contract of the preference dataset."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from etl.checks.common import SHA256, SPLITS, Contract, PairProvenance, Time, is_visible, not_blank
from etl.checks.conversation import are_answers, are_messages, are_tools


class Preference(Contract):
    """A row is one prompt with a better and a worse response, of two runs and two texts."""

    id: pl.String = pa.Field(str_matches=SHA256)
    task_id: pl.String
    prompt: pl.String
    chosen: pl.String = pa.Field(nullable=True)
    rejected: pl.String = pa.Field(nullable=True)
    prompt_messages: pl.String = pa.Field(nullable=True)
    chosen_messages: pl.String = pa.Field(nullable=True)
    rejected_messages: pl.String = pa.Field(nullable=True)
    tools: pl.String = pa.Field(nullable=True)
    chosen_run_id: pl.String
    rejected_run_id: pl.String
    chosen_category: pl.String = pa.Field(isin=["accepted"])
    rejected_category: pl.String = pa.Field(isin=["rejected", "partially_accepted"])
    reason: pl.String = pa.Field(isin=["accepted_over_rejected", "accepted_over_partially_accepted"])
    created_at: Time = pa.Field(nullable=True)
    split: pl.String = pa.Field(isin=SPLITS)
    provenance: PairProvenance

    @pa.check("task_id", "prompt", "chosen_run_id", "rejected_run_id")
    @classmethod
    def has_text(cls, data: PolarsData) -> pl.LazyFrame:
        """Require more than white space."""
        return not_blank(data)

    @pa.check("prompt_messages")
    @classmethod
    def is_conversation(cls, data: PolarsData) -> pl.LazyFrame:
        """Require messages in normal form."""
        return are_messages(data)

    @pa.check("chosen_messages", "rejected_messages")
    @classmethod
    def ends_with_assistant(cls, data: PolarsData) -> pl.LazyFrame:
        """Require messages in normal form, of which the last is the assistant's."""
        return are_answers(data)

    @pa.check("tools")
    @classmethod
    def defines_tools(cls, data: PolarsData) -> pl.LazyFrame:
        """Require definitions in normal form."""
        return are_tools(data)

    @pa.dataframe_check
    @classmethod
    def has_all_messages(cls, data: PolarsData) -> pl.LazyFrame:
        """Require messages of prompt and both answers, or of none; tools belong to them."""
        has = [pl.col(f"{part}_messages").is_not_null() for part in ("prompt", "chosen", "rejected")]
        is_one = (has[0] == has[1]) & (has[0] == has[2])
        return data.lazyframe.select(is_one & (has[0] | pl.col("tools").is_null()))

    @pa.dataframe_check
    @classmethod
    def has_two_answers(cls, data: PolarsData) -> pl.LazyFrame:
        """Require two visible texts that differ, or two conversations that do, in which answers may be calls alone."""
        texts = is_visible("chosen") & is_visible("rejected") & (pl.col("chosen") != pl.col("rejected"))
        messages = pl.col("chosen_messages") != pl.col("rejected_messages")
        return data.lazyframe.select(
            pl.when(pl.col("chosen_messages").is_null()).then(texts).otherwise(messages).fill_null(False)
        )

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

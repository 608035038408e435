"""The contract of the sft dataset."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from etl.checks.common import SHA256, SPLITS, Contract, Provenance, Time, is_visible, not_blank
from etl.checks.conversation import are_answers, are_tools


class Sft(Contract):
    """A row is one instruction and the response to learn. ``rejected`` and ``needs_human_review`` can never be its score."""

    id: pl.String = pa.Field(str_matches=SHA256)
    source_run_id: pl.String
    task_id: pl.String
    source: pl.String
    quality_score: pl.String = pa.Field(isin=["accepted", "partially_accepted"])
    instruction: pl.String
    response: pl.String = pa.Field(nullable=True)
    messages: pl.String = pa.Field(nullable=True)
    tools: pl.String = pa.Field(nullable=True)
    model: pl.String = pa.Field(nullable=True)
    created_at: Time = pa.Field(nullable=True)
    split: pl.String = pa.Field(isin=SPLITS)
    provenance: Provenance

    @pa.check("source_run_id", "task_id", "instruction")
    @classmethod
    def has_text(cls, data: PolarsData) -> pl.LazyFrame:
        """Require more than white space."""
        return not_blank(data)

    @pa.check("messages")
    @classmethod
    def is_conversation(cls, data: PolarsData) -> pl.LazyFrame:
        """Require messages in normal form, of which the last is the assistant's."""
        return are_answers(data)

    @pa.check("tools")
    @classmethod
    def defines_tools(cls, data: PolarsData) -> pl.LazyFrame:
        """Require definitions in normal form."""
        return are_tools(data)

    @pa.dataframe_check
    @classmethod
    def has_answer(cls, data: PolarsData) -> pl.LazyFrame:
        """Require a visible response, or a conversation, in which the answer may be calls alone."""
        return data.lazyframe.select(is_visible("response").fill_null(False) | pl.col("messages").is_not_null())

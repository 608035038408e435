"""The contracts of the quarantine files. No column of them can hold trainable text."""

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

from etl.checks.common import SHA256, Contract, PairProvenance, Provenance, Texts

CATEGORIES = ["accepted", "partially_accepted", "rejected", "needs_human_review"]

#: How a reason is spelled; policy.reason lists them, with their order and meaning.
REASON = r"^[a-z][a-z0-9_]*$"


class Quarantine(Contract):
    """What all quarantines share: a row is refused for its first reason, and lists all."""

    @pa.dataframe_check
    @classmethod
    def first_reason_leads(cls, data: PolarsData) -> pl.LazyFrame:
        """Require the reason that decided to be the first of all reasons."""
        return data.lazyframe.select(pl.col("quarantine_reasons").list.first() == pl.col("quarantine_reason"))


class RecordQuarantine(Quarantine):
    """A row is one record that a dataset refused."""

    id: pl.String = pa.Field(str_matches=SHA256)
    source_run_id: pl.String = pa.Field(nullable=True)
    task_id: pl.String
    category: pl.String = pa.Field(isin=CATEGORIES)
    quarantine_reason: pl.String = pa.Field(str_matches=REASON)
    quarantine_reasons: Texts
    detail: pl.String = pa.Field(nullable=True)
    provenance: Provenance


class PairQuarantine(Quarantine):
    """A row is one pair that a dataset refused."""

    id: pl.String = pa.Field(str_matches=SHA256)
    chosen_run_id: pl.String
    rejected_run_id: pl.String
    task_id: pl.String
    chosen_category: pl.String = pa.Field(isin=CATEGORIES)
    rejected_category: pl.String = pa.Field(isin=CATEGORIES)
    quarantine_reason: pl.String = pa.Field(str_matches=REASON)
    quarantine_reasons: Texts
    detail: pl.String = pa.Field(nullable=True)
    provenance: PairProvenance

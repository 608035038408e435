"""The contracts of what is exported: one pandera schema per frame, the last word on every batch before it is written.

SQL owns a dataset's shape, these schemas own its contract: the columns stand in both, and a test holds them equal. So do
the categories that may never ship: that is the second layer of the firewall.
"""

import pandera.polars as pa
import polars as pl

from etl.base.datasets import Dataset
from etl.checks import preference, quarantine, rag, sft

# a contract asks dozens of small questions of a batch, for each of which the streaming engine would start its machinery
pl.Config.set_engine_affinity("in-memory")

#: The contract of each dataset's rows, by its name.
CONTRACTS: dict[str, type[pa.DataFrameModel]] = {
    "rag": rag.Rag,
    "sft": sft.Sft,
    "preference": preference.Preference,
}  # fmt: skip


def contract_of(dataset: Dataset) -> type[pa.DataFrameModel]:
    """Return the contract of the rows that a dataset ships."""
    return CONTRACTS[dataset.name]


def quarantine_of(dataset: Dataset) -> type[pa.DataFrameModel]:
    """Return the contract of the rows that a dataset refuses."""
    return quarantine.RecordQuarantine if dataset.grain == "record" else quarantine.PairQuarantine


def columns_of(contract: type[pa.DataFrameModel]) -> list[str]:
    """Return the columns of a contract, in order."""
    return list(contract.to_schema().columns)

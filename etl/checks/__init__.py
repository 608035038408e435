"""The contracts of what is exported: one pandera schema per frame, the last word on every batch before it is written.

SQL owns a dataset's shape, these schemas own its contract: the columns stand in both, and a test holds them equal. So do
the categories that may never ship: that is the second layer of the firewall.
"""

from dataclasses import dataclass

import pandera.polars as pa

from etl.checks import preference, quarantine, rag, sft


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: the view of its candidate rows, the stem of its files under exports/, and its two contracts."""

    name: str
    relation: str
    stem: str
    contract: type[pa.DataFrameModel]
    quarantine: type[pa.DataFrameModel]

    @property
    def quarantine_stem(self) -> str:
        """The stem of the files that hold its refused rows."""
        return f"quarantine/{self.name}"


DATASETS = (
    Dataset("rag", "datasets.rag", "rag/playbooks", rag.Rag, quarantine.RagQuarantine),
    Dataset("sft", "datasets.sft", "sft/instruction_response", sft.Sft, quarantine.SftQuarantine),
    Dataset(
        "preference",
        "datasets.preference",
        "preference/chosen_rejected",
        preference.Preference,
        quarantine.PreferenceQuarantine,
    ),
)


def columns_of(contract: type[pa.DataFrameModel]) -> list[str]:
    """Return the columns of a contract, in order."""
    return list(contract.to_schema().columns)

"""The contracts of what is exported: one pandera schema per frame, the last word on every batch before it is written.

SQL owns a dataset's shape, these schemas own its contract: the columns stand in both, and a test holds them equal. So do
the categories that may never ship: that is the second layer of the firewall.
"""

from dataclasses import dataclass

import pandera.polars as pa

from etl.checks import preference, quarantine, rag, sft


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: its name, the stem of its files under exports/, and its two contracts.

    ``ships`` is what SQL says of a row that ships.
    """

    name: str
    stem: str
    contract: type[pa.DataFrameModel]
    quarantine: type[pa.DataFrameModel]

    ships: str = "quarantine_reason is null"

    @property
    def relation(self) -> str:
        """The view of its candidate rows."""
        return f"datasets.{self.name}"

    @property
    def fates(self) -> str:
        """The view of what becomes of its candidate rows; it holds no text."""
        return f"datasets.fate_{self.name}"

    @property
    def quarantine_stem(self) -> str:
        """The stem of the files that hold its refused rows."""
        return f"quarantine/{self.name}"


DATASETS = (
    Dataset("rag", "rag/playbooks", rag.Rag, quarantine.RagQuarantine),
    Dataset("sft", "sft/instruction_response", sft.Sft, quarantine.SftQuarantine),
    Dataset(
        "preference",
        "preference/chosen_rejected",
        preference.Preference,
        quarantine.PreferenceQuarantine,
        ships="quarantine_reason is null and skip_reason is null",
    ),
)


def columns_of(contract: type[pa.DataFrameModel]) -> list[str]:
    """Return the columns of a contract, in order."""
    return list(contract.to_schema().columns)

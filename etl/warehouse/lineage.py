"""Which settings can change what a stage makes, and whether what it reads is provably unchanged.

Nothing of this is a list to keep up to date: policy.dependency has what each view reads, as the engine parses it. A setting of
which nothing is known changes every stage; a relation of which nothing is known is never known to be unchanged.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from etl.base.settings import NOT_READ_BY_STAGES, OF_SOURCES, Settings
from etl.warehouse.connection import Warehouse

#: The view whose rows name settings for each dataset.
ADMISSION = "policy.admission"

#: The table of the settings of sources. Who reads it is concerned by all of them.
SOURCE_SETTING = "policy.source_setting"

#: Stands for a relation of which nothing is known: no view defines it, or its rows may differ each time.
UNKNOWN = "unknown"

#: Tables that follow from the evidence and the settings alone. Any other table may change from run to run.
PROVABLE = frozenset(
    {
        *("evidence.stored_record", "evidence.long_text", "evidence.skipped", "evidence.file", "raw.item", "raw.mapped"),
        *(
            "policy.setting",
            SOURCE_SETTING,
            "policy.known_path",
            "policy.holdout",
            "policy.dependency",
            "policy.warehouse_format",
        ),
    }
)

#: A message names who reads these, and not them, because their own names say little.
NAMELESS = frozenset({"raw.document", UNKNOWN})


@dataclass(frozen=True, slots=True)
class Lineage:
    """What every relation reads, and which settings it names; ``switches`` are those that a dataset's admission names."""

    reads: Mapping[str, frozenset[str]]
    settings: Mapping[str, frozenset[str]]
    switches: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, warehouse: Warehouse) -> "Lineage":
        """Read the lineage of a warehouse's views."""
        rows = warehouse.execute("select relation, list(reads), list(setting) from policy.dependency group by relation")
        switches = warehouse.execute(f"select dataset, list(setting) from {ADMISSION} group by dataset")
        return cls(
            reads={relation: frozenset(reads) - {None} for relation, reads, _ in rows},
            settings={relation: frozenset(settings) - {None} for relation, _, settings in rows},
            switches={dataset: frozenset(settings) - {None} for dataset, settings in switches},
        )

    def above(self, relations: Iterable[str]) -> frozenset[str]:
        """Return the relations and all that they read, directly or by others."""
        found: set[str] = set()
        waiting = list(relations)
        while waiting:
            relation = waiting.pop()
            if relation not in found:
                found.add(relation)
                waiting += self.reads.get(relation, ())
        return frozenset(found)

    def settings_of(self, relations: Iterable[str], dataset: str | None) -> frozenset[str]:
        """Return the names of the settings that can change what a stage makes of these relations, for a dataset or for none."""
        relations = tuple(relations)
        named = set(Settings.model_fields) - NOT_READ_BY_STAGES
        if self.unprovable(relations):
            named |= {*Settings().row(), OF_SOURCES}  # who knows what is read there
        above = self.above(relations)
        named |= {OF_SOURCES} if SOURCE_SETTING in above else set()
        for relation in above:
            mine = self.settings.get(relation, frozenset())
            named |= mine - self._of_others(dataset) if relation == ADMISSION else mine
        return frozenset(named)

    def unprovable(self, relations: Iterable[str]) -> list[str]:
        """Return which relations, of these and all that they read, may change though evidence and settings do not; sorted."""
        above = self.above(relations)
        unknown = {relation for relation in above if relation not in PROVABLE and relation not in self.reads}
        nameless = {relation for relation in above if self.reads.get(relation, frozenset()) & NAMELESS}
        return sorted(nameless | (unknown - NAMELESS))

    def _of_others(self, dataset: str | None) -> frozenset[str]:
        of_others: frozenset[str] = frozenset().union(*self.switches.values())
        return of_others - self.switches.get(dataset or "", frozenset())


def settings_hash(settings: Settings, names: Collection[str]) -> str:
    """Return the sha256 hex over the named settings and their values, as JSON with sorted keys."""
    values = {name: value for name, value in settings.model_dump().items() if name in names}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

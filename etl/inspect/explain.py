"""An id's way through the product: from file and line through rule and category to what each dataset decides about it."""

import re
from typing import Any

from etl.base.errors import NotFoundError
from etl.warehouse.connection import Warehouse

#: What may be the beginning of an id: so many digits that it can hardly be meant for anything else.
_PREFIX = re.compile(r"^[0-9a-f]{8,63}$")

_PAIRS = """
select
    id, task_id, prompt, chosen, rejected, chosen_run_id, rejected_run_id, chosen_category, rejected_category, reason,
    provenance, quarantine_reasons, skip_reason, detail,
from datasets.preference
where id = $id
"""
_RECORDS = """
select
    lineage.* exclude (dataset, id, quarantine_reasons, detail),
    record.created_at, record.model, record.prompt, record.response,
    list(
        struct_pack(
            dataset := lineage.dataset,
            id := lineage.id,
            quarantine_reasons := lineage.quarantine_reasons,
            detail := lineage.detail
        )
        order by dataset.position
    ) as datasets,
from datasets.lineage as lineage
inner join evidence.record as record
    on lineage.source_path = record.source_path and lineage.line_number = record.line_number
inner join policy.dataset as dataset on lineage.dataset = dataset.dataset
group by all
having
    lineage.source_path || ':' || lineage.line_number in (select unnest($keys))
    or $id in (lineage.evidence_id, lineage.line_sha256)
    or bool_or(lineage.id = $id)
order by lineage.source_path, lineage.line_number
"""
_SKIPPED = """
select source, source_path, line_number, line_sha256, reason, detail, raw
from evidence.skipped
where line_sha256 = $id or source_path || ':' || line_number = $id
order by source_path, line_number
"""
_PAIRS_OF_RECORD = """
select decision.id, candidate.outcome, candidate.quarantine_reasons
from pairs.candidate as candidate
inner join datasets.pair_decision as decision
    on candidate.chosen_key = decision.chosen_key and candidate.rejected_key = decision.rejected_key
where $id in (candidate.chosen_evidence_id, candidate.rejected_evidence_id)
order by decision.id
"""
_IDS_THAT_BEGIN = """
select distinct id from (
    select id from datasets.decision
    union all select id from datasets.pair_decision
    union all select evidence_id from evidence.record
    union all select line_sha256 from evidence.record
    union all select line_sha256 from evidence.skipped
)
where starts_with(id, $prefix)
"""


def explain(warehouse: Warehouse, wanted: str) -> dict[str, Any]:
    """Return everything known about an id: the records, pairs and skipped lines that it names, with their text.

    ``wanted`` is an evidence_id, an id of a dataset or quarantine, a line_sha256, the unique beginning of one of these
    (eight digits or more), or ``path:line``. Raises NotFoundError where nothing has that id, or several have.
    """
    wanted = _whole_id(warehouse, wanted)
    pairs = warehouse.dicts(_PAIRS, {"id": wanted})
    sides = [place for pair in pairs for place in pair["provenance"].values()]
    keys = [f"{side['source_path']}:{side['line_number']}" for side in sides] or [wanted]
    records = warehouse.dicts(_RECORDS, {"keys": keys, "id": wanted})
    skipped = warehouse.dicts(_SKIPPED, {"id": wanted})
    if not pairs and not records and not skipped:
        raise NotFoundError(
            f"Nothing here has the id {wanted!r}; give an evidence_id, the id of an exported or quarantined row, "
            "a line_sha256, or path:line."
        )
    for line in skipped:
        line["raw"] = line["raw"] and line["raw"].decode("utf-8", "backslashreplace")
    for record in records:
        record["pairs"] = warehouse.dicts(_PAIRS_OF_RECORD, {"id": record["evidence_id"]})
    return {"id": wanted, "records": records, "pairs": pairs, "skipped": skipped}


def _whole_id(warehouse: Warehouse, wanted: str) -> str:
    """Return the id that begins so, or what was asked for where it is no beginning of one."""
    if not _PREFIX.match(wanted):
        return wanted
    found = [str(row[0]) for row in warehouse.execute(_IDS_THAT_BEGIN, {"prefix": wanted})]
    if len(found) > 1:
        raise NotFoundError(f"{len(found)} ids begin with {wanted!r}; give more digits.")
    return found[0] if found else wanted

"""An id's way through the product: from file and line through rule and category to its fate in each dataset."""

from typing import Any

from etl.errors import NotFoundError
from etl.warehouse import Warehouse


def explain(warehouse: Warehouse, wanted: str) -> dict[str, Any]:
    """Return everything known about an id: the records, pairs and skipped lines that it names, with their text.

    ``wanted`` is an evidence_id, an id of a dataset or quarantine, a line_sha256, or ``path:line``.
    Raises NotFoundError where nothing has that id.
    """
    pairs = warehouse.dicts(
        "select id, task_id, prompt, chosen, rejected, chosen_run_id, rejected_run_id, chosen_category, "
        "rejected_category, reason, provenance, quarantine_reasons, skip_reason, detail "
        "from datasets.preference where id = $id",
        {"id": wanted},
    )
    sides = [place for pair in pairs for place in pair["provenance"].values()]
    keys = [f"{side['source_path']}:{side['line_number']}" for side in sides] or [wanted]
    records = warehouse.dicts(
        "select way.*, record.created_at, record.model, record.prompt, record.response "
        "from datasets.way as way inner join evidence.record as record "
        "on way.source_path = record.source_path and way.line_number = record.line_number "
        "where way.source_path || ':' || way.line_number in (select unnest($keys)) "
        "or $id in (way.evidence_id, way.rag_id, way.sft_id, way.line_sha256) "
        "order by way.source_path, way.line_number",
        {"keys": keys, "id": wanted},
    )
    skipped = warehouse.dicts(
        "select source, source_path, line_number, line_sha256, reason, detail, raw from evidence.skipped "
        "where line_sha256 = $id or source_path || ':' || line_number = $id order by source_path, line_number",
        {"id": wanted},
    )
    if not pairs and not records and not skipped:
        raise NotFoundError(
            f"Nothing here has the id {wanted!r}; give an evidence_id, the id of an exported or quarantined row, "
            "a line_sha256, or path:line."
        )
    for record in records:
        record["pairs"] = warehouse.dicts(
            "select sha256(concat('preference', chr(31), chosen_evidence_id, chr(31), rejected_evidence_id)) as id, fate, "
            "quarantine_reasons from pairs.candidate where $id in (chosen_evidence_id, rejected_evidence_id) order by id",
            {"id": record["evidence_id"]},
        )
    return {"id": wanted, "records": records, "pairs": pairs, "skipped": skipped}

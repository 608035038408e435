"""The JSON documents that the product writes, by name, and their JSON Schemas.

A new document gets an entry here; ``make docs`` then writes docs/schemas/<name>.schema.json.
"""

import json
from typing import Any

from etl.answers import Acceptance, Book, Check, Diff, KeyPair, Plan, Replay
from etl.documents import Document, DriftReport, Head, Pin, RunSummary, StageReceipt
from etl.signing import Envelope
from etl.statements import Statement

DIALECT = "https://json-schema.org/draft/2020-12/schema"

DOCUMENTS: dict[str, type[Document]] = {
    "acceptance": Acceptance,
    "book": Book,
    "check": Check,
    "diff": Diff,
    "drift-report": DriftReport,
    "envelope": Envelope,
    "head": Head,
    "key-pair": KeyPair,
    "pin": Pin,
    "plan": Plan,
    "replay": Replay,
    "run-summary": RunSummary,
    "stage-receipt": StageReceipt,
    "statement": Statement,
}


def file_of(name: str) -> str:
    """Return the name of the file with a document's schema."""
    return f"{name}.schema.json"


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document as it is written."""
    schema = DOCUMENTS[name].model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": DIALECT, "$id": file_of(name), "title": DOCUMENTS[name].__name__} | schema


def schema_text(name: str) -> str:
    """Return the text of the file with a document's schema."""
    return json.dumps(schema_of(name), ensure_ascii=False, indent=2) + "\n"

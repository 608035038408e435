"""Reads an exported bundle with mlcroissant, LlamaIndex, LangChain and LanceDB, and prints what each found.

``python read_bundle.py FOLDER``; the last line is a JSON document.
"""

import json
import logging
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import lancedb
import mlcroissant
import pyarrow.parquet as pq
from lancedb.index import FTS
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import Document
from llama_index.core.vector_stores.utils import node_to_metadata_dict


def described(folder: Path) -> dict[str, Any]:
    """Return the errors that mlcroissant finds, and how many records it reads of each set."""
    described = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = described.metadata.ctx.issues
    read = {each.name: len([*islice(described.records(record_set=each.id), 3)]) for each in described.metadata.record_sets}
    return {"errors": sorted(issues.errors), "read": {str(name): count for name, count in read.items()}}


def main(folder: Path) -> None:
    """Print what each reader makes of the dataset for retrieval."""
    logging.disable(logging.WARNING)
    rows = [row for file in sorted(folder.glob("data/rag/*.parquet")) for row in pq.read_table(file).to_pylist()]
    flat = [{name: value for name, value in row.items() if name != "content" and value is not None} for row in rows]
    flat = [{name: str(value) if name == "created_at" else value for name, value in row.items()} for row in flat]
    nodes = [Document(id_=row["id"], text=row["content"], metadata=told) for row, told in zip(rows, flat, strict=True)]
    stored = [node_to_metadata_dict(node, flat_metadata=True) for node in nodes]
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    some = zip(rows[:50], flat[:50], strict=True)
    store.add_documents([LangChainDocument(page_content=row["content"], metadata=told) for row, told in some])
    with tempfile.TemporaryDirectory() as place:
        tables = [pq.read_table(file) for file in sorted(folder.glob("data/rag/*.parquet"))]
        table = lancedb.connect(place).create_table("rag", tables[0])
        for more in tables[1:]:
            table.add(more)
        table.create_index("content", config=FTS())
        word = max(rows[0]["content"].split(), key=len)
        hits = table.search(word, query_type="fts").where(f"source = '{rows[0]['source']}'").limit(3).to_list()
    found = {
        "croissant": described(folder),
        "llama_index": len(stored),
        "langchain": len(store.similarity_search("a", k=50, filter=lambda told: "item_sha256" in told.metadata)),
        "lancedb": {"rows": sum(map(len, tables)), "hits": len(hits)},
        "rows": len(rows),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

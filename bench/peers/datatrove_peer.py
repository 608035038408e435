"""Writes the same rows with datatrove's pipeline and writers: python datatrove_peer.py EVIDENCE OUT.

A pipeline passes documents on one by one, so the order, the pairs and the rows come from the plain Python of orjson_peer. Its
Parquet writer uses zstd's default level.
"""

import sys
from pathlib import Path
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers.base import BaseDiskReader
from datatrove.pipeline.writers import JsonlWriter, ParquetWriter
from datatrove.utils.logging import logger
from orjson_peer import Row, in_json, outputs, record_of
from sums import write_sums


class LineReader(BaseDiskReader):
    """Reads the good lines as documents; datatrove's own JSONL reader stops reading a file at its first bad byte."""

    name = "lines"

    def read_file(self, filepath: str) -> DocumentsPipeline:
        """Yield a document for each good line."""
        with self.data_folder.open(filepath, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                if record := record_of(number, line.removesuffix(b"\n")):
                    yield Document(text=record["response"], id=record["id"], metadata=record)


def expand(data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:  # noqa: ARG001
    """Yield a document for each row of each output."""
    for name, rows in outputs(document.metadata for document in data):
        for row in rows:
            yield Document(text="", id=row["id"], metadata={"output": name, "row": row})


def as_row(_writer: Any, document: Document) -> Row:
    """Return the row that is written to Parquet."""
    row: Row = document.metadata["row"]
    return row


def as_json(_writer: Any, document: Document) -> Row:
    """Return the row that is written to JSONL."""
    return in_json(document.metadata["row"])


def main(evidence: Path, out: Path) -> None:
    """Run the pipeline in this process."""
    logger.remove()
    LocalPipelineExecutor(
        pipeline=[
            LineReader(str(evidence), glob_pattern="evidence.jsonl"),
            expand,
            JsonlWriter(str(out), "${output}.jsonl", compression=None, adapter=as_json),
            ParquetWriter(
                str(out), "${output}.parquet", compression="zstd", adapter=as_row, batch_size=10_000, max_file_size=-1
            ),
        ],
        logging_dir=str(out / "logs"),
    ).run()
    write_sums(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The last step of every peer: it writes the sha256 of each file, as the product's receipts do."""

import hashlib
from pathlib import Path


def write_sums(out: Path) -> None:
    """Write ``SHA256SUMS`` for the files of a folder."""
    with (out / "SHA256SUMS").open("w", encoding="utf-8") as sums:
        for file in sorted([*out.glob("*.jsonl"), *out.glob("*.parquet")]):
            with file.open("rb") as stream:
                sums.write(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {file.name}\n")

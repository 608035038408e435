"""Edits of a root's documents after which all hashes of the chain are computed anew, as somebody would who knows how."""

import json
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

from tampering import REPORTS, Tree

from etl.receipts.models import DriftReport, RunSummary, StageReceipt
from etl.receipts.report import summary_page

HEAD = f"{REPORTS}/head"

#: The steps from a document's top to one of its values: keys of objects and places in lists.
Steps = tuple[str | int, ...]


def values_of(document: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield each value of a JSON document that holds no others, with the steps to it."""
    if isinstance(document, dict | list):
        for step, inner in document.items() if isinstance(document, dict) else enumerate(document):
            yield from values_of(inner, (*steps, step))
    else:
        yield steps, document


class Forger:
    """Edits documents, by their paths, and writes them with all that binds them, up to head."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._documents: dict[str, Any] = {}
        self._texts: dict[str, bytes] = {}
        self._kept: tuple[str, Steps] | None = None

    def document(self, path: str) -> Any:
        """Return a document as it stands by now."""
        return self._documents.setdefault(path, self.tree.json(path))

    def edit(self, path: str, steps: Steps, value: Any) -> None:
        """Replace a value of a document. If it is the hash of another document, it stays as it is."""
        inner = self.document(path)
        for step in steps[:-1]:
            inner = inner[step]
        inner[steps[-1]] = value
        self._kept = (path, steps)

    def replace(self, path: str, content: bytes) -> None:
        """Write other bytes in place of a document."""
        self._texts[path] = content

    def write(self) -> None:
        """Write all documents of the runs from the first edited one on, with their pages and hashes; latest.md goes."""
        edited = {path.split("/")[2] for path in (*self._documents, *self._texts)}
        first = min((at for at, run in enumerate(self.tree.runs) if run in edited), default=len(self.tree.runs) - 1)
        previous = self.tree.json(f"{REPORTS}/{self.tree.runs[first]}/summary.json")["previous"]
        for run in self.tree.runs[first:]:
            previous = self._write_run(f"{REPORTS}/{run}", previous, run in edited)
        self._bind(HEAD, ("sha256",), previous)
        self._write(HEAD)
        (self.tree.root / REPORTS / "latest.md").unlink(missing_ok=True)

    def _write_run(self, folder: str, previous: str | None, is_edited: bool) -> str:
        """Write the documents of a run; return the hash of its summary."""
        path = f"{folder}/summary.json"
        if is_edited:
            names = [
                other
                for other in self.tree.documents
                if other.startswith(folder) and other not in {path, f"{folder}/summary.md"}
            ]
            hashes = {other: self._write(other) for other in names} | {f"{folder}/summary.md": self._write_page(folder)}
            for at, bound in enumerate(self.document(path)["documents"]):
                self._bind(path, ("documents", at, "sha256"), hashes[f"{folder}/{bound['path']}"])
        self._bind(path, ("previous",), previous)
        return self._write(path)

    def _bind(self, path: str, steps: Steps, digest: str | None) -> None:
        """Let a document name a hash."""
        if (path, steps) != self._kept:
            kept = self._kept
            self.edit(path, steps, digest)
            self._kept = kept

    def _write(self, path: str) -> str:
        """Write a document as a run writes it; return its hash."""
        text = (json.dumps(self.document(path), indent=2, ensure_ascii=False) + "\n").encode()
        self.tree.write(path, self._texts.get(path, text))
        return sha256(self._texts.get(path, text)).hexdigest()

    def _write_page(self, folder: str) -> str:
        """Write the page that says what the other documents do, where they are such that there is one; return its hash."""
        path = f"{folder}/summary.md"
        content = self._texts.get(path, self.tree.of(path))
        if path not in self._texts:
            with suppress(ValueError):  # no document of a run can say this
                content = self._page(folder)
        self.tree.write(path, content)
        return sha256(content).hexdigest()

    def _page(self, folder: str) -> bytes:
        summary = RunSummary.model_validate(self.document(f"{folder}/summary.json"))
        receipts = [StageReceipt.model_validate(self.document(f"{folder}/{stage.name}.json")) for stage in summary.stages]
        return summary_page(summary, receipts, DriftReport.model_validate(self.document(f"{folder}/drift.json"))).encode()

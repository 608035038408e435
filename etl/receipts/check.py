"""Holds the documents of one run, and the files that they name, against what is on disk now, and against each other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pyarrow import ArrowInvalid

from etl.base.files import sha256_of, sha256_of_first
from etl.base.project import Project
from etl.context import name_on_disk
from etl.receipts.agreement import DRIFT, PAGE, RunDocuments, contradictions, read_run, unlike
from etl.receipts.measure import measure
from etl.receipts.models import Check, FileEntry, RunSummary, StageReceipt
from etl.receipts.remake import Remaker
from etl.receipts.store import SUMMARY

#: How many contradictions of one document are told; the others follow from them, as a rule.
TOLD = 3


@dataclass(frozen=True, slots=True)
class Link:
    """One run of the chain: its summary, and the hash of the summary's bytes."""

    summary: RunSummary
    sha256: str

    def __str__(self) -> str:
        return f"run {self.summary.seq} ({self.summary.run_id})"

    @classmethod
    def read(cls, file: Path) -> "Link":
        """Return the link that a summary makes. Raises OSError, or ValueError (as pydantic's is)."""
        content = file.read_bytes()
        return cls(RunSummary.of_json(content), sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the documents of a run: them, unless one is damaged, and what is wrong with what they say."""

    run: RunDocuments | None
    faults: Mapping[str, Sequence[str]]
    is_remade: bool

    @classmethod
    def of(cls, folder: Path, link: Link, before: RunDocuments | None, remaker: Remaker | None) -> "Reading":
        """Read the documents in a run's folder; ``before`` is the last run before it that published."""
        run, damaged = read_run(folder, link.summary)
        faults = {name: [sentence] for name, sentence in damaged.items()}
        is_remade = bool(run and remaker and remaker.wrote(run))
        if run:
            claims = [*contradictions(run, before), *(remaker.differences(run) if remaker and is_remade else ())]
            for claim in claims:
                faults.setdefault(claim.document, []).append(str(claim))
        return cls(run, faults, is_remade)

    def problems(self, document: str) -> Sequence[str]:
        """Return a sentence for each thing that is wrong with what a document says."""
        return self.faults.get(document, ())


def check_documents(folder: Path, link: Link, reading: Reading, prefix: str = "") -> Iterator[Check]:
    """Yield whether each document of a run is the one that its summary binds, and agrees with the others; and nothing else."""
    bound = {document.path: document.sha256 for document in link.summary.documents}
    wanted = {DRIFT, PAGE, *(f"{stage.name}.json" for stage in link.summary.stages)}
    for name in sorted(wanted):
        is_bound = is_whole(folder / name, bound.get(name))
        problems = reading.problems(name) if is_bound else [f"it is gone, or was changed since {link} wrote it"]
        is_older = name in {DRIFT, PAGE} and not reading.is_remade
        detail = "as recorded" + ("; another version wrote it, so it is not made again" if is_older else "")
        yield check(f"{prefix}{name}", problems, detail)
    for file in sorted(folder.iterdir()):
        if file.name not in {*wanted, SUMMARY}:
            yield Check(f"{prefix}{file.name}", "failed", f"{link} did not write it")


def check_files(
    project: Project, summary: RunSummary, receipts: Iterable[StageReceipt], evidence: Path | None, is_newest: bool = True
) -> Iterator[Check]:
    """Yield whether the files that a run published, and the evidence that it read, are as its receipts name them."""
    for receipt in receipts:
        for entry in receipt.outputs.files:
            if entry.bytes is not None and not is_newest:
                yield Check(entry.path, "unchecked", "a newer run has taken its place")
            elif entry.bytes is not None:
                yield _output(project.root / entry.path, entry)
        if receipt.stage == "collect":
            folder = evidence or evidence_of(project, summary)
            yield from (_input(folder / name_on_disk(entry.path), entry) for entry in receipt.inputs.files)


def _output(file: Path, entry: FileEntry) -> Check:
    """Return whether a published file has the bytes, the rows and the columns of its receipt."""
    if not file.is_file():
        return Check(entry.path, "failed", "the file is gone")
    if not is_whole(file, entry.sha256):
        return Check(entry.path, "failed", "its bytes are not those of the receipt")
    try:
        found = measure(file, entry.path)
    except (OSError, ArrowInvalid) as error:
        return damaged_document(entry.path, "the file", error)
    said = entry.model_copy(update={"carried": False})
    return check(entry.path, [f"the receipt's {claim}" for claim in unlike(entry.path, said, found, "the file")])


def _input(file: Path, entry: FileEntry) -> Check:
    """Return whether a file of evidence still has the bytes that were collected; a file that grew or is gone is `unchecked`."""
    if entry.sha256 is None or entry.bytes is None:
        return Check(entry.path, "unchecked", "it could not be read then")
    if not file.is_file():
        return Check(entry.path, "unchecked", "the file is gone")
    size = file.stat().st_size
    is_same = size >= entry.bytes and sha256_of_first(file, entry.bytes) == entry.sha256
    if is_same and size > entry.bytes:
        return Check(entry.path, "unchecked", "the file has grown")
    return passed_or(entry.path, is_same, "its bytes are not those that were collected")


def evidence_of(project: Project, summary: RunSummary) -> Path:
    """Return the folder that a run read its evidence from."""
    return project.root / summary.request.evidence


def passed_or(what: str, is_good: bool, otherwise: str, detail: str = "as recorded") -> Check:
    """Return a check that is ok, or failed for this reason."""
    return Check(what, "ok", detail) if is_good else Check(what, "failed", otherwise)


def check(what: str, problems: Sequence[str], detail: str = "as recorded") -> Check:
    """Return a check that is ok where there are no problems."""
    more = f" (and {len(problems) - TOLD} more)" if len(problems) > TOLD else ""
    return passed_or(what, not problems, "; ".join(problems[:TOLD]) + more, detail)


def damaged_document(what: str, kind: str, error: Exception) -> Check:
    """Return the failed check of a document that cannot be read."""
    return Check(what, "failed", f"{kind} is missing or damaged: {str(error).splitlines()[0]}")


def is_whole(file: Path, digest: str | None) -> bool:
    """Return whether a file is there, can be read, and has these bytes."""
    with suppress(OSError):
        return file.is_file() and sha256_of(file) == digest
    return False

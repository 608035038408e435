"""Reads the items of files (lines, elements of documents, rows of Parquet, texts), and judges each of them."""

import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from msgspec.json import encode

from etl.base.settings import Settings
from etl.context import EvidenceFile
from etl.ingest.directives import Directives
from etl.ingest.fields import FieldParser
from etl.ingest.files import Rules, unit_of
from etl.ingest.formats.archives import ArchiveError, ArchiveLimits, Member, members_of
from etl.ingest.formats.documents import DocumentError, DocumentLimits, Element, LongElement, elements_of, parse_patterns
from etl.ingest.formats.lines import Blank, CorruptError, HashedFile, Known, LineReader, Lines, LongLine, Read, Tail, Unpacking
from etl.ingest.formats.packing import CHUNK
from etl.ingest.formats.parquet import ParquetError, rows_of
from etl.ingest.formats.strict_json import Refusal
from etl.ingest.judging import Judge, Judged, Judging

#: Elements are handed on when they are about this many bytes.
PIECE_BYTES = 1 << 20


class Sink(Protocol):
    """What items go into; it may raise an error of its own to end the reading."""

    def begin(self, path: str, unit: str | None) -> None:
        """Begin with the items of another file, or member of an archive."""

    def accept(self, numbers: Sequence[int], rows: pa.Table, pointers: Sequence[str] = ()) -> None:
        """Take items that the judge passed, see ``Judged.rows``; of elements, also where they stand in their document."""

    def skip(self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None) -> None:
        """Take an item that is refused, or an entry for the file as a whole."""

    def step(self, last: int) -> None:
        """Know that all items of the file up to the number ``last`` were taken, refused or found blank."""

    def forget(self, path: str, after_item: int = -1) -> None:
        """Have the rows of a file removed, from an item on, before its new items come."""


@dataclass
class Tally:
    """What was read of a file so far: its entries (items that are not blank, and itself where it is an entry as a whole)."""

    file: EvidenceFile
    items: int = 0
    blank: int = 0
    entries: int = 0
    nan: int = 0
    ignored_members: Counter[str] = field(default_factory=Counter)
    last_is_blank: bool = False
    nan_of_last: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, member: "Tally") -> None:
        """Add what was read of a member of the archive."""
        self.items += member.items
        self.blank += member.blank
        self.entries += member.entries
        self.nan += member.nan

    def row(self, ignored_by: str | None = None) -> dict[str, Any]:
        """Return the row of evidence.file; what is not known is null."""
        known = {
            "source": self.file.source,
            "source_path": self.file.source_path,
            "unit": self.file.unit,
            "record_count": self.items - self.blank + self.entries,
            "blank_count": self.blank,
            "nan_count": self.nan,
            "ignored_members": [{"ignored_by": rule, "members": n} for rule, n in sorted(self.ignored_members.items())],
            "ignored_by": ignored_by,
        }
        return dict.fromkeys(("bytes", "sha256", "whole_bytes", "whole_lines", "whole_blank", "whole_nan")) | known | self.facts


class Archives:
    """Archives of evidence, of which one at a time is open."""

    def __init__(self, settings: Settings) -> None:
        self._limits = ArchiveLimits(
            settings.max_members, settings.max_unpacked_bytes, settings.max_unpack_ratio, settings.max_window_bytes
        )
        self._open: ExitStack = ExitStack()
        self._path: Path | None = None
        self._members: dict[str, Member] = {}

    def members(self, archive: EvidenceFile) -> list[EvidenceFile]:
        """Return the members of an archive as files. Raises ArchiveError, OSError."""
        with self.opened(archive) as members:
            return [
                replace(
                    archive,
                    source_path=f"{archive.source_path}!{member.name}",
                    archive_path=archive.source_path,
                    size=member.size,
                    problem=None,
                )
                for member in members.values()
            ]

    @contextmanager
    def opened(self, archive: EvidenceFile) -> Iterator[dict[str, Member]]:
        """Give the members of an archive by their names. Raises ArchiveError, OSError."""
        if self._path != archive.path:
            self.close()
            stream = self._open.enter_context(HashedFile(archive).open())
            members = self._open.enter_context(members_of(stream, self._limits))
            self._path, self._members = archive.path, {member.name: member for member in members}
        yield self._members

    @contextmanager
    def open_member(self, file: EvidenceFile) -> Iterator[io.BufferedReader]:
        """Give the bytes of a member. Raises ArchiveError, OSError."""
        name = file.source_path.removeprefix(f"{file.archive_path}!")
        with self.opened(file) as members:
            if problem := members[name].problem:
                raise ArchiveError(*problem)
            with members[name].open() as stream:
                yield stream

    def close(self) -> None:
        """Close what is open."""
        self._path = None
        self._open.close()


def skim(file: EvidenceFile) -> dict[str, Any]:
    """Return the size and hash of a file, as a row of evidence.file has them. Raises OSError."""
    hashed = HashedFile(file)
    hashed.skim()
    return {"bytes": hashed.bytes, "sha256": hashed.sha256}


class ItemReader:
    """Reads files of one source into a sink; ``rows`` gives their rows of evidence.file afterwards.

    ``paths`` are those of all files of the source, also of ignored ones, which may tell where a unit ends. ``is_hashing``:
    whether the size and hash of each file are wanted, for which all its bytes are read, whatever holds items.
    """

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        directives: Directives,
        paths: Collection[str],
        sink: Sink,
        judging: Judging,
        *,
        is_hashing: bool = True,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._paths = set(paths)
        self._directives = directives
        self._sink = sink
        self._judging = judging
        self._judge = Judge(FieldParser(directives.fields), directives.nan_is_null, settings.max_depth, settings.max_values)
        self._is_hashing = is_hashing
        self._archives = Archives(settings)
        self._tallies: dict[str, Tally] = {}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of evidence.file of the files that were read."""
        return [tally.row() for tally in self._tallies.values()]

    def in_order(self, files: Sequence[EvidenceFile]) -> list[EvidenceFile]:
        """Return files, and the members of archives in their place, such that those of a unit come one after the other.

        An archive that cannot be opened stays, so that reading it says why.
        """
        expanded = [member for file in files for member in self._members(file)]
        units = [replace(file, unit=unit_of(file.source_path, self._directives, self._paths)) for file in expanded]
        return sorted(units, key=lambda file: (file.unit or "", file.source_path))

    def _members(self, file: EvidenceFile) -> list[EvidenceFile]:
        tally = self._tallies[file.source_path] = Tally(file)
        if file.format != "archive" or self._refusal(file):
            return [file]
        try:
            tally.facts = self._facts_of(file)
            found = [self._rules.described(member) for member in self._archives.members(file)]
        except (ArchiveError, OSError):
            return [file]
        self._paths.update(member.source_path for member in found)
        tally.ignored_members.update(member.ignored_by for member in found if member.ignored_by)
        return [member for member in found if not member.ignored_by]

    def _facts_of(self, file: EvidenceFile) -> dict[str, Any]:
        """Return the size and hash of a file where they are wanted; else only try to open it. Raises OSError."""
        if self._is_hashing:
            return skim(file)
        HashedFile(file).open().close()
        return {}

    def read(self, file: EvidenceFile, known: Known | None = None, is_known: bool = False) -> None:
        """Read one file, or member of an archive, its good items and the others, into the sink."""
        whole = self._tallies[file.archive_path or file.source_path]
        tally = Tally(file) if file.archive_path else whole
        self._sink.begin(file.source_path, file.unit)
        try:
            if refusal := self._refusal(file):
                whole.facts = whole.facts or self._facts_of(file)
                self._skip_whole(tally, refusal)
            elif file.archive_path:
                self._read_member(file, tally)
            elif file.format == "lines":
                self._read_lines(file, tally, known, is_known)
            elif file.format == "archive":
                with self._archives.opened(file):
                    pass  # it fails: an archive that can be opened is read by its members
            else:
                self._read_file(file, tally)
        except (ArchiveError, ParquetError, CorruptError) as error:
            self._skip_whole(tally, error.refusal)
        except OSError as error:
            whole.facts = {}
            self._skip_whole(tally, Refusal("unreadable_file", error.strerror or str(error)))
        if tally is not whole:
            whole.add(tally)
        self._sink.step(tally.items)

    def close(self) -> None:
        """Close the archive that is open."""
        self._archives.close()

    def _refusal(self, file: EvidenceFile) -> Refusal | None:
        """Return why a file is one entry as a whole, if it is; one that must not be read says so when it is read."""
        if file.format is None and file.path.is_file():
            return Refusal("unknown_format", "its name ends in no format that is read, such as .jsonl, .json or .parquet")
        if file.source not in self._rules.directives:
            return Refusal("unknown_source", f"there is no sql/2_sources/{file.source}.sql")
        return None

    def _skip_whole(self, tally: Tally, refusal: Refusal) -> None:
        tally.entries += 1
        self._sink.skip(0, None, refusal.reason, refusal.detail)

    # --- lines ---------------------------------------------------------------------------------------------------------

    def _read_lines(self, file: EvidenceFile, tally: Tally, known: Known | None, is_known: bool) -> None:
        reader = LineReader(file, self._settings)
        if known and reader.goes_on_from(known):
            tally.items, tally.blank, tally.nan = known.whole_lines, known.whole_blank, known.whole_nan
        if is_known and self._directives.grain == "item" and (tally.items == 0 or reader.whole_bytes < reader.bytes):
            self._sink.forget(file.source_path, tally.items or -1)
        self._take_lines(reader, tally)
        tally.facts = {"bytes": reader.bytes, "sha256": reader.sha256}
        if not file.packing:  # where reading can go on when the file has grown: a line without its feed may grow too
            is_cut = reader.whole_bytes < reader.bytes
            tally.facts |= {
                "whole_bytes": reader.whole_bytes,
                "whole_lines": tally.items - is_cut,
                "whole_blank": tally.blank - (is_cut and tally.last_is_blank),
                "whole_nan": tally.nan - (is_cut and tally.nan_of_last),
            }

    def _take_lines(self, lines: Iterable[Read], tally: Tally) -> None:
        reads: Iterator[Judged | Blank | LongLine | Tail] = self._judging.judged(self._judge, lines)
        for read in reads:
            if isinstance(read, Blank):
                tally.items += read.lines
                tally.blank += read.lines
                tally.last_is_blank, tally.nan_of_last = True, 0
            elif isinstance(read, LongLine | Tail):
                tally.items += 1
                tally.last_is_blank, tally.nan_of_last = False, 0
                self._skip_line(read, tally.items)
            else:
                self._take(read, tally)
            self._sink.step(tally.items)

    def _skip_line(self, line: LongLine | Tail, number: int) -> None:
        if isinstance(line, LongLine):
            self._sink.skip(number, line.sha256, "line_too_long", f"offset {line.offset}, length {line.length}")
        else:
            digest = sha256(line.content).hexdigest()
            self._sink.skip(number, digest, line.refusal.reason, line.refusal.detail, line.content)

    def _take(self, judged: Judged, tally: Tally) -> None:
        """Put the good lines into the sink, and the refused ones with their reasons; count the blank ones."""
        self._hand_over(judged, range(tally.items + 1, tally.items + 1 + judged.items))
        tally.items += judged.items
        tally.blank += judged.blank
        tally.nan += judged.nan
        tally.last_is_blank, tally.nan_of_last = judged.is_last_blank, judged.nan_of_last

    def _hand_over(self, judged: Judged, numbers: Sequence[int], pointers: Sequence[str] = ()) -> None:
        for place, digest, refusal, content in judged.refused:
            self._sink.skip(numbers[place], digest, refusal.reason, refusal.detail, content)
        own = [pointers[place] for place in judged.places] if pointers else ()
        self._sink.accept([numbers[place] for place in judged.places], judged.rows, own)

    # --- whole files ---------------------------------------------------------------------------------------------------

    def _read_file(self, file: EvidenceFile, tally: Tally) -> None:
        if file.format == "parquet":
            facts = self._facts_of(file)
            self._take_rows(rows_of(file.path), tally)
            tally.facts = facts
            return
        hashed = HashedFile(file)
        with hashed.open() as stream:
            try:
                self._take_whole(file, Unpacking(stream, file.packing, self._settings, lambda: hashed.bytes), tally)
            finally:
                while self._is_hashing and stream.read1(CHUNK):  # what a broken stream left unread
                    pass
                tally.facts = {"bytes": hashed.bytes, "sha256": hashed.sha256}

    def _read_member(self, file: EvidenceFile, tally: Tally) -> None:
        with self._archives.open_member(file) as stream:
            chunks = Unpacking(stream, file.packing, self._settings, lambda: file.size)
            if file.format == "lines":
                self._take_lines(Lines(chunks, self._settings.max_line_bytes), tally)
            elif file.format == "parquet":
                self._take_rows(rows_of(b"".join(chunks)), tally)
            elif file.format == "archive":
                self._skip_whole(tally, Refusal("unknown_format", "an archive in an archive is not read; unpack it"))
            else:
                self._take_whole(file, chunks, tally)

    def _take_whole(self, file: EvidenceFile, chunks: Unpacking, tally: Tally) -> None:
        content = bytearray()
        for chunk in chunks:
            content += chunk
        if file.format == "text":
            self._take_text(bytes(content), tally)
        else:
            self._take_document(content, tally)

    def _take_rows(self, batches: Iterable[list[bytes]], tally: Tally) -> None:
        for judged in self._judging.judged(self._judge, batches):
            self._take(judged, tally)
            self._sink.step(tally.items)

    def _take_text(self, content: bytes, tally: Tally) -> None:
        tally.items += 1
        digest = sha256(content).hexdigest()
        if len(content) > self._settings.max_line_bytes:
            self._sink.skip(1, digest, "line_too_long", f"offset 0, length {len(content)}")
            return
        try:
            value = {"text": content.decode()}
        except UnicodeDecodeError as error:
            self._sink.skip(1, digest, "invalid_utf8", f"byte {error.start + 1}: {error.reason}", content)
            return
        self._sink.accept([1], self._judge.rows([content], [encode(value)], [value]))

    def _take_document(self, document: bytearray, tally: Tally) -> None:
        settings = self._settings
        limits = DocumentLimits(settings.max_depth, settings.max_values, settings.max_line_bytes)
        try:
            elements = elements_of(
                memoryview(document), parse_patterns(self._directives.items), limits, nan_as_null=self._directives.nan_is_null
            )
            for piece in _pieces(elements):
                self._take_elements(piece, tally)
                self._sink.step(tally.items)
        except DocumentError as error:
            self._skip_whole(tally, error.refusal)

    def _take_elements(self, elements: Sequence[Element | LongElement], tally: Tally) -> None:
        numbers: list[int] = []
        short: list[Element] = []
        for element in elements:
            tally.items += 1
            if isinstance(element, LongElement):
                detail = f"offset {element.offset}, length {element.length}"
                self._sink.skip(tally.items, element.sha256, "line_too_long", detail)
            else:
                numbers.append(tally.items)
                short.append(element)
        texts = [(element.text, element.replaced) for element in short]
        judged = self._judge.judge([element.content for element in short], texts)
        tally.nan += judged.nan
        self._hand_over(judged, numbers, [element.pointer for element in short])


def _pieces(elements: Iterable[Element | LongElement]) -> Iterator[list[Element | LongElement]]:
    """Yield elements in pieces of about as many bytes as are worth a step."""
    piece: list[Element | LongElement] = []
    size = 0
    for element in elements:
        piece.append(element)
        size += len(element.content) if isinstance(element, Element) else 0
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece

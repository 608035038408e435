"""Reads the items of files (lines, elements of documents, rows of Parquet, texts), and judges each of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO

from msgspec.json import encode

from etl.base.settings import Settings
from etl.context import EvidenceFile
from etl.ingest.directives import Directives
from etl.ingest.documents import DocumentError, DocumentLimits, Element, LongElement, elements_of, parse_patterns
from etl.ingest.files import Rules
from etl.ingest.portion import Portion
from etl.ingest.reader import CorruptError, HashedFile, Known, LineReader, LongLine, Tail, Unpacking
from etl.ingest.strict_json import Refusal, is_blank, judge, without_nan

#: Elements are handed on when they are about this many bytes.
PIECE_BYTES = 1 << 20


@dataclass
class Tally:
    """What was read of a file so far: its entries (items that are not blank, and itself where it is an entry as a whole)."""

    file: EvidenceFile
    items: int = 0
    blank: int = 0
    entries: int = 0
    nan: int = 0
    last_is_blank: bool = False

    def row(self, **facts: Any) -> dict[str, Any]:
        """Return the row of evidence.file, with more facts; what is not known is null."""
        known = {
            "source": self.file.source,
            "source_path": self.file.source_path,
            "unit": self.file.unit,
            "record_count": self.items - self.blank + self.entries,
            "blank_count": self.blank,
            "nan_count": self.nan,
        }
        return dict.fromkeys(("bytes", "sha256", "whole_bytes", "whole_lines", "whole_blank", "ignored_by")) | known | facts


class ItemReader:
    """Reads files of one source into a portion; ``rows`` gives their rows of evidence.file afterwards."""

    def __init__(self, settings: Settings, rules: Rules, directives: Directives, portion: Portion) -> None:
        self._settings = settings
        self._rules = rules
        self._directives = directives
        self._portion = portion
        self._rows: list[dict[str, Any]] = []

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of evidence.file of the files that were read."""
        return self._rows

    def in_order(self, files: Sequence[EvidenceFile]) -> Iterable[EvidenceFile]:
        """Return files in the order in which they are read: those of a unit one after the other."""
        return sorted(files, key=lambda file: (file.unit or "", file.source_path))

    def read(self, file: EvidenceFile, known: Known | None, is_known: bool) -> None:
        """Read one file, its good items and the others, into the portion."""
        tally = Tally(file)
        facts: dict[str, Any] = {}
        self._portion.begin(file.source_path, file.unit)
        try:
            if refusal := self._refusal(file):
                facts = self._skim(file)
                self._skip_whole(tally, refusal)
            elif file.format == "lines":
                facts = self._read_lines(file, tally, known, is_known)
            else:
                facts = self._read_whole(file, tally)
        except OSError as error:
            self._skip_whole(tally, Refusal("unreadable_file", error.strerror or str(error)))
        self._rows.append(tally.row(**facts))

    def _refusal(self, file: EvidenceFile) -> Refusal | None:
        """Return why a file is one entry as a whole, if it is; one that must not be read says so when it is read."""
        if file.format is None and file.path.is_file():
            return Refusal("unknown_format", "its name ends in no format that is read, such as .jsonl, .json or .parquet")
        if self._portion.mapper is None and not self._portion.failure:
            return Refusal("unknown_source", f"there is no sql/2_sources/{file.source}.sql")
        return None

    def _skip_whole(self, tally: Tally, refusal: Refusal) -> None:
        tally.entries += 1
        self._portion.skip(0, None, refusal.reason, refusal.detail)

    def _skim(self, file: EvidenceFile) -> dict[str, Any]:
        hashed = HashedFile(file)
        hashed.skim()
        return {"bytes": hashed.bytes, "sha256": hashed.sha256}

    # --- lines ---------------------------------------------------------------------------------------------------------

    def _read_lines(self, file: EvidenceFile, tally: Tally, known: Known | None, is_known: bool) -> dict[str, Any]:
        reader = LineReader(file, self._settings)
        if known and reader.goes_on_from(known):
            tally.items, tally.blank = known.whole_lines, known.whole_blank
        if is_known and self._directives.grain == "item" and (tally.items == 0 or reader.whole_bytes < reader.bytes):
            self._portion.forget(file.source_path, tally.items or -1)
        self._take_lines(reader, tally)
        facts: dict[str, Any] = {"bytes": reader.bytes, "sha256": reader.sha256}
        if not file.packing:  # where reading can go on when the file has grown: a line without its feed may grow too
            is_cut = reader.whole_bytes < reader.bytes
            lines, blank = tally.items - is_cut, tally.blank - (is_cut and tally.last_is_blank)
            facts |= {"whole_bytes": reader.whole_bytes, "whole_lines": lines, "whole_blank": blank}
        return facts

    def _take_lines(self, lines: Iterable[list[bytes] | LongLine | Tail], tally: Tally) -> None:
        for read in lines:
            if isinstance(read, list):
                self._judge_lines(read, tally)
                continue
            tally.items += 1
            tally.last_is_blank = False
            if isinstance(read, LongLine):
                detail = f"offset {read.offset}, length {read.length}"
                self._portion.skip(tally.items, read.sha256, "line_too_long", detail)
            else:
                digest = sha256(read.content).hexdigest()
                self._portion.skip(tally.items, digest, "corrupt_stream", read.detail, read.content)

    def _judge_lines(self, lines: list[bytes], tally: Tally) -> None:
        """Put the good lines into the portion, and the refused ones with their reasons; count the blank ones."""
        texts = [without_nan(line) for line in lines] if self._directives.nan_is_null else None
        tally.nan += sum(count for _, count in texts or ())
        first = tally.items + 1
        good: list[int] = []
        for place, line in enumerate(lines):
            if is_blank(line):
                tally.blank += 1
            elif self._passes(first + place, line, texts[place][0] if texts else line):
                good.append(place)
        read_as = [texts[place][0] for place in good] if texts and any(count for _, count in texts) else ()
        self._portion.accept([first + place for place in good], [lines[place] for place in good], read_as)
        tally.items += len(lines)
        tally.last_is_blank = is_blank(lines[-1])

    def _passes(self, number: int, content: bytes, text: bytes) -> bool:
        refusal = judge(text, self._settings.max_depth, self._settings.max_values)
        if refusal:
            self._portion.skip(number, sha256(content).hexdigest(), refusal.reason, refusal.detail, content)
        return refusal is None

    # --- whole files ---------------------------------------------------------------------------------------------------

    def _read_whole(self, file: EvidenceFile, tally: Tally) -> dict[str, Any]:
        hashed = HashedFile(file)
        with hashed.open() as stream:
            self._take_whole(file, stream, lambda: hashed.bytes, tally)
            while stream.read1(PIECE_BYTES):  # what a broken stream left unread
                pass
        return {"bytes": hashed.bytes, "sha256": hashed.sha256}

    def _take_whole(self, file: EvidenceFile, stream: BinaryIO, packed_bytes: Callable[[], int], tally: Tally) -> None:
        content = bytearray()
        try:
            for chunk in Unpacking(stream, file.packing, self._settings, packed_bytes):
                content += chunk
        except CorruptError as error:
            self._skip_whole(tally, Refusal("corrupt_stream", f"the compressed stream ends badly: {error}"))
            return
        if file.format == "text":
            self._take_text(bytes(content), tally)
        else:
            self._take_document(content, tally)

    def _take_text(self, content: bytes, tally: Tally) -> None:
        tally.items += 1
        digest = sha256(content).hexdigest()
        if len(content) > self._settings.max_line_bytes:
            self._portion.skip(1, digest, "line_too_long", f"offset 0, length {len(content)}")
            return
        try:
            text = encode({"text": content.decode()})
        except UnicodeDecodeError as error:
            self._portion.skip(1, digest, "invalid_utf8", f"byte {error.start + 1}: {error.reason}", content)
            return
        self._portion.accept([1], [content], [text])

    def _take_document(self, document: bytearray, tally: Tally) -> None:
        settings = self._settings
        limits = DocumentLimits(settings.max_depth, settings.max_values, settings.max_line_bytes)
        try:
            elements = elements_of(
                memoryview(document), parse_patterns(self._directives.items), limits, nan_as_null=self._directives.nan_is_null
            )
            for piece in _pieces(elements):
                self._take_elements(piece, tally)
        except DocumentError as error:
            self._skip_whole(tally, error.refusal)

    def _take_elements(self, elements: Sequence[Element | LongElement], tally: Tally) -> None:
        good: list[tuple[int, Element]] = []
        for element in elements:
            tally.items += 1
            if isinstance(element, LongElement):
                detail = f"offset {element.offset}, length {element.length}"
                self._portion.skip(tally.items, element.sha256, "line_too_long", detail)
                continue
            tally.nan += element.replaced
            if self._passes(tally.items, element.content, element.text):
                good.append((tally.items, element))
        self._portion.accept(
            [number for number, _ in good],
            [element.content for _, element in good],
            [element.text for _, element in good] if any(element.replaced for _, element in good) else (),
            [element.pointer for _, element in good],
        )


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

"""The stage collect: bytes of evidence become rows of evidence.record, or of evidence.skipped; nothing in between.

Three threads work in step: one reads and judges lines, one maps them, one puts rows into the tables. What an earlier run
collected and nobody touched since is not read again; of a file that grew, only what was added is parsed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Any

import pyarrow as pa

from etl.base.settings import Settings
from etl.base.threads import Background
from etl.context import EvidenceFile, Run
from etl.ingest.files import find_evidence, source_of
from etl.ingest.loader import Loader
from etl.ingest.mapping import LINE, Mapper, mapping_room
from etl.ingest.reader import Known, Limits, LineReader, LongLine
from etl.ingest.strict_json import Refusal, is_blank, judge

#: Lines are mapped in portions of about this many bytes: enough to be worth a query, few enough to be held several times.
PORTION_BYTES = 32 << 20

#: Lines leave Python's hands when they are about this many bytes: so few that they are still in the processor's caches.
PIECE_BYTES = 1 << 20

#: Portions that may wait for the tables: while rows are inserted, about as many as are inserted at once are mapped.
PORTIONS_AHEAD = 6

_SKIPPED = pa.schema(
    [
        ("source", pa.string()),
        ("source_path", pa.string()),
        ("line_number", pa.int64()),
        ("line_sha256", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("raw", pa.binary()),
    ]
)

_FILE = pa.schema(
    [
        ("source", pa.string()),
        ("source_path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("record_count", pa.int64()),
        ("blank_count", pa.int64()),
        ("whole_bytes", pa.int64()),
        ("whole_lines", pa.int64()),
        ("whole_blank", pa.int64()),
    ]
)


def collect(run: Run) -> None:
    """Bring the tables evidence.* up to the files of the evidence folder; what cannot become a record is skipped.

    Raises SqlError where a mapping does not work or does not give one row per line.
    """
    evidence = _evidence(run)
    known = _known(run)
    cursor = run.warehouse.cursor()
    gone = known.keys() - {file.source_path for file in evidence}
    touched = {file.source for file in evidence if file.source_path not in run.untouched} | set(map(source_of, gone))
    mappers = {source: Mapper.of(run, cursor, source) for source in touched & run.sql.sources}
    whole = {source for source, mapper in mappers.items() if not mapper.is_row_wise}
    read = [file for file in evidence if file.source_path not in run.untouched or file.source in whole]
    read.sort(key=lambda file: (file.source, file.source_path))
    loader = Loader(run.warehouse.cursor())
    loader.forget(gone)
    total, done = sum(file.size for file in read), 0
    notes: list[dict[str, Any]] = []
    with mapping_room(cursor), Background(PORTIONS_AHEAD) as loading, Background() as mapping:
        for source, files in groupby(read, key=lambda file: file.source):
            portion = _Portion(source, mappers.get(source), loader, mapping, loading)
            for file in files:
                run.progress(f"collect {file.source_path}", done, total)
                before = known.get(file.source_path) if source not in whole else None
                notes.append(_load(run, file, portion, file.source_path in known, before))
                done += file.size
            portion.hand_over()
    loader.finish()
    loader.note(pa.Table.from_pylist(notes, schema=_FILE), gone)
    run.progress("collect", total, total)


def _evidence(run: Run) -> Sequence[EvidenceFile]:
    if run.evidence is None:
        return find_evidence(run.project.evidence, run.settings.follow_links)
    return run.evidence


def _known(run: Run) -> dict[str, Known | None]:
    """Return what the warehouse knows of files by their paths; None where a file can only be read anew."""
    rows = run.warehouse.execute(
        "select source_path, bytes, sha256, whole_bytes, whole_lines, whole_blank from evidence.file"
    )
    return {path: Known(*facts) if None not in facts else None for path, *facts in rows}


@dataclass
class _Portion:
    """Lines of one source on their way to the tables; whole pieces of a file wait in ``tables``."""

    source: str
    mapper: Mapper | None
    loader: Loader
    mapping: Background
    loading: Background
    path: str = ""
    numbers: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    skipped: list[tuple[Any, ...]] = field(default_factory=list)
    loose: int = 0
    held: int = 0

    def begin(self, path: str) -> None:
        """Take lines of another file from here on."""
        self._close_table()
        self.path = path

    def accept(self, numbers: Sequence[int], lines: Sequence[bytes]) -> None:
        self.numbers += numbers
        self.digests += [sha256(line).hexdigest() for line in lines]
        self.lines += lines
        size = sum(map(len, lines))
        self.loose += size
        if self.loose >= PIECE_BYTES:
            self._close_table()
        self._hold(size + 200 * len(lines))

    def skip(
        self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None
    ) -> None:
        self.skipped.append((self.source, self.path, number, digest, reason, detail, raw))
        self._hold(len(raw or b"") + 200)

    def forget(self, path: str, after_line: int) -> None:
        """Have what is known of a file taken out, before its new lines come."""
        self.mapping.give(self.loading.give, self.loader.forget, [path], after_line)

    def hand_over(self) -> None:
        """Have the lines so far mapped and put into the tables, and begin anew."""
        self._close_table()
        lines = _joined(self.tables)
        columns = zip(*self.skipped, strict=True) if self.skipped else [[] for _ in _SKIPPED]
        skipped = pa.Table.from_arrays(
            [pa.array(c, t) for c, t in zip(columns, _SKIPPED.types, strict=True)], schema=_SKIPPED
        )
        self.mapping.give(self._map, lines, skipped)
        self.tables, self.skipped, self.held = [], [], 0

    def _map(self, lines: pa.Table | None, skipped: pa.Table) -> None:
        records = None
        if lines is not None and self.mapper:
            records, refused = self.mapper.map(lines)
            skipped = pa.concat_tables([skipped, refused], promote_options="default")
        self.loading.give(self.loader.put, records, skipped)

    def _hold(self, size: int) -> None:
        self.held += size
        if self.held > PORTION_BYTES and not (self.mapper and not self.mapper.is_row_wise):
            self.hand_over()

    def _close_table(self) -> None:
        if self.lines:
            text = pa.array(self.lines, pa.binary())  # the judge has seen that it is UTF-8
            columns = [
                pa.repeat(self.source, len(text)),
                pa.repeat(self.path, len(text)),
                pa.array(self.numbers, pa.int64()),
                pa.array(self.digests, pa.string()),
                text.view(pa.string()),
            ]
            self.tables.append(pa.Table.from_arrays(columns, schema=LINE))
        self.numbers, self.digests, self.lines, self.loose = [], [], [], 0


def _joined(tables: list[pa.Table]) -> pa.Table | None:
    """Return the tables as one in one chunk; to join a single one would copy it for nothing."""
    return pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else next(iter(tables), None)


def _load(run: Run, file: EvidenceFile, portion: _Portion, is_known: bool, known: Known | None) -> dict[str, Any]:
    """Read one file, its good lines and the others, into the portion, and return its row of evidence.file."""
    settings = run.settings
    reader = LineReader(file, Limits(settings.max_line_bytes, settings.max_unpacked_bytes, settings.max_unpack_ratio))
    number = blank = 0
    is_blank_line = unreadable = False
    portion.begin(file.source_path)
    if known and _goes_on(reader, known):
        number, blank = known.whole_lines, known.whole_blank
    if is_known and (number == 0 or reader.whole_bytes < reader.bytes):
        portion.forget(file.source_path, number or -1)
    unknown = None if portion.mapper else _unknown(file)
    try:
        for read in reader:
            if isinstance(read, list):
                blank += _take(portion, read, number + 1, unknown, settings)
                number += len(read)
                is_blank_line = is_blank(read[-1])
                continue
            number += 1
            is_blank_line = False
            if isinstance(read, LongLine):
                reason = "line_too_long" if portion.mapper else "unknown_source"
                portion.skip(number, read.sha256, reason, f"offset {read.offset}, length {read.length}")
            else:
                portion.skip(number, sha256(read.content).hexdigest(), "corrupt_stream", read.detail, read.content)
    except OSError as error:
        unreadable = True
        portion.skip(0, None, "unreadable_file", error.strerror or str(error))
    can_go_on = not unreadable and not file.is_packed
    is_cut = reader.whole_bytes < reader.bytes  # the last line may not be whole yet
    return {
        "source": file.source,
        "source_path": file.source_path,
        "bytes": None if unreadable else reader.bytes,
        "sha256": None if unreadable else reader.sha256,
        "record_count": number - blank + unreadable,
        "blank_count": blank,
        "whole_bytes": reader.whole_bytes if can_go_on else None,
        "whole_lines": number - is_cut if can_go_on else None,
        "whole_blank": blank - (is_cut and is_blank_line) if can_go_on else None,
    }


def _take(portion: _Portion, lines: list[bytes], first: int, unknown: Refusal | None, settings: Settings) -> int:
    """Put lines, of which the first has the number ``first``, into the portion; return how many of them are blank."""
    good: list[int] = []
    blank = 0
    for number, line in enumerate(lines, start=first):
        if is_blank(line):
            blank += 1
        elif refusal := unknown or judge(line, settings.max_depth, settings.max_values):
            portion.skip(number, sha256(line).hexdigest(), refusal.reason, refusal.detail, line)
        else:
            good.append(number)
    portion.accept(good, [lines[number - first] for number in good])
    return blank


def _goes_on(reader: LineReader, known: Known) -> bool:
    try:
        return reader.goes_on_from(known)
    except OSError:
        return False  # reading will say why


def _unknown(file: EvidenceFile) -> Refusal:
    return Refusal("unknown_source", f"there is no sql/2_sources/{file.source}.sql")

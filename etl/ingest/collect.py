"""The stage collect: each line of evidence becomes a row of evidence.record, or of evidence.skipped, or is blank.

Three threads work in step: one reads and judges lines, one maps them, one puts rows into the tables. What an earlier run
collected and nobody touched since is not read again; of a file that grew, only what was added is parsed.
"""

from collections.abc import Collection, Sequence
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
from etl.ingest.reader import Known, Limits, LineReader, LongLine, Tail
from etl.ingest.strict_json import Refusal, is_blank, judge
from etl.warehouse.connection import Warehouse

#: Lines are mapped in portions of about this many bytes: enough to be worth a query, few enough to hold several of them.
PORTION_BYTES = 32 << 20

#: Lines become Arrow arrays when they are about this many bytes: few enough to be in the processor's caches still.
PIECE_BYTES = 1 << 20

#: Portions that may wait to be inserted: about as many as make one insert, so that mapping goes on meanwhile.
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
    evidence, known = _evidence(run), _known(run)
    gone = known.keys() - {file.source_path for file in evidence}
    cursor = run.warehouse.cursor()
    mappers = _mappers(run, cursor, evidence, gone)
    whole = {source for source, mapper in mappers.items() if not mapper.is_row_wise}
    read = [file for file in evidence if file.source_path not in run.untouched or file.source in whole]
    read.sort(key=lambda file: (file.source, file.source_path))
    loader = Loader(run.warehouse.cursor())
    loader.forget(gone)
    total, done = sum(file.size for file in read), 0
    rows: list[dict[str, Any]] = []
    with mapping_room(cursor), Background(PORTIONS_AHEAD) as loading, Background() as mapping:
        for source, files in groupby(read, key=lambda file: file.source):
            portion = _Portion(source, mappers.get(source), loader, mapping, loading)
            for file in files:
                run.progress(f"collect {file.source_path}", done, total)
                before = known.get(file.source_path) if source not in whole else None
                rows.append(_load(run, file, portion, file.source_path in known, before))
                done += file.size
            portion.hand_over()
    loader.finish()
    loader.note(pa.Table.from_pylist(rows, schema=_FILE), gone)
    run.progress("collect", total, total)


def _mappers(run: Run, cursor: Warehouse, evidence: Sequence[EvidenceFile], gone: Collection[str]) -> dict[str, Mapper]:
    """Return the mapper of each source of which a file was added, changed or removed."""
    touched = {file.source for file in evidence if file.source_path not in run.untouched} | set(map(source_of, gone))
    return {source: Mapper.of(run, cursor, source) for source in touched & run.sql.sources}


def _evidence(run: Run) -> Sequence[EvidenceFile]:
    if run.evidence is None:
        return find_evidence(run.project.evidence, run.settings.follow_links)
    return run.evidence


def _known(run: Run) -> dict[str, Known | None]:
    """Return what the warehouse knows of files by their paths; None where a file must be read from its start."""
    rows = run.warehouse.execute("select source_path, bytes, sha256, whole_bytes, whole_lines, whole_blank from evidence.file")
    return {path: Known(*facts) if None not in facts else None for path, *facts in rows}


@dataclass
class _Portion:
    """Lines of one source on their way to the tables of evidence.*; whole pieces of a file wait in ``tables``."""

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
        """Begin with the lines of another file."""
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

    def skip(self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None) -> None:
        self.skipped.append((self.source, self.path, number, digest, reason, detail, raw))
        self._hold(len(raw or b"") + 200)

    def forget(self, path: str, after_line: int) -> None:
        """Have the rows of a file removed, from a line on, before its new lines come."""
        self.mapping.give(self.loading.give, self.loader.forget, [path], after_line)

    def hand_over(self) -> None:
        """Have the lines so far mapped and inserted, and begin a new portion."""
        self._close_table()
        lines = _joined(self.tables)
        columns = zip(*self.skipped, strict=True) if self.skipped else [[] for _ in _SKIPPED]
        skipped = pa.Table.from_arrays([pa.array(c, t) for c, t in zip(columns, _SKIPPED.types, strict=True)], schema=_SKIPPED)
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
    """Return the tables as one table in one chunk, without a copy where there is only one."""
    return pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else next(iter(tables), None)


@dataclass
class _Count:
    """What was read of a file so far."""

    lines: int = 0
    blank: int = 0
    last_is_blank: bool = False
    is_unreadable: bool = False


def _load(run: Run, file: EvidenceFile, portion: _Portion, is_known: bool, known: Known | None) -> dict[str, Any]:
    """Read one file, its good lines and the others, into the portion, and return its row of evidence.file."""
    settings = run.settings
    reader = LineReader(file, Limits(settings.max_line_bytes, settings.max_unpacked_bytes, settings.max_unpack_ratio))
    portion.begin(file.source_path)
    count = _Count()
    if known and _goes_on(reader, known):
        count = _Count(known.whole_lines, known.whole_blank)
    if is_known and (count.lines == 0 or reader.whole_bytes < reader.bytes):
        portion.forget(file.source_path, count.lines or -1)
    try:
        for read in reader:
            _take(portion, read, count, settings)
    except OSError as error:
        count.is_unreadable = True
        portion.skip(0, None, "unreadable_file", error.strerror or str(error))
    return _file_row(file, reader, count)


def _take(portion: _Portion, read: list[bytes] | LongLine | Tail, count: _Count, settings: Settings) -> None:
    """Put what was read at once into the portion: several lines, a line that is too long, or a tail that was cut."""
    if isinstance(read, list):
        _judge(portion, read, count, settings)
        return
    count.lines += 1
    count.last_is_blank = False
    if isinstance(read, LongLine):
        reason = "line_too_long" if portion.mapper else "unknown_source"
        portion.skip(count.lines, read.sha256, reason, f"offset {read.offset}, length {read.length}")
    else:
        portion.skip(count.lines, sha256(read.content).hexdigest(), "corrupt_stream", read.detail, read.content)


def _judge(portion: _Portion, lines: list[bytes], count: _Count, settings: Settings) -> None:
    """Put the good lines into the portion, and the refused ones with their reasons; count the blank ones."""
    unknown = f"there is no sql/2_sources/{portion.source}.sql"
    source_refusal = None if portion.mapper else Refusal("unknown_source", unknown)
    first = count.lines + 1
    good: list[int] = []
    for number, line in enumerate(lines, start=first):
        if is_blank(line):
            count.blank += 1
        elif refusal := source_refusal or judge(line, settings.max_depth, settings.max_values):
            portion.skip(number, sha256(line).hexdigest(), refusal.reason, refusal.detail, line)
        else:
            good.append(number)
    portion.accept(good, [lines[number - first] for number in good])
    count.lines += len(lines)
    count.last_is_blank = is_blank(lines[-1])


def _file_row(file: EvidenceFile, reader: LineReader, count: _Count) -> dict[str, Any]:
    """Return the row of evidence.file. Where the last line has no line feed it may grow, so it is not counted as whole."""
    can_go_on = not count.is_unreadable and not file.is_packed
    is_cut = reader.whole_bytes < reader.bytes
    whole = (reader.whole_bytes, count.lines - is_cut, count.blank - (is_cut and count.last_is_blank))
    whole_bytes, whole_lines, whole_blank = whole if can_go_on else (None, None, None)
    return {
        "source": file.source,
        "source_path": file.source_path,
        "bytes": None if count.is_unreadable else reader.bytes,
        "sha256": None if count.is_unreadable else reader.sha256,
        "record_count": count.lines - count.blank + count.is_unreadable,
        "blank_count": count.blank,
        "whole_bytes": whole_bytes,
        "whole_lines": whole_lines,
        "whole_blank": whole_blank,
    }


def _goes_on(reader: LineReader, known: Known) -> bool:
    try:
        return reader.goes_on_from(known)
    except OSError:
        return False  # reading will say why

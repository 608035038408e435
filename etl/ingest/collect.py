"""The stage collect: each line of evidence becomes a row of evidence.record, or of evidence.skipped, or is blank.

Three threads work in step: one reads and judges lines, one maps them, one puts rows into the tables. What an earlier run
collected and nobody touched since is not read again; of a file that grew, only what was added is parsed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Any

import pyarrow as pa

from etl.base.settings import Settings
from etl.base.threads import Background
from etl.context import EvidenceFile, Run, source_of
from etl.ingest.files import find_evidence
from etl.ingest.mapping import Mapper, mapping_room
from etl.ingest.reader import Known, LineReader, LongLine, Tail
from etl.ingest.strict_json import Refusal, is_blank, judge
from etl.warehouse.connection import Warehouse, return_freed_memory

#: Lines are mapped in portions of about this many bytes: enough to be worth a query, few enough to hold several of them.
PORTION_BYTES = 32 << 20

#: Lines become Arrow arrays when they are about this many bytes: few enough to be in the processor's caches still.
PIECE_BYTES = 1 << 20

#: Portions that may wait to be inserted: about as many as make one insert, so that mapping goes on meanwhile.
PORTIONS_AHEAD = 6

#: Records are inserted by row groups of the engine, so that each is compressed once,
ROWS_PER_INSERT = 122_880
#: or sooner, where so many bytes wait.
BYTES_PER_INSERT = 256 << 20

#: The columns of evidence.skipped.
_SKIPPED = ("source", "source_path", "item_number", "item_sha256", "reason", "detail", "raw")


def collect(run: Run) -> None:
    """Bring the tables evidence.* up to the files of the evidence folder; what cannot become a record is skipped.

    Raises SqlError where a mapping does not work or does not give one row per line.
    """
    found = run.evidence
    if found is None:
        found = tuple(find_evidence(run.project.evidence, run.settings.follow_links))
    evidence = [file for file in found if not file.ignored_by]
    known = _known(run)
    gone = known.keys() - {file.source_path for file in evidence}
    cursor = run.warehouse.cursor()
    mappers = _mappers(run, cursor, evidence, gone)
    whole = {source for source, mapper in mappers.items() if not mapper.is_row_wise}
    read = [file for file in evidence if file.source_path not in run.untouched or file.source in whole]
    read.sort(key=lambda file: (file.source, file.source_path))
    loader = _Loader(run.warehouse.cursor())
    loader.forget(gone)
    total, done = sum(file.size for file in read), 0
    rows = [_row_of(file, ignored_by=file.ignored_by) for file in found if file.ignored_by]
    with mapping_room(cursor), Background(PORTIONS_AHEAD) as loading, Background() as mapping:
        for source, files in groupby(read, key=lambda file: file.source):
            portion = _Portion(source, mappers.get(source), loader, mapping, loading)
            for file in files:
                run.progress(f"collect {file.source_path}", done, total)
                before = known.get(file.source_path) if source not in whole else None
                rows.append(_load(run.settings, file, portion, file.source_path in known, before))
                done += file.size
            portion.hand_over()
    loader.finish(rows, gone)
    run.progress("collect", total, total)


def _mappers(run: Run, cursor: Warehouse, evidence: Sequence[EvidenceFile], gone: Collection[str]) -> dict[str, Mapper]:
    """Return the mapper of each source of which a file was added, changed or removed."""
    touched = {file.source for file in evidence if file.source_path not in run.untouched} | set(map(source_of, gone))
    return {source: Mapper.of(run, cursor, source) for source in touched & run.sql.sources}


def _known(run: Run) -> dict[str, Known | None]:
    """Return what the warehouse knows of files by their paths; None where a file must be read from its start."""
    rows = run.warehouse.execute("select source_path, bytes, sha256, whole_bytes, whole_lines, whole_blank from evidence.file")
    return {path: Known(*facts) if None not in facts else None for path, *facts in rows}


class _Loader:
    """Inserts into evidence.* and deletes from it; ``warehouse`` is a cursor for the thread that does."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._waiting: pa.Table | None = None
        self._had_long_line = False

    def put(self, records: pa.Table | None, skipped: pa.Table) -> None:
        """Insert rows of evidence.skipped, and rows of evidence.record, which may wait for others."""
        if skipped.num_rows:
            self._warehouse.insert("evidence.skipped", skipped)
            self._had_long_line |= skipped.nbytes > PORTION_BYTES
        if records:
            waiting = pa.concat_tables([self._waiting, records]) if self._waiting else records
            while waiting.num_rows >= ROWS_PER_INSERT or waiting.nbytes >= BYTES_PER_INSERT:
                self._insert(waiting)
                waiting = waiting.slice(ROWS_PER_INSERT)
            self._waiting = waiting

    def finish(self, files: list[dict[str, Any]], gone: Collection[str]) -> None:
        """Insert what waits, and the rows of evidence.file, from which those of files that are gone are deleted."""
        if self._waiting:
            self._insert(self._waiting)
        self._delete("evidence.file where", [*gone, *(file["source_path"] for file in files)])
        if files:
            self._warehouse.insert("evidence.file", pa.Table.from_pylist(files))
        if self._had_long_line:
            return_freed_memory()

    def forget(self, paths: Collection[str], after_line: int = -1) -> None:
        """Delete what came from these files, or from their lines after one of this number."""
        for table in ("evidence.record", "evidence.skipped"):
            self._delete(f"{table} where item_number > {after_line} and", paths)

    def _insert(self, records: pa.Table) -> None:
        # in one chunk, so that one thread of the engine fills one row group
        self._warehouse.insert("evidence.record", records.slice(0, ROWS_PER_INSERT).combine_chunks())

    def _delete(self, rows: str, paths: Collection[str]) -> None:
        self._warehouse.execute(f"delete from {rows} source_path in (select unnest(?::varchar[]))", [sorted(paths)])


@dataclass
class _Portion:
    """Lines of one source on their way to the tables of evidence.*; whole pieces of a file wait in ``tables``."""

    source: str
    mapper: Mapper | None
    loader: _Loader
    mapping: Background
    loading: Background
    path: str = ""
    numbers: list[int] = field(default_factory=list)
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
        self.lines += lines
        size = sum(map(len, lines))
        self.loose += size
        if self.loose >= PIECE_BYTES:
            self._close_table()
        self._hold(size + 200 * len(lines))

    def skip(self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None) -> None:
        self.skipped.append((self.source, self.path, number, digest, reason, detail, raw))
        self._hold(len(raw or b"") + 200)

    def forget(self, after_line: int) -> None:
        """Have the rows of the file removed, from a line on, before its new lines come."""
        self.mapping.give(self.loading.give, self.loader.forget, [self.path], after_line)

    def hand_over(self) -> None:
        """Have the lines so far mapped and inserted, and begin a new portion."""
        self._close_table()
        lines = pa.concat_tables(self.tables).combine_chunks() if self.tables else None
        self.mapping.give(self._map, lines, self.skipped)
        self.tables, self.skipped, self.held = [], [], 0

    def _map(self, lines: pa.Table | None, refused: list[tuple[Any, ...]]) -> None:
        columns: dict[str, Any] = dict(zip(_SKIPPED, zip(*refused, strict=True), strict=False))  # none where there is no row
        skipped = pa.table(columns | {"raw": _as_binary(columns["raw"])} if refused else {})
        records = None
        if self.mapper and lines:
            records, unmapped = self.mapper.map(lines)
            skipped = pa.concat_tables([skipped, unmapped], promote_options="default")
        self.loading.give(self.loader.put, records, skipped)

    def _hold(self, size: int) -> None:
        self.held += size
        if self.held > PORTION_BYTES and (self.mapper is None or self.mapper.is_row_wise):
            self.hand_over()

    def _close_table(self) -> None:
        if self.lines:
            text = pa.array(self.lines, pa.binary())  # the judge has seen that it is UTF-8
            columns = {
                "source": pa.repeat(self.source, len(text)),
                "source_path": pa.repeat(self.path, len(text)),
                "item_number": pa.array(self.numbers, pa.int64()),
                "item_sha256": pa.array([sha256(line).hexdigest() for line in self.lines], pa.string()),
                "json": text.view(pa.string()),
            }
            self.tables.append(pa.table(columns))
        self.numbers, self.lines, self.loose = [], [], 0


def _as_binary(values: Iterable[bytes | None]) -> pa.ChunkedArray:
    """Return bytes as an Arrow array; long ones are not copied, because the engine makes copies of its own."""
    chunks: list[pa.Array] = []
    for is_long, group in groupby(values, key=lambda value: len(value or b"") >= PIECE_BYTES):
        if is_long:
            chunks += [_lend(value or b"") for value in group]
        else:
            copied = pa.table([pa.array(list(group), pa.binary())], ["raw"])
            chunks += copied["raw"].chunks  # several, above 2 GiB
    return pa.chunked_array(chunks, pa.binary())


def _lend(value: bytes) -> pa.BinaryArray:
    """Return an array of these bytes that does not copy them."""
    ends = pa.array([0, len(value)], pa.int32()).buffers()[1]
    return pa.BinaryArray.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(value)])


@dataclass
class _Count:
    """How many lines of a file were read, and were blank, so far; and whether the last one is."""

    lines: int = 0
    blank: int = 0
    last_is_blank: bool = False


def _load(settings: Settings, file: EvidenceFile, portion: _Portion, is_known: bool, known: Known | None) -> dict[str, Any]:
    """Read one file, its good lines and the others, into the portion, and return its row of evidence.file."""
    reader, is_readable = LineReader(file, settings), True
    portion.begin(file.source_path)
    count = _begin(reader, portion, is_known, known)
    refusal = _refuse(file, portion)
    try:
        if refusal:
            reader.skim()
            portion.skip(0, None, *refusal)
        else:
            for read in reader:
                _take(portion, read, count, settings)
    except OSError as error:
        is_readable = False
        portion.skip(0, None, "unreadable_file", error.strerror or str(error))
    facts: dict[str, Any] = {
        "blank_count": count.blank,
        "record_count": count.lines - count.blank + (not is_readable or refusal is not None),
    }
    if is_readable:
        facts |= {"bytes": reader.bytes, "sha256": reader.sha256}
    if is_readable and not refusal and not file.packing:
        facts |= _whole(reader, count)
    return _row_of(file, **facts)


def _refuse(file: EvidenceFile, portion: _Portion) -> Refusal | None:
    """Return why a file is one entry as a whole, if it is; one that must not be read says so when it is read."""
    if not file.has_lines and not file.path.is_dir():
        return Refusal("unknown_format", "its name ends in no format that can be read, such as .jsonl or .ndjson.gz")
    if portion.mapper is None:
        return Refusal("unknown_source", f"there is no sql/2_sources/{file.source}.sql")
    return None


def _row_of(file: EvidenceFile, **facts: Any) -> dict[str, Any]:
    """Return the row of evidence.file with these facts; what is not known is null."""
    known = {"source": file.source, "source_path": file.source_path, "record_count": 0, "blank_count": 0}
    return dict.fromkeys(("bytes", "sha256", "whole_bytes", "whole_lines", "whole_blank", "ignored_by")) | known | facts


def _begin(reader: LineReader, portion: _Portion, is_known: bool, known: Known | None) -> _Count:
    """Return what is known of a file that has only grown, and have the rows removed that do not come from that."""
    count = _Count()
    if known and reader.goes_on_from(known):
        count = _Count(known.whole_lines, known.whole_blank)
    if is_known and (count.lines == 0 or reader.whole_bytes < reader.bytes):
        portion.forget(count.lines or -1)
    return count


def _whole(reader: LineReader, count: _Count) -> dict[str, int]:
    """Return where reading can go on when the file has grown: without a line feed, its last line may have grown too."""
    is_cut = reader.whole_bytes < reader.bytes
    lines, blank = count.lines - is_cut, count.blank - (is_cut and count.last_is_blank)
    return {"whole_bytes": reader.whole_bytes, "whole_lines": lines, "whole_blank": blank}


def _take(portion: _Portion, read: list[bytes] | LongLine | Tail, count: _Count, settings: Settings) -> None:
    """Put what was read at once into the portion: several lines, a line that is too long, or a tail that was cut."""
    if isinstance(read, list):
        _judge(portion, read, count, settings)
        return
    count.lines += 1
    count.last_is_blank = False
    if isinstance(read, LongLine):
        portion.skip(count.lines, read.sha256, "line_too_long", f"offset {read.offset}, length {read.length}")
    else:
        portion.skip(count.lines, sha256(read.content).hexdigest(), "corrupt_stream", read.detail, read.content)


def _judge(portion: _Portion, lines: list[bytes], count: _Count, settings: Settings) -> None:
    """Put the good lines into the portion, and the refused ones with their reasons; count the blank ones."""
    first = count.lines + 1
    good: list[int] = []
    for number, line in enumerate(lines, start=first):
        if is_blank(line):
            count.blank += 1
        elif refusal := judge(line, settings.max_depth, settings.max_values):
            portion.skip(number, sha256(line).hexdigest(), refusal.reason, refusal.detail, line)
        else:
            good.append(number)
    portion.accept(good, [lines[number - first] for number in good])
    count.lines += len(lines)
    count.last_is_blank = is_blank(lines[-1])

"""The stage collect: bytes of evidence become rows of evidence.record, or of evidence.skipped; nothing in between."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Any

import pyarrow as pa

from etl.errors import MachineError, SqlError, StageError
from etl.evidence import EvidenceFile, Limits, LineReader, LongLine, find_evidence
from etl.lines import Refusal, is_blank, judge
from etl.run import Run
from etl.views import View
from etl.warehouse import Warehouse

#: Lines are handed to the warehouse in batches of about this many bytes.
BATCH_BYTES = 16 << 20

_LINE = pa.schema(
    [
        ("source", pa.string()),
        ("source_path", pa.string()),
        ("line_number", pa.int64()),
        ("line_sha256", pa.string()),
        ("json", pa.string()),
    ]
)
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


def collect(run: Run) -> None:
    """Read every file of the evidence folder into the warehouse; what cannot become a record is skipped with a reason.

    Raises SqlError where a mapping does not work or does not give one row per line.
    """
    files = find_evidence(run.project.evidence, run.settings.follow_links)
    total = sum(file.size for file in files)
    done = 0
    by_source = sorted(files, key=lambda file: (file.source, file.source_path))
    for source, group in groupby(by_source, key=lambda file: file.source):
        is_known = source in run.sql.sources
        run.warehouse.execute("truncate raw.line")
        for file in group:
            run.progress(f"collect {file.source_path}", done, total)
            _load(run, file, is_known)
            done += file.size
        if is_known:
            _map(run, source)
    run.progress("collect", total, total)


@dataclass(slots=True)
class _Batch:
    """Lines of one file on their way into the warehouse."""

    run: Run
    file: EvidenceFile
    lines: list[tuple[int, str, str]] = field(default_factory=list)
    skipped: list[tuple[int, str | None, str, str | None, bytes | None]] = field(default_factory=list)
    held: int = 0

    def accept(self, number: int, digest: str, line: bytes) -> None:
        self.lines.append((number, digest, line.decode()))
        self._hold(len(line))

    def skip(
        self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None
    ) -> None:
        self.skipped.append((number, digest, reason, detail, raw))
        self._hold(len(raw or b""))

    def flush(self) -> None:
        where = [self.file.source, self.file.source_path]
        if self.lines:
            self.run.warehouse.insert("raw.line", _table(_LINE, where, self.lines))
        if self.skipped:
            self.run.warehouse.insert("evidence.skipped", _table(_SKIPPED, where, self.skipped))
        self.lines, self.skipped, self.held = [], [], 0

    def _hold(self, size: int) -> None:
        self.held += size + 200
        if self.held > BATCH_BYTES:
            self.flush()


def _table(schema: pa.Schema, constants: list[str], rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    types = schema.types
    repeated = [pa.repeat(constant, len(columns[0])) for constant in constants]
    varying = [pa.array(column, kind) for column, kind in zip(columns, types[len(constants) :], strict=True)]
    return pa.Table.from_arrays([*repeated, *varying], schema=schema)


def _load(run: Run, file: EvidenceFile, is_known: bool) -> None:
    """Read one file: its good lines into raw.line, the others into evidence.skipped, the file itself into evidence.file."""
    batch = _Batch(run, file)
    settings = run.settings
    limits = Limits(settings.max_line_bytes, settings.max_unpacked_bytes, settings.max_unpack_ratio)
    reader = LineReader(file, limits)
    max_depth = run.settings.max_depth
    number = blank = 0
    unreadable = False
    try:
        for number, line in enumerate(reader, start=1):
            if isinstance(line, bytes):
                if is_blank(line):
                    blank += 1
                    continue
                digest = sha256(line).hexdigest()
                refusal = judge(line, max_depth) if is_known else Refusal("unknown_source", _unknown(file))
                if refusal:
                    batch.skip(number, digest, refusal.reason, refusal.detail, line)
                else:
                    batch.accept(number, digest, line)
            elif isinstance(line, LongLine):
                detail = f"offset {line.offset}, length {line.length}"
                reason = "line_too_long" if is_known else "unknown_source"
                batch.skip(number, line.sha256, reason, detail)
            else:
                batch.skip(number, sha256(line.content).hexdigest(), "corrupt_stream", line.detail, line.content)
    except OSError as error:
        unreadable = True
        batch.skip(0, None, "unreadable_file", error.strerror or str(error))
    batch.flush()
    run.warehouse.insert(
        "evidence.file",
        pa.Table.from_pylist(
            [
                {
                    "source": file.source,
                    "source_path": file.source_path,
                    "bytes": None if unreadable else reader.bytes,
                    "sha256": None if unreadable else reader.sha256,
                    "record_count": number - blank + unreadable,
                    "blank_count": blank,
                }
            ],
            schema=_FILE,
        ),
    )


_FILE = pa.schema(
    [
        ("source", pa.string()),
        ("source_path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("record_count", pa.int64()),
        ("blank_count", pa.int64()),
    ]
)


def _unknown(file: EvidenceFile) -> str:
    return f"there is no sql/2_sources/{file.source}.sql"


def _map(run: Run, source: str) -> None:
    """Turn the lines in raw.line into records, by the source's mapping."""
    warehouse = run.warehouse
    mapping = run.sql.source(source)
    warehouse.execute("truncate raw.mapped")
    try:
        if _names_its_lines(warehouse, mapping):
            warehouse.execute("insert into raw.mapped by name from query_table(?)", [mapping.qualified])
        else:
            warehouse.execute(
                "insert into raw.mapped by name select line.source_path, line.line_number, mapped.* "
                "from raw.line as line positional join query_table(?) as mapped",
                [mapping.qualified],
            )
    except MachineError:
        raise
    except StageError as error:
        raise SqlError(f"{mapping.path}: {error}") from error
    lines, mapped, matched = warehouse.execute(
        "select (select count(*) from raw.line), (select count(*) from raw.mapped), "
        "(select count(*) from raw.line semi join raw.mapped using (source_path, line_number))"
    )[0]
    if not lines == mapped == matched:
        raise SqlError(
            f"{mapping.path}: {lines} lines gave {mapped} rows, and {lines - matched} lines have none; "
            "a mapping must give exactly one row for each line of raw.line, with its source_path and line_number."
        )
    try:
        warehouse.execute(
            "insert into evidence.record by name select * exclude (problem) from evidence.incoming where problem is null"
        )
        warehouse.execute(
            "insert into evidence.skipped by name "
            "select incoming.source, incoming.source_path, incoming.line_number, incoming.line_sha256, "
            "incoming.problem as reason, encode(line.json) as raw "
            "from evidence.incoming as incoming inner join raw.line as line "
            "on incoming.source_path = line.source_path and incoming.line_number = line.line_number "
            "where incoming.problem is not null"
        )
    except MachineError:
        raise
    except StageError as error:
        raise SqlError(f"{mapping.path}: {error}") from error


#: The steps of a plan that gives row for row what it reads, in that order.
_ROW_BY_ROW = {"PROJECTION", "SEQ_SCAN"}


def _names_its_lines(warehouse: Warehouse, mapping: View) -> bool:
    """Tell whether a mapping passes source_path and line_number on; raise SqlError where it names what it must not.

    It may leave out both if it goes row by row: then its rows stand in the order of the lines.
    """
    columns = set(warehouse.columns(mapping.qualified))
    unknown = sorted(columns - set(warehouse.columns("raw.mapped")))
    if unknown:
        raise SqlError(f"{mapping.path}: evidence.record has no column {', '.join(unknown)}; rename or remove it.")
    key = {"source_path", "line_number"} & columns
    if not key and warehouse.steps(mapping.qualified) <= _ROW_BY_ROW:
        rows = warehouse.one("select count(*) from query_table(?)", [mapping.qualified])
        if rows == warehouse.one("select count(*) from raw.line"):
            return False
    if len(key) != 2:
        raise SqlError(f"{mapping.path}: select source_path and line_number too, so that each row names its line.")
    return True

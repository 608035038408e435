"""The stage collect: each item of the evidence becomes a record, is part of one, is skipped with its reason, or is blank.

Threads work in step: one reads items, which processes judge where there are many, several map portions of them, one puts rows
into the tables.
What an earlier run collected and nobody touched since is not read again; of a line file that grew, only what is new is parsed.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from etl.base.memory import workers_within
from etl.base.threads import Background, workers
from etl.context import IGNORE_FILE, EvidenceFile, Run, source_of
from etl.ingest.directives import Directives
from etl.ingest.files import Rules, find_evidence
from etl.ingest.formats.lines import Known
from etl.ingest.items import ItemReader, Tally, skim
from etl.ingest.judging import Judging, judging
from etl.ingest.loader import Loader
from etl.ingest.mapping import Mapper, MappingError, mapping_room
from etl.ingest.portion import Portion
from etl.warehouse.connection import Warehouse

#: Portions that may wait beside those that are mapped, so that mapping goes on during an insert.
PORTIONS_AHEAD = 4


def collect(run: Run) -> None:
    """Bring the tables evidence.* up to the files of the evidence folder; what cannot become a record is skipped."""
    rules = Rules.of(run.project.evidence, run.sql)
    found = run.evidence
    if found is None:
        found = tuple(find_evidence(run.project.evidence, run.sql, run.settings.follow_links))
    evidence = [file for file in found if not file.ignored_by]
    before = _Before.of(run)
    gone = before.units.keys() - {file.source_path for file in evidence}
    cursor = run.warehouse.cursor()
    loader = Loader(run.warehouse.cursor())
    loader.forget(gone)
    rows = [_row_of_ignored(file) for file in found if file.ignored_by]
    most = workers_within(run.settings.memory_limit, run.settings.threads)
    changes = _changes(run, evidence, before, gone)
    total = sum(file.size for file in evidence if file.source in changes)
    with (
        mapping_room(cursor),
        judging(most, total) as judges,
        Background(most + PORTIONS_AHEAD) as loading,
        workers(most) as mapping,
    ):
        paths = [file.source_path for file in found]
        sources = _Sources(run, rules, paths, before, cursor, loader, mapping, loading, judges, total=total)
        sources.cursors.extend(run.warehouse.cursor() for _ in range(most))
        for source, files in groupby(
            sorted(evidence, key=lambda file: (file.source, file.source_path)), key=lambda file: file.source
        ):
            if source in changes:
                rows += sources.collect(source, [*files], changes[source])
    loader.finish(rows, gone | before.ignored)
    run.progress("collect", sources.total, sources.total)


def _row_of_ignored(file: EvidenceFile) -> dict[str, Any]:
    """Return the row of evidence.file of a file that is ignored; of .etlignore it has the hash, as it decides what is read."""
    tally = Tally(file)
    if file.source_path == IGNORE_FILE:
        with suppress(OSError):
            tally.facts = skim(file)
    return tally.row(file.ignored_by)


@dataclass(frozen=True)
class _Before:
    """What the warehouse knows of files by their paths: what was read, where reading can go on, and their units.

    ``ignored`` are the paths of files that a rule left out; ``failed`` the sources whose mapping did not work.
    """

    known: dict[str, Known | None]
    units: dict[str, str | None]
    ignored: frozenset[str]
    failed: frozenset[str]

    @classmethod
    def of(cls, run: Run) -> "_Before":
        facts = "source_path, unit, bytes, sha256, whole_bytes, whole_lines, whole_blank, whole_nan"
        rows = run.warehouse.execute(f"select {facts} from evidence.file where ignored_by is null")
        ignored = run.warehouse.execute("select source_path from evidence.file where ignored_by is not null")
        failed = run.warehouse.execute("select distinct source from evidence.skipped where reason = 'mapping_failed'")
        known = {path: Known(*facts) if None not in facts else None for path, _, *facts in rows}
        units = {path: unit for path, unit, *_ in rows}
        return cls(known, units, frozenset(path for (path,) in ignored), frozenset(source for (source,) in failed))


@dataclass
class _Changes:
    """What changed of a source: files by their paths, and the units that hold what changed, or held it."""

    paths: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)


def _changes(run: Run, evidence: Iterable[EvidenceFile], before: _Before, gone: Collection[str]) -> dict[str, _Changes]:
    """Return what changed of each source of which a file was added, changed or removed, or belongs to another unit now.

    Where .etlignore changed, so did each archive, as other members of it may be ignored.
    """
    found: dict[str, _Changes] = {}
    has_rules = IGNORE_FILE in before.ignored or (run.project.evidence / IGNORE_FILE).exists()
    are_rules_same = IGNORE_FILE in run.untouched or not has_rules
    for path in gone:
        found.setdefault(source_of(path), _Changes()).units.add(before.units[path] or "")
    for file in evidence:
        unit = before.units.get(file.source_path)
        is_known = file.source_path in run.untouched and file.source not in run.anew
        is_same = is_known and (are_rules_same or file.format != "archive")
        if not is_same or unit != file.unit:
            changes = found.setdefault(file.source, _Changes())
            changes.paths.add(file.source_path)
            changes.units |= {file.unit or "", unit or ""}
    for changes in found.values():
        changes.units.discard("")
    return found


@dataclass
class _Sources:
    """Collects one source after the other; ``paths`` are those of all files of the evidence folder."""

    run: Run
    rules: Rules
    paths: Sequence[str]
    before: _Before
    cursor: Any
    loader: Loader
    mapping: Executor
    loading: Background
    judging: Judging
    cursors: deque[Warehouse] = field(default_factory=deque)
    total: int = 0
    done: int = 0

    def collect(self, source: str, files: Sequence[EvidenceFile], changes: _Changes) -> list[dict[str, Any]]:
        """Collect what changed of a source, whose files are given, and return the rows of evidence.file that this makes.

        Where its mapping does not work, all items of the source are skipped.
        """
        mapper, failure = None, None
        if source in self.rules.directives:
            mapper = Mapper(self.cursor, self.run.sql.source(source), self.rules.directives[source], self.run.settings)
            try:
                mapper.prepare()
                needs_all = mapper.needs_whole_source or source in self.before.failed | self.run.anew
                return self._read(
                    self._portion(source, mapper), files if needs_all else self._touched(files, changes), needs_all
                )
            except MappingError as error:
                failure = error
        portion = self._portion(source, None, failure)
        if failure:
            portion.forget_source()
            return self._read(portion, files, is_whole=True)
        return self._read(portion, self._touched(files, changes), is_whole=False)

    def _touched(self, files: Sequence[EvidenceFile], changes: _Changes) -> list[EvidenceFile]:
        return [
            file
            for file in files
            if file.source_path in changes.paths or {file.unit, self.before.units.get(file.source_path)} & changes.units
        ]

    def _portion(self, source: str, mapper: Mapper | None, failure: MappingError | None = None) -> Portion:
        return Portion(source, mapper, self.loader, self.mapping, self.cursors, self.loading, failure)

    def _read(self, portion: Portion, files: Sequence[EvidenceFile], is_whole: bool) -> list[dict[str, Any]]:
        directives = self.rules.directives.get(portion.source, Directives())
        paths = [path for path in self.paths if source_of(path) == portion.source]
        reader = ItemReader(self.run.settings, self.rules, directives, paths, portion, self.judging)
        can_go_on = directives.grain == "item" and not is_whole and portion.mapper is not None
        for file in files:
            if file.source_path in self.before.units and not (can_go_on and file.format == "lines"):
                portion.forget(file.source_path)
        with closing(reader):
            for file in reader.in_order(files):
                self.run.progress(f"collect {file.source_path}", self.done, self.total)
                known = self.before.known.get(file.source_path) if can_go_on else None
                reader.read(file, known, file.source_path in self.before.units)
                self.done += file.size
        portion.finish()
        return reader.rows()

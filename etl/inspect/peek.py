"""Shows what a run would make of the first items of a source, or of one item. Nothing is written."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import pyarrow as pa

from etl.base.errors import NotFoundError, SqlError, SqlPlace, UsageError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.base.signals import interrupting, run_stoppable
from etl.context import EvidenceFile, source_of
from etl.ingest.directives import Directives, pointer_of
from etl.ingest.fields import FieldParser
from etl.ingest.files import Rules, find_evidence
from etl.ingest.loader import Loader, skipped_rows
from etl.ingest.mapping import Mapper, MappingError, mapping_room
from etl.inspect.first_items import Kept, Place, Search, holds, is_unknown, read_units
from etl.inspect.places import parse_place, paths_of
from etl.inspect.sql import as_json_holds
from etl.inspect.suggestion import Suggestion, suggest_fields
from etl.warehouse.connection import Warehouse
from etl.warehouse.sql_files import Sql
from etl.warehouse.statements import read_sql

Row = dict[str, Any]

#: So many sources are named to a person who asked for one that is not there.
_NAMED_SOURCES = 30

_WHOLE_DOCUMENT, _ELEMENTS = ("",), ("/*",)


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A typed field of an item, with its value; or with what is wrong with it (``problem``, ``detail``)."""

    name: str
    type: str
    pointer: str
    value: Any
    problem: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class PeekedItem:
    """An item, or a file that is one entry (item 0), and what a run would make of it.

    ``outcome``: mapped (``records`` are made of it), part (of the ``records``), skipped (with its ``reason`` and ``detail``; a
    row of ``records`` is what the mapping gave), blank, or read (a mapping that works is missing). ``part_of`` are the places
    of the records that it is a part of. ``text`` is the item as it stands; null where it is not at hand.
    """

    source_path: str
    item_number: int
    unit: str | None = None
    pointer: str | None = None
    outcome: str = "read"
    reason: str | None = None
    detail: str | None = None
    part_of: list[Row] = field(default_factory=list)
    fields: list[FieldValue] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the mapping does not work: a sentence, where in its file, the line there, and the item for which it failed."""

    message: str
    path: str
    line: int | None
    column: int | None
    sql: str | None
    source_path: str | None = None
    item_number: int | None = None


@dataclass(slots=True)
class Peek:
    """What was seen of a source.

    ``mapping`` is its file in the sql folder, null where there is none: then ``suggestion`` says which fields it could have,
    and ``write`` which file to write. ``grain`` is what the mapping sees at once; ``is_whole``: all of the source was read.
    ``unshown`` counts items that were read and are mapped or skipped, but not among ``items``. ``ignored`` are files with the
    rule that ignores them, ``unknown_format`` files that no reader knows; both are empty where one item was asked for.
    """

    source: str
    mapping: str | None
    grain: str
    is_whole: bool
    items: list[PeekedItem] = field(default_factory=list)
    unshown: int = 0
    ignored: list[Row] = field(default_factory=list)
    unknown_format: list[str] = field(default_factory=list)
    failure: Failure | None = None
    suggestion: Suggestion | None = None
    write: str | None = None


def peek(project: Project, settings: Settings, source: str, most: int, at: str | None, tell: Callable[[str], None]) -> Peek:
    """Return what a run would make of the first ``most`` items of a source that it maps or skips, or of the item at a place.

    ``tell`` is called with a sentence before all of a source is read. A signal stops it. Raises NotFoundError where there is no
    evidence of the source or no such item, UsageError where ``at`` is not a place of the source, SqlError where another file
    of the sql folder does not work.
    """
    sql = Sql.of(project.overlay)
    found = find_evidence(project.evidence, sql, settings.follow_links)
    files = [file for file in found if file.source == source]
    if not files:
        raise NotFoundError(_no_such_source(source, found, project))
    search = Search(project, settings, sql, Rules.of(project.evidence, sql), source, files, most)
    if at is not None:
        search.wanted = (_wanted(source, files, at),)
    return run_stoppable(lambda: _peek(search, tell))


def _no_such_source(source: str, found: Iterable[EvidenceFile], project: Project) -> str:
    names = sorted({file.source for file in found if not file.ignored_by})
    named = ", ".join(names[:_NAMED_SOURCES])
    more = f" and {len(names) - _NAMED_SOURCES:,} more" if len(names) > _NAMED_SOURCES else ""
    there = f"the sources there are {named}{more}" if names else "no file there is evidence"
    return f"{project.evidence} has no evidence of a source {source!r}; {there}."


def _wanted(source: str, files: Sequence[EvidenceFile], at: str) -> Place:
    """Return the place that a text names, among the files of a source. Raises UsageError, NotFoundError."""
    place = parse_place(at)
    if place is None:
        raise UsageError(f"--at {at}: write it as path:item, such as {files[0].source_path}:1.")
    paths = [path for path in paths_of(place[0]) if source_of(path) == source]
    if not paths:
        raise UsageError(f"--at {at}: this is no path of the source {source}; give one such as {files[0].source_path}:1.")
    for path in paths:
        if any(holds(file, path) for file in files):
            return path, place[1]
    raise NotFoundError(f"--at {at}: there is no such file; give a path from the evidence folder.")


def _peek(search: Search, tell: Callable[[str], None]) -> Peek:
    if search.source not in search.sql.sources:
        return _peek_unmapped(search)
    mapping = search.sql.source(search.source)
    try:
        warehouse = Warehouse.create(search.sql, search.settings)
    except SqlError as error:
        if error.place is None or error.place.path != mapping.path:
            raise
        return _peek_unbound(search, _failure(search, str(error), error.place))
    with closing(warehouse), interrupting(warehouse.interrupt), mapping_room(warehouse):
        mapper = Mapper(warehouse, mapping, search.directives, search.settings)
        try:
            mapper.prepare()
        except MappingError as error:
            return _peek_unbound(search, _failure(search, str(error), error.place))
        if mapper.needs_whole_source:
            tell(_why_whole(search))
        return _peek_mapped(search, warehouse, mapper)


def _why_whole(search: Search) -> str:
    size = sum(file.size for file in search.files if not file.ignored_by)
    return f"The mapping of {search.source} must see all of its items at once, so all of it is read: {size:,} bytes."


# --- with a mapping -----------------------------------------------------------------------------------------------------------


def _peek_mapped(search: Search, warehouse: Warehouse, mapper: Mapper) -> Peek:
    is_whole = mapper.needs_whole_source
    loader, kept, refused = Loader(warehouse), Kept(), list[Row]()
    failure, seen = None, 0
    for taken in read_units(search, is_whole):
        kept.keep(taken)
        skipped = skipped_rows(taken.skipped)
        try:
            mapped = mapper.map(mapper.together(taken.items)) if taken.items else None
        except MappingError as error:
            failure = _failure(search, str(error), error.place, error.item)
            break
        if mapped:
            skipped = pa.concat_tables([skipped, mapped.skipped], promote_options="default")
            refused += _refused(mapped.refused)
        loader.put(mapped and mapped.records, skipped)
        seen += skipped.num_rows + (_count_items(mapped.records) if mapped else 0)
        if seen >= search.most and not search.wanted:
            break
    if failure:
        return _described(search, is_whole, _unmapped_items(search, kept, failure), failure=failure)
    loader.finish([], [])
    own = [tuple(row) for row in warehouse.execute(read_sql(__file__, "own_item"), {"most": search.most})]
    shown = [*search.wanted] or own
    items = [_mapped_item(search, warehouse, kept, refused, place) for place in shown]
    return _described(search, is_whole, items, unshown=0 if search.wanted else seen - len(shown))


def _count_items(records: Any) -> int:
    """Return of how many items records are made."""
    return records.group_by(["source_path", "item_number"]).aggregate([]).num_rows if records.num_rows else 0


def _refused(rows: Any) -> list[Row]:
    """Return rows of evidence.incoming that have a problem, without the columns that are computed from texts."""
    hashes = {
        *("prompt_sha256", "prompt_hash", "prompt_length", "response_length", "answer_hash", "answer_length"),
        *("is_answer_empty", "has_unparsed_call", "turn_hash", "content_hash", "tools_sha256", "prompt_end", "answer_end"),
    }
    found: list[Row] = rows.select([name for name in rows.column_names if name not in hashes]).to_pylist()
    return found


def _mapped_item(search: Search, warehouse: Warehouse, kept: Kept, refused: Iterable[Row], place: Place) -> PeekedItem:
    """Return an item with what became of it. Raises NotFoundError where there is none."""
    item = _item(search, kept, place)
    values = {"places": [f"{item.source_path}:{item.item_number}"]}
    records = warehouse.dicts(read_sql(__file__, "peeked_record"), values)
    for row in warehouse.dicts(read_sql(__file__, "skipped"), {"id": "", **values}):
        item.outcome, item.reason, item.detail = "skipped", row["reason"], row["detail"]
    place = (item.source_path, item.item_number)
    item.part_of = [
        {name: record[name] for name in ("source_path", "item_number", "record_number")}
        for record in records
        if place in {(part["source_path"], part["item_number"]) for part in record["parts"] or ()}
    ]
    own = [record for record in records if (record["source_path"], record["item_number"]) == place]
    if records and item.outcome != "skipped":
        item.outcome = "mapped" if own else "part"
    item.records = as_json_holds(records)
    item.records += as_json_holds([row for row in refused if (row["source_path"], row["item_number"]) == place])
    return item


def _item(search: Search, kept: Kept, place: Place) -> PeekedItem:
    """Return an item as it was read: its place, its fields and its text. Raises NotFoundError where there is none."""
    path, number = place
    found, as_whole = kept.find(place), kept.skipped.get((path, 0))
    if found:
        items, index = found
        item = PeekedItem(path, number, items.unit, items.pointers[index] if items.pointers else None)
        item.fields = _values(search.directives, items.text(index))
        item.text = items.content(index).decode("utf-8", "backslashreplace")
        return item
    row = kept.skipped.get(place) or as_whole or kept.skipped.get((path.partition("!")[0], 0))
    if row:
        text = row[6].decode("utf-8", "backslashreplace") if row[6] is not None else None
        return PeekedItem(row[1], row[2], outcome="skipped", reason=row[4], detail=row[5], text=text)
    if rule := next((file.ignored_by for file in search.files if file.ignored_by and holds(file, path)), None):
        raise NotFoundError(f"{path} is no evidence: the rule {rule} ignores it.")
    if path not in kept.ends:
        raise NotFoundError(f"{path}: its archive has no such member, or a rule ignores it.")
    if not 0 < number <= kept.ends[path]:
        last = kept.ends[path]
        what_to_do = f"give a number from 1 to {last}" if last else "it is empty"
        raise NotFoundError(f"{path} has no item {number}; {what_to_do}.")
    return PeekedItem(path, number, outcome="blank")


def _values(directives: Directives, text: bytes) -> list[FieldValue]:
    """Return the fields of an item, each with its own problem."""
    values = []
    for each in directives.fields:
        columns, faults = FieldParser([each]).parse([text])
        values.append(FieldValue(each.name, each.type, pointer_of(each.tokens), columns[0].to_pylist()[0], *faults.get(0, ())))
    return values


# --- without a mapping that works ---------------------------------------------------------------------------------------------


def _peek_unbound(search: Search, failure: Failure) -> Peek:
    """Return the first items as they are read, and why the mapping maps none of them."""
    return _described(search, False, _unmapped_items(search, _first_units(search), failure), failure=failure)


def _first_units(search: Search) -> Kept:
    kept, seen = Kept(), 0
    for taken in read_units(search, is_whole=False):
        kept.keep(taken)
        seen += taken.count
        if seen >= search.most and not search.wanted:
            break
    return kept


def _unmapped_items(search: Search, kept: Kept, failure: Failure | None = None) -> list[PeekedItem]:
    """Return the wanted item, or the first ones, the one for which the mapping failed before the others."""
    if search.wanted:
        return [_item(search, kept, place) for place in search.wanted]
    failed = (failure.source_path, failure.item_number) if failure else (None, None)
    places = sorted(kept.places(), key=lambda place: place != failed)
    return [_item(search, kept, place) for place in places[: search.most]]


def _failure(search: Search, message: str, place: SqlPlace, item: Place | None = None) -> Failure:
    lines = search.sql.source(search.source).body.splitlines()
    line = lines[place.line - 1] if place.line is not None and place.line <= len(lines) else None
    return Failure(message, *place, line, *(item or (None, None)))


def _peek_unmapped(search: Search) -> Peek:
    """Return the first items of a source without a mapping, and which fields they have."""
    as_documents = search.with_items(_WHOLE_DOCUMENT)
    kept, items = _first_units(as_documents), None
    if not kept.items and any(row[4] == "not_an_object" for row in kept.skipped.values()):
        as_elements = search.with_items(_ELEMENTS)
        elements = _first_units(as_elements)
        if elements.items:
            as_documents, kept, items = as_elements, elements, _ELEMENTS[0]
    texts = [each.text(index) for each in kept.items for index in range(len(each.numbers))]
    found = _described(search, False, _unmapped_items(as_documents, kept))
    found.mapping, found.suggestion = None, suggest_fields(texts, items)
    found.write = str(search.project.overlay / "2_sources" / f"{search.source}.sql")
    return found


def _described(
    search: Search, is_whole: bool, items: list[PeekedItem], *, unshown: int = 0, failure: Failure | None = None
) -> Peek:
    """Return what was seen, with the files that are not read."""
    mapping = search.sql.source(search.source).path if search.source in search.sql.sources else None
    files = [] if search.wanted else search.files
    ignored = [{"source_path": file.source_path, "ignored_by": file.ignored_by} for file in files if file.ignored_by]
    unknown = [file.source_path for file in files if not file.ignored_by and is_unknown(file)]
    ignored.sort(key=itemgetter("ignored_by", "source_path"))
    return Peek(search.source, mapping, search.directives.grain, is_whole, items, unshown, ignored, unknown, failure)

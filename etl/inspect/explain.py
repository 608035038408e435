"""Explains what a text names here: its records, their rule and category, and what each dataset decides about them."""

import re
from collections import defaultdict
from typing import Any

from etl.base.errors import NotFoundError
from etl.base.project import Project
from etl.base.settings import Settings
from etl.base.terminal import LONGEST_PATH, short
from etl.inspect.item_text import item_texts
from etl.inspect.places import as_evidence_spells, parse_place, paths_of
from etl.inspect.sql import as_json_holds
from etl.warehouse.connection import Warehouse
from etl.warehouse.read_only import PublishedWarehouse
from etl.warehouse.statements import read_sql

Row = dict[str, Any]

#: An id: sha256 hex.
_ID = re.compile("[0-9a-f]{64}")


def explain(project: Project, settings: Settings, wanted: str) -> Row:
    """Return everything known about what a text names, with the texts of the evidence, which is read within the settings.

    ``wanted`` is an evidence_id, an item_sha256, an id of a dataset or quarantine, a run_id, a task_id, ``path:item`` (item 0
    is the file as a whole; the path may begin with ``evidence/``, and go on after ``!`` with a member of an archive), or the
    unique beginning of an id (eight digits or more).

    ``kinds`` says what the text is; it can be several of these, and then the answer has what each of them names. ``records``
    are those that it names, ordered by attempt, with their ``datasets`` and ``pairs``. ``grades`` are those that it names, and
    those that count for the records, each with its ``item`` as it stands in the evidence (null where that has changed).
    ``pairs`` are those that have this id. ``skipped`` are entries that became no record. ``places`` are the items at that path,
    with their ``outcome``: record, part, skipped, blank, ignored (``ignored_by`` a rule), file (the whole of a file that was
    read, with its counts) or member (the whole of a member of an archive). ``part_of`` are the places of the records that have
    the item as a part.

    Raises NotFoundError where the text names nothing, or where several ids begin with it.
    """
    text = as_evidence_spells(wanted)
    with PublishedWarehouse.open(project.warehouse) as warehouse:
        found = _explain_exactly(warehouse, text) or _explain_beginning(warehouse, text)
    graded = {(grade["source_path"], grade["item_number"]): grade["item_sha256"] for grade in found["grades"]}
    texts = item_texts(project, settings, graded)
    for grade in found["grades"]:
        grade["item"] = texts.get((grade["source_path"], grade["item_number"]))
    return found


def _explain_exactly(warehouse: Warehouse, text: str) -> Row | None:
    """Return what a whole name names; None where it names nothing. Raises NotFoundError where a file has no such item."""
    places = _places(warehouse, text)
    values = {"id": text, "places": [f"{place['source_path']}:{place['item_number']}" for place in places]}
    # to look through all pairs takes a second in a large warehouse
    pairs = _read(warehouse, "pair", id=text) if _ID.fullmatch(text) else []
    named = _read(warehouse, "named", **values)
    skipped = as_json_holds(_read(warehouse, "skipped", **values))
    kinds = [row["kind"] for row in named]
    kinds += ["id"] * bool(pairs) + ["item_sha256"] * any(row["item_sha256"] == text for row in skipped)
    reached = [place for place in places if place["outcome"]]
    kinds += ["path:item"] * bool(reached)
    if places and not kinds:
        raise NotFoundError(_beyond_the_end(places[0]))
    sides = [key for pair in pairs for key in (pair.pop("chosen_key"), pair.pop("rejected_key"))]
    keys = [key for row in named for key in row["keys"]] + sides
    grades = _read(warehouse, "grade", keys=keys) if keys else []
    found = {"records": _records(warehouse, keys), "grades": grades, "pairs": pairs, "skipped": skipped, "places": reached}
    return {"id": text, "kinds": list(dict.fromkeys(kinds))} | found if kinds else None


def _explain_beginning(warehouse: Warehouse, text: str) -> Row:
    """Return what the only id that begins with ``text`` names. Raises NotFoundError where there is none, or several."""
    ids = [str(row["id"]) for row in _read(warehouse, "id_beginning", prefix=text)]
    if len(ids) > 1:
        raise NotFoundError(f"{len(ids)} ids begin with {short(text)!r}; give more digits.")
    found = _explain_exactly(warehouse, ids[0]) if ids else None
    if found is None:
        raise NotFoundError(_nothing(warehouse, text))
    return found


def _places(warehouse: Warehouse, text: str) -> list[Row]:
    """Return each item that ``text`` can mean as a place; its path may be given from the root or from the evidence folder."""
    place = parse_place(text)
    return _read(warehouse, "place", paths=paths_of(place[0]), item=place[1]) if place else []


def _beyond_the_end(place: Row) -> str:
    """Return what is said about a number that no item of a file has."""
    path, items = short(place["source_path"], LONGEST_PATH), place["record_count"] + place["blank_count"]
    if place["is_member"]:
        wanted = f"{path}:{place['item_number']}"
        return (
            f"Nothing came of {wanted}: it is blank, ignored or not in the archive; "
            f"etl peek {place['source']} --at {wanted!r} reads it again."
        )
    what_to_do = f"give a number from 1 to {items}, or {path}:0" if items else f"it is empty, give {path}:0"
    return f"{path} has no item {place['item_number']}; {what_to_do} for the file as a whole."


def _nothing(warehouse: Warehouse, text: str) -> str:
    """Return what is said about a text that names nothing."""
    if files := _read(warehouse, "place", paths=paths_of(text), item=0):
        path = short(files[0]["source_path"], LONGEST_PATH)
        return f"{path} is a file; say which of its items, such as {path}:1, or {path}:0 for the file as a whole."
    if place := parse_place(text):
        return (
            f"The last run found no file {short(place[0])!r}, and nothing has the id {short(text)!r}; "
            'give the path from the evidence folder, or list all with etl sql "from evidence.file".'
        )
    shown = short(text)
    return (
        f"Nothing here has the id {shown!r}; give an evidence_id, the id of an exported or quarantined row, an item_sha256, "
        "a run_id, a task_id, or path:item."
    )


def _records(warehouse: Warehouse, keys: list[int]) -> list[Row]:
    """Return records by their record_key, ordered by attempt, each with the candidate pairs that it is a side of."""
    if not keys:
        return []
    pairs: dict[int, list[Row]] = defaultdict(list)
    for pair in _read(warehouse, "pair_of_record", keys=keys):
        pairs[pair.pop("record_key")].append(pair)
    records = _read(warehouse, "record", keys=keys)
    outcomes = {row["record_key"]: row["pairing_outcome"] for row in _read(warehouse, "pairing_outcome", keys=keys)}
    for record in records:
        record["pairing_outcome"] = outcomes[record["record_key"]]
        record["pairs"] = pairs[record.pop("record_key")]
    return records


def _read(warehouse: Warehouse, name: str, **values: Any) -> list[Row]:
    """Return the rows of one of the statements beside this module."""
    return warehouse.dicts(read_sql(__file__, name), values)

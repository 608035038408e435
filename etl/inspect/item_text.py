"""Reads items again from the evidence, where they still stand as the last run read them."""

from collections.abc import Mapping
from hashlib import sha256

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import source_of
from etl.ingest.files import Rules, find_evidence
from etl.inspect.first_items import Kept, Place, Search, holds, read_units
from etl.warehouse.sql_files import Sql


def item_texts(project: Project, wanted: Mapping[Place, str]) -> dict[Place, str]:
    """Return the texts of items by their places, each of which must have its sha256.

    An item is left out where its file is gone, or where another stands in its place.
    """
    if not wanted or not project.evidence.is_dir():
        return {}
    sql = Sql.of(project.overlay)
    rules = Rules.of(project.evidence, sql)
    found = find_evidence(project.evidence, sql)
    texts: dict[Place, str] = {}
    for place, digest in wanted.items():
        source = source_of(place[0])
        files = [file for file in found if file.source == source and holds(file, place[0])]
        content = _read(Search(project, Settings(), sql, rules, source, files, 1, place), place)
        if content is not None and sha256(content).hexdigest() == digest:
            texts[place] = content.decode()
    return texts


def _read(search: Search, place: Place) -> bytes | None:
    kept = Kept()
    for taken in read_units(search, is_whole=False):
        kept.keep(taken)
    found = kept.find(place)
    return found[0].contents[found[1]] if found else None

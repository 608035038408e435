"""Reads items again from the evidence, where they still stand as the last run read them."""

from collections.abc import Mapping
from hashlib import sha256
from itertools import groupby

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import source_of
from etl.ingest.files import Rules, find_evidence
from etl.inspect.first_items import Kept, Place, Search, holds, read_units
from etl.warehouse.sql_files import Sql


def item_texts(project: Project, settings: Settings, wanted: Mapping[Place, str]) -> dict[Place, str]:
    """Return the texts of items by their places, each of which must have its sha256.

    An item is left out where its file is gone, or where another stands in its place.
    """
    if not wanted or not project.evidence.is_dir():
        return {}
    sql = Sql.of(project.overlay)
    rules = Rules.of(project.evidence, sql)
    found = find_evidence(project.evidence, sql, settings.follow_links)
    texts: dict[Place, str] = {}
    for path, places in groupby(sorted(wanted), key=lambda place: place[0]):
        source = source_of(path)
        files = [file for file in found if file.source == source and holds(file, path)]
        search = Search(project, settings, sql, rules, source, files, 1, tuple(places))
        texts |= _read(search, wanted)
    return texts


def _read(search: Search, wanted: Mapping[Place, str]) -> dict[Place, str]:
    kept = Kept()
    for taken in read_units(search, is_whole=False):
        kept.keep(taken)
    items = {place: kept.find(place) for place in search.wanted}
    contents = {place: found[0].content(found[1]) for place, found in items.items() if found}
    return {place: content.decode() for place, content in contents.items() if sha256(content).hexdigest() == wanted[place]}

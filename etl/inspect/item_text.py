"""Reads an item again from the evidence, where it still stands as the last run read it."""

from hashlib import sha256

from etl.base.project import Project
from etl.base.settings import Settings
from etl.context import source_of
from etl.ingest.files import Rules, find_evidence
from etl.inspect.first_items import Kept, Place, Search, holds, read_units
from etl.warehouse.sql_files import Sql


def item_text(project: Project, place: Place, digest: str) -> str | None:
    """Return the text of the item at a place; None where the file is gone, or the item is not the one of this sha256."""
    if not project.evidence.is_dir():
        return None
    sql, settings, source = Sql.of(project.overlay), Settings(), source_of(place[0])
    files = [file for file in find_evidence(project.evidence, sql) if file.source == source and holds(file, place[0])]
    kept = Kept()
    search = Search(project, settings, sql, Rules.of(project.evidence, sql), source, files, 1, place)
    for taken in read_units(search, is_whole=False):
        kept.keep(taken)
    found = kept.find(place)
    if not found:
        return None
    items, index = found
    content = items.contents[index]
    return content.decode() if sha256(content).hexdigest() == digest else None

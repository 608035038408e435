"""Items of one source on their way to its mapping, and what comes of them on their way to the tables."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from etl.base.threads import Background
from etl.ingest.loader import Loader, skipped_rows
from etl.ingest.mapping import Items, Mapped, Mapper, MappingError
from etl.warehouse.connection import Warehouse

#: Items are mapped in portions of about this many bytes: enough to be worth a query, few enough to hold several of them.
PORTION_BYTES = 32 << 20

#: What an item takes beside its bytes, about.
_ROW_BYTES = 200


@dataclass
class Portion:
    """Items of one source that are mapped together: whole units, where its mapping must see such.

    It is the ``Sink`` of a run. Several portions are mapped at once, each with one of the ``cursors``, and inserted in their
    order. ``failure`` says why all items of the source are skipped, because its mapping does not work.
    """

    source: str
    mapper: Mapper | None
    loader: Loader
    mapping: Executor
    cursors: deque[Warehouse]
    loading: Background
    failure: MappingError | None = None
    _path: str = ""
    _unit: str | None = None
    _items: list[Items] = field(default_factory=list)
    _skipped: list[tuple[Any, ...]] = field(default_factory=list)
    _held: int = 0

    def begin(self, path: str, unit: str | None) -> None:
        """Begin with the items of another file, or member of an archive."""
        if unit != self._unit and self._held > PORTION_BYTES and not self._needs_all():
            self.hand_over()
        self._path, self._unit = path, unit

    def accept(self, numbers: Sequence[int], rows: pa.Table, pointers: Sequence[str] = ()) -> None:
        """Take items that the judge passed, see ``Judged.rows``; of elements, also where they stand in their document."""
        items = Items(self._path, self._unit, [*numbers], rows, [*pointers])
        if self.failure:
            for index, number in enumerate(numbers):
                digest = rows["item_sha256"][index].as_py()
                self.skip(number, digest, "mapping_failed", str(self.failure), items.content(index))
        elif numbers and self.mapper:
            self._items.append(items)
            self._hold(rows["json"].nbytes + rows["_content"].nbytes + _ROW_BYTES * len(numbers))

    def skip(self, number: int, digest: str | None, reason: str, detail: str | None = None, raw: bytes | None = None) -> None:
        """Take an item that is refused, or an entry for the file as a whole."""
        self._skipped.append((self.source, self._path, number, digest, reason, detail, raw))
        self._hold(len(raw or b"") + _ROW_BYTES)

    def step(self, _last: int) -> None:
        """Hand over what is held, if that is enough, and no unit is cut by it."""
        if self._held > PORTION_BYTES and self._unit is None and not self._needs_all():
            self.hand_over()

    def forget(self, path: str, after_item: int = -1) -> None:
        """Have the rows of a file removed, from an item on, before its new items come."""
        self.loading.give(self.loader.forget, [path], after_item)

    def forget_source(self) -> None:
        """Have all rows of the source removed, and drop what is on its way."""
        self._items, self._skipped, self._held = [], [], 0
        self.loading.give(self.loader.forget_source, self.source)

    def hand_over(self) -> None:
        """Have the items so far mapped and inserted, and begin a new portion."""
        mapped = self.mapping.submit(self._map, self._items) if self.mapper and self._items else None
        self.loading.give(self._put, mapped, skipped_rows(self._skipped))
        self._items, self._skipped, self._held = [], [], 0

    def finish(self) -> None:
        """Hand over what is left, and wait until all is inserted. Raises MappingError where the mapping failed for an item."""
        self.hand_over()
        self.loading.wait()
        if self.failure and self.mapper:
            raise self.failure

    def _map(self, items: list[Items]) -> Mapped | None:
        """Return what comes of a portion; nothing where the mapping failed for an earlier one."""
        if not self.mapper or self.failure:
            return None
        cursor = self.cursors.pop()
        try:
            return self.mapper.map(self.mapper.together(items), cursor)
        finally:
            self.cursors.append(cursor)

    def _put(self, mapped: "Future[Mapped | None] | None", skipped: pa.Table) -> None:
        if self.mapper and self.failure:
            return  # all items of the source are skipped instead
        try:
            made = mapped and mapped.result()
        except MappingError as error:
            self.failure = error  # the reading thread sees it at the end of the source
        except CancelledError:
            pass  # the run ends
        else:
            if made:
                skipped = pa.concat_tables([skipped, made.skipped], promote_options="default")
            self.loader.put(made and made.records, skipped)

    def _needs_all(self) -> bool:
        return self.mapper is not None and self.mapper.needs_whole_source

    def _hold(self, size: int) -> None:
        self._held += size

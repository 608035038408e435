"""Items of one source on their way to its mapping, and what comes of them on their way to the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pyarrow as pa

from etl.base.threads import Background
from etl.ingest.loader import Loader, skipped_rows
from etl.ingest.mapping import Items, Mapper, MappingError

#: Items are mapped in portions of about this many bytes: enough to be worth a query, few enough to hold several of them.
PORTION_BYTES = 32 << 20

#: What an item takes beside its bytes, about.
_ROW_BYTES = 200


@dataclass
class Portion:
    """Items of one source that are mapped together: whole units, where its mapping must see such.

    It is the ``Sink`` of a run. ``failure`` says why all items of the source are skipped, because its mapping does not work.
    """

    source: str
    mapper: Mapper | None
    loader: Loader
    mapping: Background
    loading: Background
    failure: MappingError | None = None
    _path: str = ""
    _unit: str | None = None
    _rows: list[pa.Table] = field(default_factory=list)
    _skipped: list[tuple[Any, ...]] = field(default_factory=list)
    _held: int = 0

    def begin(self, path: str, unit: str | None) -> None:
        """Begin with the items of another file, or member of an archive."""
        if unit != self._unit and self._held > PORTION_BYTES and not self._needs_all():
            self.hand_over()
        self._path, self._unit = path, unit

    def accept(
        self,
        numbers: Sequence[int],
        contents: Sequence[bytes],
        values: Sequence[dict[str, Any]],
        texts: Sequence[bytes] = (),
        pointers: Sequence[str] = (),
    ) -> None:
        """Take items that the judge passed, and what it read of each; ``texts`` where it read something else than the bytes."""
        if self.failure:
            for number, content in zip(numbers, contents, strict=True):
                self.skip(number, sha256(content).hexdigest(), "mapping_failed", str(self.failure), content)
        elif contents and self.mapper:
            items = Items(self._path, self._unit, [*numbers], [*contents], [*texts], [*pointers])
            self._rows.append(self.mapper.rows(items, values))
            self._hold(sum(map(len, contents)) + sum(map(len, texts)) + _ROW_BYTES * len(contents))

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
        self.mapping.give(self.loading.give, self.loader.forget, [path], after_item)

    def forget_source(self) -> None:
        """Have all rows of the source removed, and drop what is on its way."""
        self._rows, self._skipped, self._held = [], [], 0
        self.mapping.give(self.loading.give, self.loader.forget_source, self.source)

    def hand_over(self) -> None:
        """Have the items so far mapped and inserted, and begin a new portion."""
        self.mapping.give(self._map, self._rows, skipped_rows(self._skipped))
        self._rows, self._skipped, self._held = [], [], 0

    def finish(self) -> None:
        """Hand over what is left, and wait until it is mapped. Raises MappingError where the mapping failed for an item."""
        self.hand_over()
        self.mapping.wait()
        if self.failure and self.mapper:
            raise self.failure

    def _map(self, rows: list[pa.Table], skipped: pa.Table) -> None:
        records = None
        if self.mapper and rows and not self.failure:
            try:
                mapped = self.mapper.map(self.mapper.together(rows))
            except MappingError as error:
                self.failure = error  # the reading thread sees it at the end of the source
                return
            records, skipped = mapped.records, pa.concat_tables([skipped, mapped.skipped], promote_options="default")
        self.loading.give(self.loader.put, records, skipped)

    def _needs_all(self) -> bool:
        return self.mapper is not None and self.mapper.needs_whole_source

    def _hold(self, size: int) -> None:
        self._held += size

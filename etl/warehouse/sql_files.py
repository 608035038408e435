"""The files of the sql folder: statements that make tables and macros, and one view per file."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import takewhile
from pathlib import Path

from etl.base.errors import SqlError
from etl.base.project import PACKAGE

_VIEW = re.compile(r"^sql/([0-9]+)_([a-z][a-z0-9_]*)/([^/]+)\.sql$")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
#: The evidence names a source, so its name may be anything that SQL takes between double quotes.
_SOURCE = re.compile(r"^[^\"\x00-\x1f]+$")
#: A line of a view's header that says what a column means, and the beginning of one that continues the line above it.
_COLUMN = re.compile(r"^--[ ]{2,3}([A-Za-z_][A-Za-z0-9_]*): (.+)$")
_CONTINUATION = "--" + " " * 4


@dataclass(frozen=True, slots=True)
class View:
    """One file of the sql folder: ``sql/4_scored/run.sql`` is the view ``run`` in the schema ``scored``."""

    schema: str
    name: str
    body: str
    path: str

    @property
    def qualified(self) -> str:
        """The name in SQL; the name of a source is quoted where it is not a plain identifier."""
        return f"{self.schema}.{self.name}" if _NAME.match(self.name) else f'{self.schema}."{self.name}"'

    @property
    def is_kept(self) -> bool:
        """Whether its rows are kept in a table when a document arrives: it reads ``raw.document``."""
        return any("raw.document" in line.split("--")[0] for line in self.body.splitlines())

    @property
    def comment(self) -> str:
        """What the header says of a row, and why the view exists: its lines that are not about one column."""
        return self._header()[0]

    @property
    def columns(self) -> dict[str, str]:
        """The meaning of each column that the header names, in the order of the header.

        A line ``--   name: meaning`` is about one column; lines that are indented deeper continue it.
        """
        return self._header()[1]

    def _header(self) -> tuple[str, dict[str, str]]:
        row: list[str] = []
        columns: dict[str, list[str]] = {}
        current = row
        for line in takewhile(lambda line: line.startswith("--"), self.body.splitlines()):
            column = _COLUMN.match(line)
            if column:
                current = columns[column[1]] = [column[2]]
            elif line.startswith(_CONTINUATION):
                current.append(line.removeprefix("--").strip())
            else:
                current = row
                row.append(line.removeprefix("--").strip())
        return " ".join(row), {name: " ".join(meaning) for name, meaning in columns.items()}


@dataclass(frozen=True)
class Sql:
    """All SQL of one root: the package's files, to which those of the overlay are added, or which they replace."""

    files: dict[str, str]

    @classmethod
    def of(cls, overlay: Path) -> "Sql":
        """Read the package's sql folder, then the overlay's. Raises SqlError for a file that is misplaced or unreadable."""
        files = dict(cls.packaged().files)
        if overlay.is_dir() and overlay.resolve() != packaged_sql().resolve():
            added = _read(overlay)
            for path in sorted(added.keys() - files.keys()):
                if path.count("/") == 1:
                    raise SqlError(f"{overlay.parent / path}: only tables.sql, raw.sql and macros.sql belong there; move it.")
            files |= added
        spelled: dict[str, str] = {}
        for path in sorted(files):
            if spelled.setdefault(path.lower(), path) != path:
                raise SqlError(f"{path} and {spelled[path.lower()]} have the same name for DuckDB; rename one of them.")
        return cls(files)

    @classmethod
    @cache
    def packaged(cls) -> "Sql":
        """Return the SQL of the package, without an overlay."""
        return cls(_read(packaged_sql()))

    @cached_property
    def views(self) -> tuple[View, ...]:
        """The views, by folder number, then by name."""
        return tuple(view for view in self._selects if view.schema != "sources")

    @cached_property
    def mappings(self) -> tuple[View, ...]:
        """The mappings of sources, by name; they are no views of the warehouse, but run while their source is collected."""
        return tuple(view for view in self._selects if view.schema == "sources")

    @cached_property
    def _selects(self) -> tuple[View, ...]:
        found = sorted(filter(None, map(_VIEW.match, self.files)), key=lambda match: (int(match[1]), match[0]))
        return tuple(View(match[2], match[3], self.files[match[0]], match[0]) for match in found)

    @cached_property
    def kept(self) -> tuple[View, ...]:
        """Those whose rows are kept when a document arrives."""
        return tuple(view for view in self.views if view.is_kept)

    @cached_property
    def replaced(self) -> dict[str, str]:
        """The paths of the overlay's files that replace others, by the view that they define; by itself where it is none.

        What an overlay adds is not here, nor a mapping: what records say is not decided by the product.
        """
        packaged = Sql.packaged()
        before = {view.qualified: view.body for view in packaged.views}
        views = {view.qualified: view.path for view in self.views if before.get(view.qualified, view.body) != view.body}
        others = (path for path, text in packaged.files.items() if path.count("/") == 1 and self.files[path] != text)
        return views | {path: path for path in others}

    @property
    def sources(self) -> frozenset[str]:
        """The names of the sources that have a mapping."""
        return frozenset(mapping.name for mapping in self.mappings)

    @cached_property
    def sha256(self) -> str:
        """The sha256 hex over all files, see ``bundle_hash``."""
        return bundle_hash({path: text.encode() for path, text in self.files.items()})

    def view(self, qualified: str) -> View:
        """Return a view, or a mapping, by its name with its schema."""
        return next(view for view in self._selects if view.qualified == qualified)

    def source(self, name: str) -> View:
        """Return the mapping of a source."""
        return next(mapping for mapping in self.mappings if mapping.name == name)

    def __getitem__(self, name: str) -> str:
        """Return the text of a file at the top of the sql folder, such as ``tables``."""
        return self.files[f"sql/{name}.sql"]


def bundle_hash(files: Mapping[str, bytes]) -> str:
    """Return the sha256 hex over paths and contents in the order of the paths, each after its length (8 bytes, big-endian)."""
    digest = hashlib.sha256()
    for path in sorted(files):
        for part in (path.encode(), files[path]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def packaged_sql() -> Path:
    """Return the sql folder of this installation: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "sql"
    return inside if inside.is_dir() else PACKAGE.parent / "sql"


def lock_file() -> Path | None:
    """Return the lock file of this installation, which names the exact packages that it was tested with, if it is there."""
    for place in (packaged_sql().parent / "requirements.lock", PACKAGE / "requirements.lock"):
        if place.is_file():
            return place
    return None


def _read(folder: Path) -> dict[str, str]:
    files = {}
    for file in sorted(folder.rglob("*.sql")):
        path = f"sql/{file.relative_to(folder).as_posix()}"
        view = _VIEW.match(path)
        may_be_called = _SOURCE if view and view[2] == "sources" else _NAME
        if not may_be_called.match(file.stem) or not (view or path.count("/") == 1):
            raise SqlError(
                f"{file}: a view is named sql/<number>_<schema>/<name>.sql, in lower case, digits and underscores; rename it."
            )
        try:
            files[path] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SqlError(f"{file}: it cannot be read as UTF-8 text: {error}.") from None
    return files

"""Where everything of one root lies."""

from dataclasses import dataclass
from pathlib import Path

from etl.base.errors import UsageError

#: The folder of the package.
PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Project:
    """The folders of one root. ``evidence`` may lie elsewhere; all else is under ``root``."""

    root: Path
    evidence: Path

    @classmethod
    def at(cls, root: Path, evidence: Path | None = None) -> "Project":
        """Return the project at ``root``; a given ``evidence`` folder is relative to the current folder.

        Raises UsageError where the engine could not open a file below the root.
        """
        root = root.absolute()
        if any(character in str(root) for character in "?\\"):
            raise UsageError(
                f"{root}: DuckDB opens no file whose path holds a question mark or a backslash; rename the folder."
            )
        return cls(root=root, evidence=evidence.absolute() if evidence else root / "evidence")

    @property
    def configuration(self) -> Path:
        """Optional file of what one would give each time: the settings, and those of sources."""
        return self.root / "etl.toml"

    @property
    def overlay(self) -> Path:
        """Optional folder of SQL files that add to, or replace, those of the package."""
        return self.root / "sql"

    @property
    def warehouse(self) -> Path:
        """The published warehouse file."""
        return self.root / "warehouse" / "etl.duckdb"

    @property
    def write_ahead_log(self) -> Path:
        """DuckDB's log of changes that are not in the warehouse file yet; a published warehouse has none."""
        return self.warehouse.with_name("etl.duckdb.wal")

    @property
    def exports(self) -> Path:
        """The published datasets and quarantine; a run replaces the folder as a whole."""
        return self.root / "exports"

    @property
    def reports(self) -> Path:
        """One folder of receipts per run, and latest.md."""
        return self.root / "reports" / "distillation"

    @property
    def releases(self) -> Path:
        """The receipts of exports for trainers."""
        return self.root / "reports" / "releases"

    @property
    def pin(self) -> Path:
        """Names the pinned run; absent where none is pinned."""
        return self.reports / "pin.json"

    @property
    def staging(self) -> Path:
        """Where runs build aside: the lock, the journal, and what is not published yet."""
        return self.root / "warehouse" / ".etl"

    @property
    def published_stats(self) -> Path:
        """The file stats of what was published: of the warehouse, the exports and the rows of the receipts."""
        return self.staging / "published.json"

    @property
    def evidence_stats(self) -> Path:
        """The file stats of the evidence, taken before the published version read it."""
        return self.staging / "evidence.json"

    @property
    def known_receipts(self) -> Path:
        """The rows of all receipts that the published version knew, so that the documents need not be read again."""
        return self.staging / "receipts.arrow"

    def relative(self, path: Path) -> str:
        """Return a path as documents name it: relative to the root where it lies below, else absolute."""
        absolute = path.absolute()
        return absolute.relative_to(self.root).as_posix() if absolute.is_relative_to(self.root) else str(absolute)

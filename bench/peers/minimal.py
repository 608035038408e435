"""Runs minimal.sql: python minimal.py EVIDENCE OUT."""

import sys
from pathlib import Path

import duckdb
from sums import write_sums


def main(evidence: Path, out: Path) -> None:
    """Run the script in memory, as ``duckdb < minimal.sql`` would."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(script.replace("$EVIDENCE", str(evidence)).replace("$OUT", str(out)))
    write_sums(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

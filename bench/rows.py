"""Compares the rows of a peer with the product's: python rows.py ROOT OUT. If they differ, says how; exit code 1.

It compares all columns except ``id`` (the product computes it in two steps, a peer takes the hash of the line), the order, and
in Parquet the types. It runs in its own process, so that what it reads does not count as memory of a contestant.
"""

import sys
from pathlib import Path
from typing import Any

import duckdb

#: The outputs of a peer, and the product's files with the same rows under ``exports/``.
OUTPUTS = {
    "rag": "rag/playbooks",
    "sft": "sft/instruction_response",
    "preference": "preference/chosen_rejected",
    "quarantine_rag": "quarantine/rag",
    "quarantine_sft": "quarantine/sft",
}


def types_of(parquet: Path) -> dict[str, str]:
    """Return the type of each column of a Parquet file."""
    return {name: kind for name, kind, *_ in duckdb.execute("describe from read_parquet(?)", [str(parquet)]).fetchall()}


def fingerprint(relation: str) -> dict[str, Any]:
    """Return the number of rows, and sums of hashes over each column and over whole rows, which no order changes."""
    found = duckdb.execute(f"""
        select
            count(*) as number_of_rows,
            sum(hash(columns(body.*))),
            sum(hash(body)) as whole_rows,
        from (select * exclude (id) from {relation}) as body
    """)
    return dict(zip([name for name, *_ in found.description or []], found.fetchall()[0], strict=True))


def as_lines(file: Path, types: dict[str, str]) -> str:
    """Return the SQL relation of a JSONL file, with its times as text."""
    columns = ", ".join(f"{name}: '{'VARCHAR' if 'TIME' in kind else kind}'" for name, kind in types.items())
    return f"read_json('{file}', format = 'newline_delimited', columns = {{{columns}}})"


def is_ordered(relation: str) -> bool:
    """Return whether the rows are ordered by id."""
    steps = f"select id < lag(id) over () as back from {relation}"
    return bool(duckdb.execute(f"select count(*) filter (where back) = 0 from ({steps})").fetchall()[0][0])


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return the differences between an output of the product and of a peer; both are paths without suffix."""
    types = types_of(ours.with_suffix(".parquet"))
    if types != (found := types_of(theirs.with_suffix(".parquet"))):
        return [f"{theirs.name}: the columns are {found} and not {types}"]
    problems = []
    for suffix in (".parquet", ".jsonl"):
        relations = [
            as_lines(file, types) if suffix == ".jsonl" else f"'{file}'"
            for file in (ours.with_suffix(suffix), theirs.with_suffix(suffix))
        ]
        expected, given = map(fingerprint, relations)
        problems += [
            f"{theirs.name}{suffix}: {name} differs: {value} and not {expected[name]}"
            for name, value in given.items()
            if value != expected[name]
        ]
        if not is_ordered(relations[1]):
            problems.append(f"{theirs.name}{suffix}: the rows are not ordered by id")
    return problems


def main(root: Path, out: Path) -> None:
    """Compare every output."""
    problems = [problem for name, stem in OUTPUTS.items() for problem in differences(root / "exports" / stem, out / name)]
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

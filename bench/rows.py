"""Compares the rows of a peer with the product's: python rows.py ROOT OUT. If they differ, says how; exit code 1.

It compares all columns except ``id`` (the product computes it in two steps; a peer takes the hash of the line, or one over
those of both lines of a pair), in Parquet the types, and the order of the peer's rows: by place, of pairs by the chosen side's,
then the rejected side's. The product's rows may stand in a file, or in the parts of a folder. It runs in its own process, so
that what it reads does not count as memory of a contestant.
"""

import sys
from pathlib import Path
from typing import Any

import duckdb

#: The outputs of a peer, and the product's files or folders with the same rows under ``exports/``.
OUTPUTS = {
    "rag": "rag/playbooks",
    "sft": "sft/instruction_response",
    "preference": "preference/chosen_rejected",
    "quarantine_rag": "quarantine/rag",
    "quarantine_sft": "quarantine/sft",
    "quarantine_preference": "quarantine/preference",
}

#: How many rows that differ are shown of an output.
SHOWN = 3


def files_of(stem: Path, suffix: str) -> list[str]:
    """Return the files of an output in the order of their names: one, or the parts of a folder."""
    return [str(file) for file in sorted(stem.glob(f"part-*{suffix}"))] or [f"{stem}{suffix}"]


def types_of(stem: Path) -> dict[str, str]:
    """Return the type of each column of an output in Parquet."""
    found = duckdb.execute("describe from read_parquet($files)", {"files": files_of(stem, ".parquet")})
    return {name: kind for name, kind, *_ in found.fetchall()}


def relation_of(stem: Path, suffix: str, types: dict[str, str]) -> str:
    """Return the SQL relation of an output; times are text in JSONL."""
    files = files_of(stem, suffix)
    if suffix == ".parquet":
        return f"read_parquet({files})"
    columns = ", ".join(f"{name}: '{'VARCHAR' if 'TIME' in kind else kind}'" for name, kind in types.items())
    return f"read_json({files}, format = 'newline_delimited', columns = {{{columns}}})"


def place_of(types: dict[str, str]) -> str:
    """Return what rows are ordered by, in SQL: the place of a record, or the places of both sides of a pair."""
    sides = ["provenance.chosen", "provenance.rejected"] if "chosen_category" in types else ["provenance"]
    return ", ".join(f"{side}.{name}" for side in sides for name in ("source_path", "item_number", "record_number"))


def is_ordered(relation: str, place: str) -> bool:
    """Return whether the rows are ordered by place."""
    steps = f"select row({place}) < lag(row({place})) over () as back from {relation}"
    return bool(duckdb.execute(f"select count(*) filter (where back) = 0 from ({steps})").fetchall()[0][0])


def make_tables(ours: str, theirs: str, place: str) -> None:
    """Make the tables ``ours`` and ``theirs``: a hash of each column of each row, sorted by place."""
    for name, relation in (("ours", ours), ("theirs", theirs)):
        duckdb.execute(f"""
            create or replace temp table {name} as
            select row({place}) as place, hash(columns(* exclude (id))) from {relation} order by all
        """)


def differing(names: list[str]) -> list[dict[str, Any]]:
    """Return the places whose rows differ, and the columns in which they do; a place may have several rows."""
    same = " and ".join(f"ours.{name} is not distinct from theirs.{name}" for name in names)
    columns = ", ".join(f"case when ours.{name} is distinct from theirs.{name} then '{name}' end" for name in names)
    found = duckdb.execute(f"""
        with ours as (select *, row_number() over (partition by place) as nth from ours),
        theirs as (select *, row_number() over (partition by place) as nth from theirs)
        select
            coalesce(ours.place, theirs.place) as place,
            case when theirs.place is null then 'is missing' when ours.place is null then 'is too many'
                else 'differs in ' || concat_ws(', ', {columns}) end as how,
        from ours full join theirs on ours.place = theirs.place and ours.nth = theirs.nth
        where ours.place is null or theirs.place is null or not ({same})
        order by place
    """)
    return [{"place": place, "how": how} for place, how in found.fetchall()]


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return the differences between an output of the product and of a peer; both are paths without suffix."""
    types = types_of(ours)
    if types != (found := types_of(theirs)):
        return [f"{theirs.name}: the columns are {found} and not {types}"]
    place, names = place_of(types), [name for name in types if name != "id"]
    problems = []
    for suffix in (".parquet", ".jsonl"):
        expected, given = (relation_of(stem, suffix, types) for stem in (ours, theirs))
        make_tables(expected, given, place)
        rows = differing(names)
        problems += [f"{theirs.name}{suffix}: the row of {row['place']} {row['how']}" for row in rows[:SHOWN]]
        if rows[SHOWN:]:
            problems.append(f"{theirs.name}{suffix}: {len(rows) - SHOWN} more rows differ")
        if not is_ordered(given, place):
            problems.append(f"{theirs.name}{suffix}: the rows are not ordered by place")
    return problems


def main(root: Path, out: Path) -> None:
    """Compare every output."""
    problems = [problem for name, stem in OUTPUTS.items() for problem in differences(root / "exports" / stem, out / name)]
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Times the product against itself: each scenario against a baseline, in turn, and single runs over hard evidence.

Ratios are of wall time per line. Prints medians and the ratio of the medians (least..largest of a round), and writes each
scenario to results.json as soon as it is done.
"""

import argparse
import filecmp
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from operator import attrgetter
from pathlib import Path
from statistics import median

import results
from generate import NO_REPEATS, append, lines, split, write, write_lines
from measure import Cost, as_json, fresh_folder, ratio, run_product

LINES = 1_000_000
LINES_PER_FILE = 50
MOST_FILES = 20_000
LONG_RESPONSE = 30_000_000

#: The cost of a scenario in a round, and the cost of its baseline.
Pair = tuple[Cost, Cost]


@dataclass(frozen=True, slots=True)
class Scenario:
    """The names of the measured run and its baseline, the function that runs the rounds, and the ratio of their line counts."""

    measured: str
    baseline: str
    rounds: Callable[[int, int, Path], Iterator[Pair]]
    scale: float = 1


def full_run(evidence: Path, *options: str) -> Cost:
    """Return the cost of a run in a fresh root."""
    with fresh_folder() as root:
        return run_product(root, evidence, *options)


def in_turn(turn: int, measured: Callable[[], Cost], baseline: Callable[[], Cost]) -> Pair:
    """Run both; in every other round the baseline runs first."""
    if turn % 2:
        second = baseline()
        return measured(), second
    return measured(), baseline()


def exports(root: Path) -> list[str]:
    """Return the paths of the exported files, relative to the root."""
    return sorted(str(file.relative_to(root)) for file in (root / "exports").rglob("*") if file.is_file())


def require_same_exports(root: Path, scratch: Path) -> None:
    """Stop if two roots do not hold the same exports, byte for byte."""
    names = exports(scratch)
    _, different, missing = filecmp.cmpfiles(root, scratch, names, shallow=False)
    if names != exports(root) or different or missing:
        raise SystemExit(f"the exports are not those of a run from scratch: {different or missing or exports(root)}")


def appended(count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run, append 1 % of lines, and run again; the baseline runs from scratch and must give the same bytes."""
    yield from grown(write(folder / "evidence.jsonl", count), count, rounds, folder)


def added(count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run, add a file with 1 % more lines, and run again; the baseline runs from scratch and must give the same bytes."""
    write(folder / "evidence" / "first.jsonl", count)
    yield from grown(folder / "evidence" / "second.jsonl", count, rounds, folder)


def grown(file: Path, count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run, let a file grow by 1 % of the lines, and run again; the file may be new."""
    size = file.stat().st_size if file.exists() else None
    for turn in range(rounds):
        with fresh_folder() as root, fresh_folder() as scratch:
            run_product(root, folder)
            append(file, count, count // 100)
            again, from_scratch = (lambda out=out: run_product(out, folder) for out in (root, scratch))
            yield in_turn(turn, again, from_scratch)
            require_same_exports(root, scratch)
        if size is None:
            file.unlink()
        else:
            os.truncate(file, size)


def unchanged(count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run again with nothing changed; the baseline is the first run."""
    write(folder / "evidence.jsonl", count)
    for _ in range(rounds):
        with fresh_folder() as root:
            first = run_product(root, folder)
            yield run_product(root, folder), first


def larger(count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run five times the lines in bounded memory; the baseline runs the lines once in the same memory."""
    small = write(folder / "small" / "evidence.jsonl", count).parent
    large = write(folder / "large" / "evidence.jsonl", 5 * count).parent
    bounded = ("--set", "memory_limit=2GB")
    for turn in range(rounds):
        yield in_turn(turn, lambda: full_run(large, *bounded), lambda: full_run(small, *bounded))


def hot(count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run lines, 4 % of which belong to one task, half accepted and half rejected; the baseline has no such task."""
    plain = write(folder / "plain" / "evidence.jsonl", count).parent
    skewed = write(folder / "hot" / "evidence.jsonl", count, hot=count // 25).parent
    for turn in range(rounds):
        yield in_turn(turn, lambda: full_run(skewed), lambda: full_run(plain))


def files(count: int, rounds: int, folder: Path) -> Iterator[Pair]:
    """Run lines in very many files; the baseline has the same lines in one file."""
    whole = write(folder / "one" / "evidence.jsonl", count)
    many = split(whole, folder / "many", min(MOST_FILES, max(1, count // LINES_PER_FILE)))
    for turn in range(rounds):
        yield in_turn(turn, lambda: full_run(many), lambda: full_run(whole.parent))


SCENARIOS = {
    "appended": Scenario("1 % of lines appended", "from scratch", appended),
    "added": Scenario("1 % of lines in a new file", "from scratch", added),
    "unchanged": Scenario("nothing changed", "first run", unchanged),
    "larger": Scenario("5 times the lines in 2 GB", "the lines in 2 GB", larger, scale=5),
    "hot": Scenario("4 % of lines in one task", "no such task", hot),
    "files": Scenario("very many files", "one file", files),
}


def cliffs(count: int) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield evidence that could make a run much slower, each with its name; the first is plain."""
    yield "plain", lines(count)
    yield "one record per task", lines(count, tasks=count, repeats=NO_REPEATS)
    yield "one line of 30 MB", chain(lines(count - 1), [long_line()])
    yield "all rejected", lines(count, verdicts=["reject"])
    yield "all duplicates of one", repeat(next(lines(1, bad_share=0, verdicts=["accept"])), count)


def long_line() -> bytes:
    """Return a good line with a very long response."""
    record = json.loads(next(lines(1, seed=2, bad_share=0, verdicts=["accept"])))
    return json.dumps(record | {"response": "word " * (LONG_RESPONSE // 5)}).encode()


def show_scenario(name: str, count: int, pairs: list[Pair]) -> None:
    """Print and record the costs of a scenario."""
    scenario = SCENARIOS[name]
    measured, baseline = map(list, zip(*pairs, strict=True))
    print(f"\n{name}: {count:,} lines, {len(pairs)} rounds")
    for says, costs in ((scenario.measured, measured), (scenario.baseline, baseline)):
        wall, cpu, rss = (median(map(attrgetter(of), costs)) for of in ("wall", "cpu", "rss"))
        print(f"  {says:26}{wall:8.2f} s wall{cpu:9.2f} s CPU{rss / 2**20:8,.0f} MiB peak")
    of_walls = ratio(measured, baseline, attrgetter("wall"), scenario.scale)
    of_peaks = ratio(measured, baseline, attrgetter("rss"))
    print(f"  ratio of wall per line {of_walls}, of peak memory {of_peaks}")
    found = {"lines": count, "scale": scenario.scale, "wall_ratio": asdict(of_walls), "memory_ratio": asdict(of_peaks)}
    results.record(name, found | {scenario.measured: as_json(measured), scenario.baseline: as_json(baseline)})


def run_cliffs(count: int) -> None:
    """Run each cliff once; print and record its cost."""
    print(f"\ncliffs: {count:,} lines, single runs, wall per line over the plain run")
    taken: dict[str, Cost] = {}
    for name, given in cliffs(count):
        with fresh_folder() as folder:
            write_lines(folder / "evidence.jsonl", given)
            taken[name] = full_run(folder)
        cost, plain = taken[name], taken["plain"]
        figures = f"{cost.wall:8.2f} s wall{cost.cpu:9.2f} s CPU{cost.rss / 2**20:8,.0f} MiB peak"
        print(f"  {name:26}{figures}, ratio {cost.wall / plain.wall:.2f}")
    results.record("cliffs", {"lines": count, "runs": dict(zip(taken, as_json(list(taken.values())), strict=True))})


def main() -> None:
    """Measure the scenarios that are named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=[*SCENARIOS, "cliffs"], help="may be repeated")
    chosen = parser.parse_args()
    for name in chosen.only or [*SCENARIOS, "cliffs"]:
        if name == "cliffs":
            run_cliffs(chosen.lines)
            continue
        with fresh_folder() as folder:
            show_scenario(name, chosen.lines, list(SCENARIOS[name].rounds(chosen.lines, chosen.rounds, folder)))


if __name__ == "__main__":
    main()

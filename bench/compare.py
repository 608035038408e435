"""Times the product against its peers (bench/peers) on the same bytes, in turn, each run in its own process.

The first round also compares the rows, and stops if they differ. A tenth of the records has messages; what repeats has the
shares of generate.py. Prints each round, the medians, and the ratios of the medians (least..largest of a round): ratios stay
the same while the machine's speed drifts, times do not. Warns of rounds that other programs disturbed. Writes results.json and
results.png.
"""

import argparse
import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from statistics import median

import results
from forms import CONVERSING, with_conversations
from generate import records, spoiled, write_lines
from measure import Cost, as_json, fresh_folder, measure, ratio, run_product, warnings

HERE = Path(__file__).parent
PRODUCT = "etl"

#: How many lines are measured, and in how many rounds.
SIZES = {200_000: 5, 1_000_000: 3}

#: The script of each peer.
PEERS = {"script": "script.py", "polars": "polars_peer.py"}

Rounds = dict[str, list[Cost]]


def write_evidence(folder: Path, lines: int) -> None:
    """Write the evidence that all contestants read."""
    write_lines(folder / "evidence.jsonl", spoiled(with_conversations(records(lines), CONVERSING)))


def run(name: str, evidence: Path, out: Path, threads: int | None) -> Cost:
    """Run the product in a root, or a peer that writes to a folder, print the cost and return it."""
    if name == PRODUCT:
        cost = run_product(out, evidence, threads=threads)
    else:
        given = ["--threads", str(threads)] if threads else []
        cost = measure([sys.executable, str(HERE / "peers" / PEERS[name]), str(evidence), str(out), *given], threads=threads)
    print(
        f"  {name:8}{cost.wall:8.2f} s wall{cost.cpu:9.2f} s CPU{cost.rss / 2**20:8,.0f} MiB; load {cost.load:.2f}, busy cores "
        f"before {cost.busy:.1f}, others' meanwhile {cost.others:.1f}",
        flush=True,
    )
    return cost


def check_rows(evidence: Path, root: Path, threads: int | None) -> Rounds:
    """Run the product and each peer once, and return their costs; stop if a peer's rows differ from the product's."""
    first = {PRODUCT: [run(PRODUCT, evidence, root, threads)]}
    for name in PEERS:
        with fresh_folder() as out:
            first[name] = [run(name, evidence, out, threads)]
            same = subprocess.run([sys.executable, str(HERE / "rows.py"), str(root), str(out)], check=False)
            if same.returncode:
                raise SystemExit(f"{name} has other rows than the product (above)")
    return first


def compare(evidence: Path, rounds: int, threads: int | None) -> Rounds:
    """Return the cost of each round of the product and of each peer."""
    with fresh_folder() as root:
        taken = check_rows(evidence, root, threads)
    for turn in range(1, rounds):
        for name in reversed(taken) if turn % 2 else taken:
            with fresh_folder() as out:
                taken[name].append(run(name, evidence, out, threads))
    return taken


def show(lines: int, taken: Rounds) -> None:
    """Print the table for one size, and warnings."""
    print(f"\n{lines:,} lines, {len(taken[PRODUCT])} rounds; {PRODUCT} over the peer: ratio of medians (of rounds)")
    print(f"{'':10}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}  {'wall ratio':22}{'CPU ratio':22}{'memory ratio':22}")
    ours = taken[PRODUCT]
    for name, costs in taken.items():
        wall, cpu, rss = (median(map(attrgetter(of), costs)) for of in ("wall", "cpu", "rss"))
        ratios = "".join(f"{ratio(ours, costs, attrgetter(of))!s:22}" for of in ("wall", "cpu", "rss"))
        print(f"{name:10}{wall:8.2f}{cpu:8.2f}{rss / 2**20:10,.0f}  {'' if name == PRODUCT else ratios}".rstrip())
    for name, costs in taken.items():
        for warning in warnings(name, costs):
            print(warning)


def main() -> None:
    """Measure each size, print the tables, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, action="append", help="a size; may be repeated (default: 200,000 and 1,000,000)")
    parser.add_argument("--rounds", type=int, default=None, help="rounds of each size (default: 5; from a million lines on 3)")
    parser.add_argument("--threads", type=int, default=None, help="threads of product and peers (default: as they choose)")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {', '.join(f'{load:.2f}' for load in os.getloadavg())}")
    sizes = []
    for lines in sorted(chosen.lines or SIZES):
        rounds = chosen.rounds or (SIZES[1_000_000] if lines >= 1_000_000 else SIZES[200_000])
        print(f"\n{lines:,} lines")
        with fresh_folder() as evidence:
            write_evidence(evidence, lines)
            taken = compare(evidence, rounds, chosen.threads)
        show(lines, taken)
        sizes.append({"lines": lines, "rounds": {name: as_json(costs) for name, costs in taken.items()}})
    results.record("compare", {"threads": chosen.threads, "sizes": sizes})
    subprocess.run([sys.executable, str(HERE / "plot.py")], check=True)


if __name__ == "__main__":
    main()

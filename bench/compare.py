"""Times the product against its peers (bench/peers) on the same bytes, in turn, each run in its own process.

The first round also compares the rows, and stops if they differ. Prints medians and the ratio of the medians
(least..largest of a round): ratios stay the same while the machine's speed drifts, times do not. Writes results.json and
results.png.
"""

import argparse
import subprocess
import sys
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from statistics import median

import results
from generate import NO_REPEATS, write
from measure import Cost, as_json, fresh_folder, measure, ratio, run_product

HERE = Path(__file__).parent
PRODUCT = "etl"
SIZES = [100_000, 1_000_000]

#: The script of each peer, and the package that it needs; without the package the peer is skipped.
PEERS = {
    "minimal": ("minimal.py", "duckdb"),
    "polars": ("polars_peer.py", "polars"),
    "orjson": ("orjson_peer.py", "orjson"),
    "pandas": ("pandas_peer.py", "pandas"),
    "datasets": ("datasets_peer.py", "datasets"),
    "datatrove": ("datatrove_peer.py", "datatrove"),
}

Rounds = dict[str, list[Cost]]


def installed_peers() -> list[str]:
    """Return the peers whose package is installed, and print which are skipped."""
    for name, (_, package) in PEERS.items():
        if find_spec(package) is None:
            print(f"{name} is skipped: {package} is not installed")
    return [name for name, (_, package) in PEERS.items() if find_spec(package)]


def run_peer(name: str, evidence: Path, out: Path) -> Cost:
    """Run a peer and return its cost."""
    return measure([sys.executable, str(HERE / "peers" / PEERS[name][0]), str(evidence), str(out)])


def check_rows(evidence: Path, root: Path, peers: list[str]) -> Rounds:
    """Run the product and each peer once, and return their costs; stop if a peer's rows differ from the product's."""
    first = {PRODUCT: [run_product(root, evidence)]}
    for name in peers:
        with fresh_folder() as out:
            first[name] = [run_peer(name, evidence, out)]
            same = subprocess.run([sys.executable, str(HERE / "rows.py"), str(root), str(out)], check=False)
            if same.returncode:
                raise SystemExit(f"{name} has other rows than the product (above)")
    return first


def compare(evidence: Path, rounds: int, peers: list[str]) -> Rounds:
    """Return the cost of each round of the product and of each peer."""
    with fresh_folder() as root:
        taken = check_rows(evidence, root, peers)
    for turn in range(1, rounds):
        for name in reversed(taken) if turn % 2 else taken:
            with fresh_folder() as out:
                taken[name].append(run_product(out, evidence) if name == PRODUCT else run_peer(name, evidence, out))
    return taken


def show(lines: int, taken: Rounds) -> None:
    """Print the table for one size."""
    print(f"\n{lines:,} lines, {len(taken[PRODUCT])} rounds; {PRODUCT} over the peer: ratio of medians (of rounds)")
    print(f"{'':10}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}  {'wall ratio':22}{'CPU ratio':22}{'memory ratio':22}")
    ours = taken[PRODUCT]
    for name, costs in taken.items():
        wall, cpu, rss = (median(map(attrgetter(of), costs)) for of in ("wall", "cpu", "rss"))
        ratios = "".join(f"{ratio(ours, costs, attrgetter(of))!s:22}" for of in ("wall", "cpu", "rss"))
        print(f"{name:10}{wall:8.2f}{cpu:8.2f}{rss / 2**20:10,.0f}  {'' if name == PRODUCT else ratios}".rstrip())


def main() -> None:
    """Measure each size, print the tables, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, action="append", help="a size; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    peers = installed_peers()
    sizes = []
    for lines in sorted(chosen.lines or SIZES):
        with fresh_folder() as evidence:
            write(evidence / "evidence.jsonl", lines, repeats=NO_REPEATS)  # the peers look for none
            taken = compare(evidence, chosen.rounds, peers)
        show(lines, taken)
        sizes.append({"lines": lines, "rounds": {name: as_json(costs) for name, costs in taken.items()}})
    results.record("compare", {"sizes": sizes})
    subprocess.run([sys.executable, str(HERE / "plot.py")], check=True)


if __name__ == "__main__":
    main()

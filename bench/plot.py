"""Draws results.png from results.json: wall time, CPU time and memory of the product and its peers, at the largest size."""

from operator import attrgetter

import matplotlib as mpl
import results
from compare import PRODUCT
from measure import Cost, Ratio, ratio

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PICTURE = results.FILE.with_suffix(".png")

#: The contestant whose bar is 1.
UNIT = "script"

LABELS = {PRODUCT: "etl (this product)", "script": "DuckDB script", "polars": "polars"}
OURS, THEIRS, INK = "#d1495b", "#8d99ae", "#2b2d42"


def draw_bars(axes: Axes, title: str, ratios: dict[str, Ratio]) -> None:
    """Draw one bar for each contestant; its whisker goes from the least to the largest ratio of a round."""
    labels = [LABELS[name] for name in ratios]
    values = [found.median for found in ratios.values()]
    spread = [
        [max(0, found.median - found.least) for found in ratios.values()],
        [max(0, found.most - found.median) for found in ratios.values()],
    ]
    colours = [OURS if name == PRODUCT else THEIRS for name in ratios]
    axes.barh(labels, values, xerr=spread, color=colours, ecolor=INK, height=0.62, capsize=3)
    for at, found in enumerate(ratios.values()):
        axes.annotate(
            f"{found.median:.2f}",
            (max(found.median, found.most), at),
            (6, 0),
            textcoords="offset points",
            va="center",
            backgroundcolor="white",
        )
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":", zorder=0)
    axes.margins(x=0.15)
    axes.tick_params(length=0)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)


def main() -> None:
    """Draw the largest size that was measured."""
    measured = results.load()["compare"]
    size = measured["sizes"][-1]
    taken = {name: [Cost(**cost) for cost in rounds] for name, rounds in size["rounds"].items()}
    figure, panels = plt.subplots(1, 3, figsize=(12, 0.55 * len(taken) + 1.4), sharey=True, layout="constrained")
    for axes, title, of in zip(panels, ("Wall time", "CPU time", "Peak memory"), ("wall", "cpu", "rss"), strict=True):
        draw_bars(axes, title, {name: ratio(costs, taken[UNIT], attrgetter(of)) for name, costs in taken.items()})
    panels[0].invert_yaxis()
    figure.suptitle(
        f"{size['lines']:,} lines; {LABELS[UNIT]} = 1; medians of {len(taken[UNIT])} interleaved rounds, "
        f"{measured['machine']['cores']} cores",
        fontsize=10,
        color=INK,
    )
    figure.savefig(PICTURE, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()

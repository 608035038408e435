"""Drift takes chance for chance: its probabilities, and how often it is wrong, measured in the views themselves."""

import math
import random
from collections.abc import Callable
from itertools import product

import pytest
from conftest import insert_runs

from etl.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow

#: Records in of a simulated run: so many that its counters are only a small part of them.
RECORDS_IN = 1_000_000

PAIRS = 10_000
COUNTERS = 30


def exact_log_p(prior: int, prior_in: int, now: int, now_in: int) -> float:
    """Return the logarithm of the two-sided conditional binomial probability: twice the smaller tail, at most 1."""
    total = prior + now
    fewer, own_in = (now, now_in) if now * prior_in <= prior * now_in else (prior, prior_in)
    share = own_in / (prior_in + now_in)
    terms = [
        math.lgamma(total + 1)
        - math.lgamma(k + 1)
        - math.lgamma(total - k + 1)
        + k * math.log(share)
        + (total - k) * math.log1p(-share)
        for k in range(fewer + 1)
    ]
    largest = max(terms)
    return min(0.0, math.log(2) + largest + math.log(math.fsum(math.exp(term - largest) for term in terms)))


def test_normal_tail_is_right_in_any_tail(warehouse: Warehouse) -> None:
    """The logarithm of the normal tail is that of the standard library, or of the asymptotic series where that has none."""
    grid = [at / 100 for at in range(3700)]
    rows = warehouse.execute("select z, drift.normal_log_tail(z) from (select unnest(?::double[]) as z)", [grid])
    assert max(abs(math.expm1(log - math.log(math.erfc(z / math.sqrt(2)) / 2))) for z, log in rows) < 1e-12
    for z in (50.0, 100.0, 1000.0):
        series = math.log(1 - 1 / z**2 + 3 / z**4 - 15 / z**6) - z * z / 2 - math.log(z * math.sqrt(2 * math.pi))
        assert warehouse.one("select drift.normal_log_tail(?)", [z]) == pytest.approx(series, rel=1e-10)


def test_deviance_is_right_near_and_far(warehouse: Warehouse) -> None:
    """A cell adds (1 + x) ln(1 + x) - x to the deviance, also where x is close to zero."""
    grid = [sign * 10.0**-power for power in range(1, 12) for sign in (1, -1)] + [-0.999, 3.0, 1e6]
    rows = warehouse.execute("select x, drift.excess(x) from (select unnest(?::double[]) as x)", [grid])
    for x, excess in rows:
        by_series = math.fsum((-1) ** k * x**k / (k * (k - 1)) for k in range(2, 12))
        assert excess == pytest.approx(by_series if abs(x) < 0.11 else (1 + x) * math.log(1 + x) - x, rel=1e-8)


def test_chance_is_close_to_exact(warehouse: Warehouse) -> None:
    """Over a grid of counts and inputs p is within 6 % of the exact one, within 3 % where it is below 0.01."""
    inputs = [(1, 1), (1, 2), (5, 1), (1, 20), (100, 1), (1, 1000), (1000, 1)]
    cases = []
    for (prior_part, part), total, step in product(inputs, (20, 25, 40, 100, 400, 2000, 20000), range(41)):
        prior_in, now_in = prior_part * RECORDS_IN, part * RECORDS_IN
        mean = total * now_in / (prior_in + now_in)
        now = round(mean + (step - 20) / 20 * 10 * math.sqrt(mean * (1 - mean / total)))
        if 0 < now < total:
            cases.append((total - now, prior_in, now, now_in))
    insert_runs(warehouse, [(side[1], [side[0]]) for case in cases for side in (case[:2], case[2:])])
    rows = warehouse.execute(
        "select comparison.p from drift.comparison as comparison inner join receipts.run as run using (run_id) "
        "where run.seq % 2 = 0 and comparison.counter = 'reason-00' order by run.seq"
    )
    worst = {"common": 0.0, "rare": 0.0}
    assert len(rows) == len(cases) > 1000
    for (p,), case in zip(rows, cases, strict=True):
        log_p = exact_log_p(*case)
        kind = "rare" if log_p < math.log(0.01) else "common"
        if log_p > -600:
            worst[kind] = max(worst[kind], abs(math.expm1(math.log(p) - log_p)))
    assert worst["rare"] < 0.03
    assert worst["common"] < 0.06


def poisson(generator: random.Random, mean: float) -> Callable[[int], list[int]]:
    """Return a function that draws a number of counts with this mean."""
    counts = range(int(mean + 12 * math.sqrt(mean) + 20))
    weights = [math.exp(count * math.log(mean) - mean - math.lgamma(count + 1)) for count in counts]
    return lambda size: generator.choices(counts, weights, k=size)


@pytest.mark.parametrize("means", [(10,), (83,), (353,), (10, 83, 353)])
def test_unchanged_counters_seldom_warn(warehouse: Warehouse, means: tuple[int, ...]) -> None:
    """10,000 pairs of runs with 30 unchanged counters of each mean: at most one run in twenty warns."""
    generator = random.Random(sum(means))
    draws = [poisson(generator, mean) for mean in means]
    insert_runs(warehouse, [(RECORDS_IN, [n for draw in draws for n in draw(COUNTERS)]) for _ in range(2 * PAIRS)])
    assert warehouse.one("select count(*) from drift.report where seq % 2 = 0") == PAIRS
    warned = warehouse.one("select avg((severity <> 'ok')::int) from drift.report where seq % 2 = 0")
    assert warned <= 0.05


@pytest.mark.parametrize("mean", [83, 353])
def test_doubled_counters_are_caught(warehouse: Warehouse, mean: int) -> None:
    """10,000 pairs of runs with 30 doubled counters: at least 98 of 100 are caught."""
    generator = random.Random(mean)
    before, after = poisson(generator, mean), poisson(generator, 2 * mean)
    insert_runs(warehouse, [(RECORDS_IN, draw(COUNTERS)) for _ in range(PAIRS) for draw in (before, after)])
    caught = warehouse.one(
        "select avg((severity <> 'ok')::int) from drift.comparison inner join receipts.run as run using (run_id) "
        "where run.seq % 2 = 0 and kind = 'reason'"
    )
    assert caught >= 0.98


@pytest.mark.parametrize(("mean", "counters", "runs"), [(10, 0.643, 1.0), (83, 0.196, 0.999), (353, 0.010, 0.248)])
def test_what_the_threshold_alone_would_say(mean: int, counters: float, runs: float) -> None:
    """The same pairs under the threshold alone: so many counters, and so many runs, would warn though nothing changed."""
    draw = poisson(random.Random(mean), mean)
    pairs = [(draw(COUNTERS), draw(COUNTERS)) for _ in range(PAIRS)]
    swings = [[abs(now - prior) > 0.2 * prior for prior, now in zip(*pair, strict=True)] for pair in pairs]
    assert sum(map(sum, swings)) / (PAIRS * COUNTERS) == pytest.approx(counters, abs=0.0006)
    assert sum(map(any, swings)) / PAIRS == pytest.approx(runs, abs=0.0006)

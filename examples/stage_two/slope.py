"""Did the reward rise, or was it noise? Reads the log of grpo_trl.py.

Run: python slope.py grpo_trl.log

Rewards of neighbouring steps are related, and intervals that take them for independent are too narrow. Here the errors
about the line are a first-order autoregression. Its correlation is the one under which residuals are expected to be as
correlated as they are (residuals of a fitted line understate it); the standard error is then the exact one of least
squares. Intervals are 2.4 standard errors wide to each side, because the correlation is an estimate. `--check` draws
series without any trend and counts how often the interval of the slope wrongly leaves out 0. No interval can tell a
trend from a slow random drift: the rewards of held-out prompts before and after are the second witness.

Standard library only.
"""

import argparse
import functools
import math
import random
import re
import statistics
from pathlib import Path

STEP = re.compile(r"^step\s+(\d+)\s+reward\s+(\S+).*?(?:processor seconds\s+(\S+))?$")
HELD_OUT = re.compile(r"^held-out (before|after)\s+(\d+)\s+(\S+)")


# Chosen with --check: at most 5% false alarms for correlations up to 0.7.
STANDARD_ERRORS = 2.4
CORRELATIONS = [step / 100 for step in range(96)]


class Fit:
    """Least squares of a level, or of a line, to `size` values, and what correlated errors do to it."""

    def __init__(self, size: int, line: bool) -> None:
        middle = (size - 1) / 2
        columns = [[1.0] * size] + ([[i - middle for i in range(size)]] if line else [])
        norms = [math.fsum(x * x for x in column) for column in columns]
        self.columns = columns
        # The last coefficient is `weights` times the values; the columns are orthogonal.
        self.weights = [x / norms[-1] for x in columns[-1]]
        maker = [
            [float(i == j) - math.fsum(c[i] * c[j] / n for c, n in zip(columns, norms)) for j in range(size)]
            for i in range(size)
        ]
        # Residuals are maker * errors. Products of residuals with those one step later have the matrix `lagged`.
        lagged = [
            [math.fsum(maker[k][i] * maker[k + 1][j] for k in range(size - 1)) for j in range(size)]
            for i in range(size)
        ]
        outer = [[a * b for b in self.weights] for a in self.weights]
        # Errors a distance d apart have the covariance correlation^d, so that only sums along diagonals matter.
        spread, lag, variance = map(diagonal_sums, (maker, lagged, outer))
        self.spread = [polynomial(spread, correlation) for correlation in CORRELATIONS]
        self.variance = [polynomial(variance, correlation) for correlation in CORRELATIONS]
        self.expected = [polynomial(lag, c) / s for c, s in zip(CORRELATIONS, self.spread)]

    def __call__(self, values: list[float]) -> tuple[float, float]:
        """The last coefficient and the half-width of its interval."""
        coefficient = math.fsum(w * y for w, y in zip(self.weights, values))
        level = statistics.fmean(values)
        slope = coefficient if len(self.columns) > 1 else 0.0
        residuals = [y - level - slope * x for y, x in zip(values, self.columns[-1])]
        total = math.fsum(r * r for r in residuals)
        if total == 0.0:
            return coefficient, 0.0
        seen = math.fsum(a * b for a, b in zip(residuals, residuals[1:])) / total
        best = min(range(len(CORRELATIONS)), key=lambda k: abs(self.expected[k] - seen))
        return coefficient, STANDARD_ERRORS * math.sqrt(self.variance[best] * total / self.spread[best])


def diagonal_sums(matrix: list[list[float]]) -> list[float]:
    """Sums of the entries by their distance from the diagonal."""
    size = len(matrix)
    sums = [0.0] * size
    for i, row in enumerate(matrix):
        for j, entry in enumerate(row):
            sums[abs(i - j)] += entry
    return sums


def polynomial(coefficients: list[float], x: float) -> float:
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


@functools.lru_cache
def fit(size: int, line: bool) -> Fit:
    return Fit(size, line)


def slope(rewards: list[float]) -> tuple[float, float]:
    """Change of the reward per step and its half-width."""
    return fit(len(rewards), True)(rewards)


def mean(rewards: list[float]) -> tuple[float, float]:
    return fit(len(rewards), False)(rewards)


def paired(differences: list[float]) -> tuple[float, float, float]:
    """Mean of independent differences with a 95% interval (percentile bootstrap, 10,000 draws, fixed seed)."""
    generator = random.Random(0)
    draws = sorted(statistics.fmean(generator.choices(differences, k=len(differences))) for _ in range(10_000))
    return statistics.fmean(differences), draws[249], draws[9749]


def check(size: int) -> None:
    """How often does the interval of the slope leave out 0 in series that have no trend?"""
    generator = random.Random(1)
    for related in (0.0, 0.3, 0.5, 0.7, 0.9):
        wrong, runs = 0, 4000
        for _ in range(runs):
            value, series = generator.gauss(0, 1 / math.sqrt(1 - related**2)), []
            for _ in range(size):
                value = related * value + generator.gauss(0, 1)
                series.append(value)
            found, half = slope(series)
            wrong += abs(found) > half
        print(f"n = {size}, correlation of neighbours {related}: false alarms {wrong / runs:.1%} (5% allowed)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, nargs="?", default=Path(__file__).with_name("grpo_trl.log"))
    parser.add_argument("--check", action="store_true", help="count false alarms on drawn series without a trend")
    options = parser.parse_args()
    lines = options.log.read_text(encoding="utf-8").splitlines()
    steps = [match for match in map(STEP.match, lines) if match]
    rewards = [float(match[2]) for match in steps]
    if len(rewards) < 12 or [int(match[1]) for match in steps] != list(range(1, len(steps) + 1)):
        raise SystemExit(f"{options.log}: {len(rewards)} steps in order were found; at least 12 are needed, from 1 on")
    if not all(map(math.isfinite, rewards)):
        raise SystemExit(f"{options.log}: a reward is not a finite number")

    size = len(rewards)
    print(f"{size} steps, mean reward {statistics.fmean(rewards):+.3f}")
    found, half = slope(rewards)
    verdict = "rises" if found > half else "falls" if found < -half else "does not move beyond noise"
    print(f"slope {found:+.5f} per step, 95% interval [{found - half:+.5f}, {found + half:+.5f}]: the reward {verdict}")
    third = size // 3
    for name, part in (("first", rewards[:third]), ("last", rewards[-third:])):
        found, half = mean(part)
        print(
            f"{name} third ({third} steps): mean {found:+.3f}, 95% interval [{found - half:+.3f}, {found + half:+.3f}]"
        )
    held_out = {(match[1], int(match[2])): float(match[3]) for match in map(HELD_OUT.match, lines) if match}
    places = [place for when, place in held_out if when == "before"]
    if places and all(("after", place) in held_out for place in places):
        before, after = ([held_out[when, place] for place in places] for when in ("before", "after"))
        found, low, high = paired([a - b for a, b in zip(after, before)])
        print(
            f"{len(places)} held-out prompts: {statistics.fmean(before):+.3f} before, "
            f"{statistics.fmean(after):+.3f} after; difference {found:+.3f}, 95% interval [{low:+.3f}, {high:+.3f}]"
        )
    seconds = [float(match[3]) for match in steps if match[3]]
    if seconds:
        print(f"{statistics.median(seconds):.1f} processor seconds per step (median)")
    if options.check:
        check(size)


if __name__ == "__main__":
    main()

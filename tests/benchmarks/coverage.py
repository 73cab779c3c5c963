"""How reliable a study's intervals and verdicts are, on simulated studies whose truth is known.

python tests/benchmarks/coverage.py            # 1,000 studies per line, the tables of docs/statistics.md
python tests/benchmarks/coverage.py 100        # fewer
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulated import MEASURED, World, coverage, percentile, study

from rct_lightning.evaluation.crossed import crossed_inference
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.study.claims import claims

WORLDS = {
    "presence as measured, 31 pairs": MEASURED["presence"],
    "coherence as measured, 46 rows of 18 conversations": MEASURED["coherence"],
    "continuity as measured, 46 rows of 18 conversations": MEASURED["continuity"],
    "continuity as measured, 80 conversations": replace(MEASURED["continuity"], conversations=80, sizes=None),
    "seeds, conversations and noise alike, 80": World(0.1, 0.3, 0.3),
    "seeds differ most, 80": World(0.1, 0.02, 0.05),
    "conversations differ most, 80": World(0.01, 0.3, 0.1),
    "nothing but noise, 80": World(0.0, 0.0, 0.3),
    "skewed, presence as measured": replace(MEASURED["presence"], shape="skewed"),
    "right or wrong, 40 probes": World(0.1, 0.5, 1.0, conversations=40, shape="share"),
    "presence as measured, 5 seeds": replace(MEASURED["presence"], seeds=5),
    "presence as measured, 16 seeds": replace(MEASURED["presence"], seeds=16),
    "presence as measured, 4 seeds": replace(MEASURED["presence"], seeds=4),
    "presence as measured, 3 seeds": replace(MEASURED["presence"], seeds=3),
    "presence as measured, 2 seeds": replace(MEASURED["presence"], seeds=2),
}
ALL_BELOW = {"presence": -1.0, "coherence": -0.5, "continuity": -0.5}


def interval(differences: np.ndarray, *, groups: list[int], samples: int) -> Estimate:
    """Return the interval that studies report."""
    return crossed_inference(differences, groups=groups, samples=samples).estimate


def claimed(
    trials: int,
    rct: Mapping[str, float] | None = None,
    positives: Mapping[str, float] | None = None,
    worlds: Mapping[str, World] | None = None,
) -> tuple[float, dict[str, float]]:
    """Return the share of simulated studies in which any term's claim holds, and each term's share."""
    random = np.random.default_rng(11)
    held = {term: 0 for term in MEASURED}
    anything = 0
    for _ in range(trials):
        answers = {claim.term: claim.answer == "holds" for claim in claims(study(random, rct, positives, worlds))}
        anything += any(answers.values())
        for term, answer in answers.items():
            held[term] += answer
    return anything / trials, {term: count / trials for term, count in held.items()}


def main() -> None:
    """Print the tables."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"Share of {trials:,} studies whose 95% interval holds the truth\n")
    print("| simulated, 8 seeds where nothing else is said | percentile | studentised |\n| --- | ---: | ---: |")
    for name, world in WORLDS.items():
        print(
            f"| {name} | {coverage(world, percentile, trials):.1%} | {coverage(world, interval, trials):.1%} |",
            flush=True,
        )
    print("\n| in truth there is nothing to claim | something claimed |\n| --- | ---: |")
    noisy = {term: replace(world, seed=2 * world.noise) for term, world in MEASURED.items()}
    for name, (positives, worlds) in {
        "three arms alike": ({}, None),
        "rct as lm_only, positives_only far below": (ALL_BELOW, None),
        "the same where seeds differ most": (ALL_BELOW, noisy),
        "the same with 16 seeds": (ALL_BELOW, {term: replace(world, seeds=16) for term, world in MEASURED.items()}),
    }.items():
        print(f"| {name} | {claimed(trials, {}, positives, worlds)[0]:.1%} |", flush=True)
    print(
        "\n| rct above both by, in nats per token | presence | coherence | continuity |\n| --- | ---: | ---: | ---: |"
    )
    for effect in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        _, held = claimed(trials, {term: effect for term in MEASURED})
        print(f"| {effect:g} | {' | '.join(f'{held[term]:.0%}' for term in MEASURED)} |", flush=True)


if __name__ == "__main__":
    main()

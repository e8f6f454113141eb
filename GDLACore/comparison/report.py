"""The results of a comparison: as numbers for programs, and as tables in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from GDLACore.comparison.statistics import (
    Estimate,
    estimate,
    mean_over_structures,
    means_by_structure,
)

# From a variant's name and a seed to the rows of GDLACore.comparison.scoring.
Scores = Mapping[tuple[str, int], Sequence[dict[str, Any]]]


def results_of(
    variants: Sequence[str], seeds: Sequence[int], scores: Scores, costs: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return what came out, for JSON; the first variant is the one the others are compared with."""
    rows = [row for run in scores.values() for row in run]
    return {
        "reference": variants[0],
        "seeds": list(seeds),
        "cases": [case for _, case in sorted({(row["test"], row["case"]) for row in rows})],
        "patients": len({(row["test"], row["patient"]) for row in rows}),
        "variants": {name: _variant([scores[name, seed] for seed in seeds]) for name in variants},
        "differences": {
            name: asdict(
                estimate(
                    [
                        _mean_dice(scores[name, seed]) - _mean_dice(scores[variants[0], seed])
                        for seed in seeds
                    ]
                )
            )
            for name in variants[1:]
        },
        "costs": list(costs),
    }


def tables(results: Mapping[str, Any]) -> str:
    """Return the tables of ``results`` with their captions."""
    parts = [*_quality(results), "", *_structures(results)]
    if results["costs"]:
        parts += ["", *_costs(results["costs"])]
    return "\n".join(parts) + "\n"


def _variant(runs: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    nsd = [mean_over_structures(run, "nsd") for run in runs]
    by_structure = [means_by_structure(run, "dice") for run in runs]
    return {
        "dice": asdict(estimate([_mean_dice(run) for run in runs])),
        "nsd": None if None in nsd else asdict(estimate(nsd)),
        "structures": {
            name: asdict(estimate([run[name] for run in by_structure])) for name in by_structure[0]
        },
        "dice by seed": [_mean_dice(run) for run in runs],
    }


def _mean_dice(rows: Sequence[dict[str, Any]]) -> float:
    mean = mean_over_structures(rows, "dice")
    assert mean is not None, "every scored row has a Dice coefficient"
    return mean


def _quality(results: Mapping[str, Any]) -> list[str]:
    reference, seeds = results["reference"], results["seeds"]
    rows = []
    for name, found in results["variants"].items():
        difference = results["differences"].get(name)
        rows.append(
            [
                name,
                _with_spread(found["dice"]),
                _interval(found["dice"]),
                "-" if difference is None else f"{difference['mean']:+.3f}",
                "-" if difference is None else _interval(difference, sign="+"),
                _with_spread(found["nsd"]),
            ]
        )
    header = [
        "variant",
        "Dice",
        "95 % interval",
        f"less {reference}",
        "95 % interval, paired",
        "NSD at 2 mm",
    ]
    return [*_table(header, rows), "", _caption(len(seeds), results)]


def _caption(seeds: int, results: Mapping[str, Any]) -> str:
    cases, patients = len(results["cases"]), results["patients"]
    return (
        f"Final weights on {_count(cases, 'test case')} of {_count(patients, 'patient')}; "
        f"mean over the structures the references hold, ± standard deviation over "
        f"{_count(seeds, 'seed')}. The intervals are Student's, over the means of the seeds; "
        f"differences are paired by seed, which draws the same slices for all variants. They tell "
        f"what another seed might give, and nothing about other patients."
    )


def _structures(results: Mapping[str, Any]) -> list[str]:
    names = list(next(iter(results["variants"].values()))["structures"])
    rows = [
        [variant, *(_with_spread(found["structures"][name]) for name in names)]
        for variant, found in results["variants"].items()
    ]
    return [*_table(["Dice", *names], rows), "", "Mean ± standard deviation over seeds."]


def _costs(costs: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            f"{cost['mixer']}, {cost['encoder']}",
            f"{cost['size']}",
            f"{cost['parameters'] / 1e6:.2f}",
            f"{cost['macs'] / 1e9:.2f}",
            f"{cost['milliseconds']:.0f}",
            f"{cost['ratio']:.2f}",
            "-" if cost["memory_mib"] is None else f"{cost['memory_mib']:.0f}",
        ]
        for cost in costs
    ]
    header = [
        "mixer, encoder",
        "side, px",
        "parameters, M",
        "GMAC",
        "ms",
        f"time, {costs[0]['mixer']} = 1",
        "memory, MiB",
    ]
    threads = _count(costs[0]["threads"], "thread")
    return [
        *_table(header, rows),
        "",
        f"One image through PyTorch {costs[0]['torch']} on {costs[0]['processor']}, {threads}: "
        "median time of rounds in which every network has its turn, and what a pass adds to the "
        "memory of a fresh process. The heads that exist for training only are left out. "
        "Multiply-adds are those of what is computed here: the differential mixer multiplies each "
        "of its two maps with the values, and not their difference.",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _with_spread(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    value = Estimate(**found)
    return f"{value.mean:.3f}" if value.sd is None else f"{value.mean:.3f} ± {value.sd:.3f}"


def _interval(found: Mapping[str, Any], sign: str = "") -> str:
    value = Estimate(**found)
    if value.low is None or value.high is None:
        return "-"
    return f"{value.low:{sign}.3f} to {value.high:{sign}.3f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

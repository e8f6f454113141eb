"""Fine-tune the demonstration model on half of a real CT, and measure it on the other half.

    python recipes/finetune-ct/run.py [OUT]

The CT is the sample that ships, of a patient the model has never seen; its reference masks take the
place of corrections. Done twice: learning from the lower half and judging by the upper one, and the
other way round. OUT (default: runs/finetune-ct) receives training sets, models and results.json.
"""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np

from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.finetuning.command import MODEL, Settings, finetune, load_start
from GDLACore.finetuning.held_out import hold_out_slices
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.reference import read_reference
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.network.checkpoint import network_of
from GDLACore.pipeline import segment_volume
from GDLACore.resources import resource_path
from GDLACore.training_set import add_case
from GDLACore.weights.loading import ModelWeights, load_weights

START = "demo-ct"
HALVES = ("lower", "upper")
PATIENT = "0" * 16
GAP = 2  # slices between the halves, 4 mm
RESAMPLES, SEED = 9999, 2026


def main(output: Path) -> None:
    """Learn from either half, print the tables and write results.json."""
    results = {f"learnt from the {half} half": learnt_from(half, output / half) for half in HALVES}
    path = output / "results.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(path)


def learnt_from(half: str, folder: Path) -> dict[str, object]:
    """Fine-tune on a half of the slices in ``folder``, and return what the other half tells."""
    start = load_start(START, None)
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    labels, known = corrections(volume, start.card)
    count = slice_view(volume, "axial", "identity").count
    middle = count // 2
    taught, judging = {
        "lower": (range(middle), range(middle + GAP, count)),
        "upper": (range(middle, count), range(middle - GAP)),
    }[half]
    shutil.rmtree(folder, ignore_errors=True)
    cases = folder / "cases"
    cases.mkdir(parents=True)
    add_case(
        cases,
        volume,
        labels,
        [label for label in start.card.labels if label.value in known],
        start.card,
        patient=PATIENT,
        axis=0,
        reviewed=((taught.start, taught.stop),),
    )
    split = partial(hold_out_slices, fraction=0.25)
    report = finetune(start, cases, folder, Settings(), split, device="cpu", force=True)
    rows = compared(start, load_weights(folder / MODEL), volume, labels, known, judging)
    print(f"\nLearnt from the {half} half. {report.verdict.refusal or 'Accepted.'}")
    show(rows)
    return {
        "slices learnt from": report.split.learning[0].taught,
        "slices that chose the weights": report.split.held_out[0].taught,
        "slices judged by": [[judging.start, judging.stop]],
        "refusal": report.verdict.refusal,
        "dice on the slices that chose": {
            change.structure: [change.start.value, change.result.value]
            for change in report.verdict.changes
            if change.start and change.result
        },
        "dice": rows,
    }


def corrections(volume: Volume, card: ModelCard) -> tuple[np.ndarray, list[int]]:
    """Return the reference masks as labels of ``card`` [k, j, i], and the labels they tell of."""
    path = resource_path("samples", "ct-abdomen-reference.nii.gz")
    reference = read_reference(path, volume, card)
    labels = np.zeros(volume.shape, np.uint8)
    for value, theirs in reference.values.items():
        labels[np.isin(reference.labels, theirs)] = value
    return labels, sorted(reference.values)


def compared(
    start: ModelWeights,
    result: ModelWeights,
    volume: Volume,
    labels: np.ndarray,
    known: list[int],
    slices: range,
) -> list[dict[str, object]]:
    """Return Dice before and after, per structure and as their mean, over ``slices``.

    The interval is a percentile bootstrap of the change over slices, not over patients: there is
    one. Neighbouring slices resemble each other, so it is too narrow even for this patient.
    """
    counts = []  # [model, slice, structure, (common, found, reference)]
    for model in (start, result):
        engine = TorchEngine(network_of(model), model.card, "cpu")
        found = segment_volume(volume, engine)[slices.start : slices.stop]
        truth = labels[slices.start : slices.stop]
        masks = [(found == value, truth == value) for value in known]
        counts.append(
            [[(np.sum(f[k] & t[k]), np.sum(f[k]), np.sum(t[k])) for f, t in masks]
             for k in range(len(truth))]
        )  # fmt: skip
    counts = np.array(counts, float)
    drawn = np.random.default_rng(SEED).integers(0, len(slices), (RESAMPLES, len(slices)))
    whole = dice(counts.sum(axis=1))
    changes = np.diff(dice(counts[:, drawn].sum(axis=2)), axis=0)[0]  # [resample, structure]
    names = [start.card.labels[value - 1].name for value in known]
    rows = []
    for number, name in enumerate(names):
        if counts[0, :, number, 2].sum() == 0:
            continue
        rows.append(_row(name, *whole[:, number], changes[:, number]))
    shown = counts[0, :, :, 2].sum(axis=0) > 0
    means = whole[:, shown].mean(axis=1)
    rows.append(_row("mean", *means, np.nanmean(changes[:, shown], axis=1)))
    return rows


def dice(counts: np.ndarray) -> np.ndarray:
    """Return 2 common / (found + reference) of counts [..., 3]; NaN where both are nothing."""
    total = counts[..., 1] + counts[..., 2]
    return np.divide(2 * counts[..., 0], total, out=np.full(total.shape, np.nan), where=total > 0)


def _row(name: str, before: float, after: float, changes: np.ndarray) -> dict[str, object]:
    low, high = np.nanpercentile(changes, [2.5, 97.5])
    return {
        "structure": name,
        "before": float(before),
        "after": float(after),
        "change": float(after - before),
        "interval over slices": [float(low), float(high)],
    }


def show(rows: list[dict[str, object]]) -> None:
    print(f"{'structure':<16}{'before':>8}{'after':>8}{'change':>9}   95 % over slices")
    for row in rows:
        low, high = row["interval over slices"]
        print(
            f"{row['structure']:<16}{row['before']:>8.3f}{row['after']:>8.3f}"
            f"{row['change']:>+9.3f}   {low:+.3f} to {high:+.3f}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/finetune-ct"))

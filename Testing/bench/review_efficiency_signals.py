"""What may tell in which slices a segmentation is wrong: one number for each slice, in voxels.

Every signal follows one rule, and nothing in it was fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from GDLACore.engine.protocol import Engine, label_type
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import PreparedVolume, SliceResult, segment_prepared
from GDLACore.review.doubt import slice_doubt

SHIPPED = "margin"

_BATCH = 8


def shipped(prepared: PreparedVolume, engine: Engine) -> tuple[np.ndarray, np.ndarray]:
    """Return labels [k, j, i] and, float64 [slices], the doubt that the software shows with them.

    It is the missing margin between the two most probable classes.
    """
    shape = prepared.volume.shape
    labels, confidence = np.zeros(shape, label_type(engine.card)), np.zeros(shape, np.float16)
    for event in segment_prepared(prepared, engine, SegmentOptions(confidence=True)):
        if isinstance(event, SliceResult):
            event.view.put(labels, event.indices, event.labels)
            event.view.put(confidence, event.indices, event.confidence)
    axis = prepared.view.axes[0]
    return labels, slice_doubt(confidence, axis, range(prepared.count))


def of_probabilities(
    prepared: PreparedVolume, engine: Engine, known: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return signals float64 [slices] made of the network's probabilities, as seen and mirrored.

    One of them needs to know which labels, ``known``, will be judged.
    """
    others = [label for label in range(engine.card.classes) if label not in known]
    parts, seen = [], []
    for first in range(0, prepared.count, _BATCH):
        images = prepared.images(range(first, min(first + _BATCH, prepared.count)))
        seen.append(_softmax(engine.scores(images)))
        parts.append({**_as_seen(seen[-1], others), **_mirrored(seen[-1], images, engine)})
    names, probabilities = parts[0], np.concatenate(seen)
    signals = {name: np.concatenate([part[name] for part in parts]) for name in names}
    signals["expected wrong, neighbours too"] = _among_neighbours(probabilities)
    pixels = np.prod(prepared.view.slice_shape) / engine.card.input_size**2
    return {name: pixels * values for name, values in signals.items()}


def _as_seen(seen: np.ndarray, others: Sequence[int]) -> dict[str, np.ndarray]:
    highest, second = _best_two(seen)
    entropy = -(seen * np.log(np.maximum(seen, 1e-12))).sum(axis=1) / np.log(seen.shape[1])
    judged = np.delete(seen, others, axis=1)
    rest = seen[:, others].sum(axis=1, keepdims=True)
    first, next_ = _best_two(np.concatenate([rest, judged], axis=1))
    return {
        "expected wrong": _sum(1 - highest),
        "entropy": _sum(entropy),
        "undecided pixels": _sum(highest - second < 0.5),
        "margin of what is judged": _sum(1 - (first - next_)) / 2,
    }


def _mirrored(seen: np.ndarray, images: np.ndarray, engine: Engine) -> dict[str, np.ndarray]:
    sideways = _softmax(sides_swapped(engine.scores(images[..., ::-1]), engine.card)[..., ::-1])
    upside = _softmax(engine.scores(images[..., ::-1, :]))[..., ::-1, :]
    labels = seen.argmax(axis=1)
    return {
        "mirrored left-right": _sum(labels != sideways.argmax(axis=1)),
        "mirrored up-down": _sum(labels != upside.argmax(axis=1)),
        "expected wrong, left-right too": _sum(1 - _of(labels, (seen + sideways) / 2)),
        "expected wrong, three views": _sum(1 - _of(labels, (seen + sideways + upside) / 3)),
    }


def _among_neighbours(seen: np.ndarray) -> np.ndarray:
    """Return how wrong the labels are expected to be by the mean of slice and neighbours."""
    expected = []
    for index, one in enumerate(seen):
        mean = seen[max(index - 1, 0) : index + 2].mean(axis=0)
        expected.append(_sum(1 - _of(one.argmax(axis=0)[None], mean[None]))[0])
    return np.array(expected)


def of_labels(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return signals float64 [slices] made of ``labels`` [slices, h, w] and their neighbours."""
    changed = (labels[1:] != labels[:-1]).sum(axis=(1, 2)).astype(float)
    alone = (labels[:-2] == labels[2:]) & (labels[1:-1] != labels[:-2])
    across = (labels[:, 1:] != labels[:, :-1]).sum(axis=(1, 2))
    along = (labels[:, :, 1:] != labels[:, :, :-1]).sum(axis=(1, 2))
    # The first and the last slice have one neighbour.
    mean_change = (np.append(changed, changed[-1:]) + np.append(changed[:1], changed)) / 2
    return {
        "change from neighbours": mean_change,
        "unlike both neighbours": np.pad(alone.sum(axis=(1, 2)).astype(float), 1),
        "labelled area": (labels > 0).sum(axis=(1, 2)).astype(float),
        "outline": (across + along).astype(float),
    }


def combined(signals: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return sums of the signals: all of them are voxels, and none needs a weight."""
    return {
        " + ".join(names): sum(signals[name] for name in names)
        for names in (
            (SHIPPED, "unlike both neighbours"),
            (SHIPPED, "change from neighbours"),
            (SHIPPED, "mirrored left-right"),
            (SHIPPED, "mirrored up-down"),
            (SHIPPED, "change from neighbours", "mirrored up-down"),
        )
    }


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sides_swapped(scores: np.ndarray, card: ModelCard) -> np.ndarray:
    """Return ``scores`` [n, classes, ...] of a mirrored image with left called left again."""
    values = {label.name: label.value for label in card.labels}
    order = list(range(card.classes))
    for name, value in values.items():
        if name.startswith("Left ") and (right := values.get("Right " + name[5:])):
            order[value], order[right] = right, value
    return scores[:, order]


def _best_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    best = np.partition(probabilities, -2, axis=1)
    return best[:, -1], best[:, -2]


def _of(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]


def _sum(pixels: np.ndarray) -> np.ndarray:
    return pixels.sum(axis=(1, 2), dtype=np.float64)

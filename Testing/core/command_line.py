"""The `gdla` command with an engine that needs no network."""

from __future__ import annotations

import numpy as np

from GDLACore import cli
from GDLACore.model.card import ModelCard

SHAPE = (6, 7, 8)


class ThresholdEngine:
    """Calls the brighter half of CT values liver."""

    batch_size = 2
    in_flight = 1

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.closed = False

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        return (slices[:, 0] > 0.5).astype(np.uint8)

    def describe(self) -> str:
        return "CPU (test)"

    def __enter__(self) -> ThresholdEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


def run_gdla(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])

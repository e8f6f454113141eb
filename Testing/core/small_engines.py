"""Engines to test with: a rule that counts what it is asked, and a small network at random."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from phantom import make_card
from torch import nn

from GDLACore.engine.protocol import label_type
from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.network.checkpoint import build_network


class RecordingEngine:
    """Calls what is brighter than the middle of the window the first structure."""

    def __init__(self, card: ModelCard, batch_size: int = 2) -> None:
        self.card = card
        self.batch_size = batch_size
        self.asked: list[np.ndarray] = []
        self.borders: set[str] = set()

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        self.asked.append(slices)
        self.borders.add(borders)
        return (slices[:, 0] > 0.5).astype(label_type(self.card))


def make_model_card(modality: str = "CT", in_channels: int = 1, **fields: object) -> ModelCard:
    """Return a card for ``modality``, with ``fields`` changed."""
    card = make_card()
    if modality != "CT":
        colour = in_channels == 3
        fields = {
            "intensity": IntensityProfile("minmax_image" if colour else "zscore_volume"),
            "resampling": "antialias" if colour else "spline3",
            "slice_axis": "acquisition",
            **fields,
        }
    return dataclasses.replace(card, modality=modality, in_channels=in_channels, **fields)


def make_network(card: ModelCard, seed: int = 0) -> nn.Module:
    """Return the network of ``card``; its random weights tell structures apart after a fashion."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_network(card)


def make_engine(card: ModelCard | None = None, seed: int = 0) -> TorchEngine:
    """Return a real engine on the CPU, with a real network and random weights."""
    card = card or make_card()
    return TorchEngine(make_network(card, seed), card, "cpu")


class SmallConvolution(nn.Module):
    """A stand-in for the network, quick at any size. Records how many slices come at a time."""

    def __init__(self, card: ModelCard, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.convolution = nn.Conv2d(card.in_channels, card.classes, 3, padding=1, bias=False)
        self.asked: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(images))
        return self.convolution(images - 0.5)

"""The PyTorch engine and networks for it: a real one at random, and one that is quick."""

from __future__ import annotations

import torch
from phantom import make_card
from torch import nn

from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.model.card import ModelCard
from GDLACore.network.checkpoint import build_network


def make_network(card: ModelCard, seed: int = 0) -> nn.Module:
    """Return the network of ``card``; its random weights tell structures apart after a fashion."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_network(card)


def make_torch_engine(card: ModelCard | None = None, seed: int = 0) -> TorchEngine:
    """Return a PyTorch engine on the CPU, with a real network and random weights."""
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

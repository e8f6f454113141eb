"""Stochastic depth (arXiv 1603.09382) whose draws depend on the seed and the step alone.

timm's draws from PyTorch's global generator: a resumed training, or one over another number of
processes, would draw otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from GDLACore.network.timm_import import import_pvt_v2


class DrawnDropPath(nn.Module):
    """Leaves out its branch for the samples for which ``factors``, [B], is 0."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.factors: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, [B, ...]; in training, times the factor of each sample."""
        if not self.training:
            return x
        if self.factors is None:
            raise RuntimeError("draw() comes before a training step")
        return x * self.factors.to(x).view(-1, *[1] * (x.ndim - 1))


class DropPaths:
    """All drop paths of one network, in place of timm's."""

    def __init__(self, network: nn.Module) -> None:
        self._paths: list[DrawnDropPath] = []
        timm_path = import_pvt_v2().DropPath
        for module in list(network.modules()):
            for name, child in module.named_children():
                if isinstance(child, timm_path):
                    self._paths.append(DrawnDropPath(child.drop_prob))
                    setattr(module, name, self._paths[-1])

    def draw(self, samples: int, own: range, random: torch.Generator) -> None:
        """Draw for a batch of ``samples``, of which ``own`` are passed through the network here.

        A branch that is kept is scaled by 1 / (1 - probability), so that its mean stays.
        """
        drawn = torch.rand(len(self._paths), samples, generator=random)[:, own.start : own.stop]
        for path, uniform in zip(self._paths, drawn, strict=True):
            kept = 1.0 - path.probability
            path.factors = (uniform < kept).float() / kept

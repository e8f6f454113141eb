"""What PyTorch makes of a model, to compare its export with."""

from __future__ import annotations

import numpy as np
import pytest

from GDLACore.weights.loading import ModelWeights

pytest.importorskip("torch")

import torch

from GDLACore.network.checkpoint import build_network

TOLERANCE = 5e-5


def torch_network(model: ModelWeights) -> torch.nn.Module:
    """Return the network of ``model`` for inference; its heads that only teach have no weights."""
    with torch.device("meta"):  # no time for the random start
        network = build_network(model.card)
    tensors = {name: torch.from_numpy(value.copy()) for name, value in model.tensors.items()}
    missing, unexpected = network.load_state_dict(tensors, strict=False, assign=True)
    assert not unexpected
    assert all(name.startswith("auxiliary_") or name.endswith("tracked") for name in missing)
    return network.eval()


@torch.inference_mode()
def torch_logits(network: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    return network(torch.from_numpy(x)).numpy()


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Compare logits of order one."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def assert_near(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Compare logits of any size, measured by the largest of them."""
    largest = np.abs(theirs).max()
    assert 0 < largest < np.inf
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * largest)

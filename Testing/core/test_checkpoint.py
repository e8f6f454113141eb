"""PyTorch networks of checkpoints: the weights that load, in the network that they were made for.

What does not load, and why, is tried in test_loading.
"""

from __future__ import annotations

from pathlib import Path

import golden
import numpy as np
import pytest
from phantom import make_card

pytest.importorskip("torch")

import torch
from networks import official_weights, seeded

from GDLACore.errors import ModelFileError
from GDLACore.model.catalogue import find
from GDLACore.network.checkpoint import build_network, load_model

CARD = make_card()  # PVTv2-b0, gdla, 1 channel, 4 classes

Weights = dict[str, torch.Tensor]


def official_checkpoint(path: Path, weights: Weights) -> Path:
    """Write what the authors' training writes and releases."""
    torch.save({"model_state_dict": weights, "epoch": 149, "best_dice": np.float32(0.83)}, path)
    return path


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Return the weights of the network of ``CARD`` under our names."""
    return dict(seeded(build_network(CARD)).state_dict())


@pytest.fixture
def checkpoint(tmp_path: Path, weights: Weights) -> Path:
    """Return a checkpoint with ``CARD`` beside it."""
    (tmp_path / "model.card.json").write_text(CARD.to_json(), encoding="utf-8")
    return official_checkpoint(tmp_path / "model.ckpt", weights)


@torch.inference_mode()
def test_an_authors_checkpoint_gives_their_logits(tmp_path: Path) -> None:
    path = official_checkpoint(tmp_path / "synapse_best.ckpt", official_weights())
    network, card = load_model(path, "synapse")
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_64")
    logits = network(torch.from_numpy(vectors["input"])).numpy()
    np.testing.assert_allclose(logits, vectors["logits"], rtol=0, atol=5e-5)
    assert card == find("synapse").card


def test_a_loaded_network_is_ready_for_inference_without_its_training_heads(
    checkpoint: Path,
) -> None:
    network, _ = load_model(checkpoint)
    assert not network.training
    assert len(network.auxiliary_heads) == 0


def test_a_loaded_network_has_every_weight_of_the_file(checkpoint: Path, weights: Weights) -> None:
    state = load_model(checkpoint)[0].state_dict()
    assert state.keys() == {n for n in weights if not n.startswith("auxiliary_heads.")}
    assert all(torch.equal(state[name], weights[name]) for name in state)


def test_weights_in_brain_floating_point_become_single(tmp_path: Path, weights: Weights) -> None:
    (tmp_path / "model.card.json").write_text(CARD.to_json(), encoding="utf-8")
    brain = {n: v.bfloat16() if v.is_floating_point() else v for n, v in weights.items()}
    network, _ = load_model(official_checkpoint(tmp_path / "model.ckpt", brain))
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    torch.testing.assert_close(network.head.weight, weights["head.weight"], rtol=0.01, atol=0)


def test_a_checkpoint_that_does_not_fit_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ModelFileError, match="is a network for 4 classes"):
        load_model(checkpoint, "synapse")

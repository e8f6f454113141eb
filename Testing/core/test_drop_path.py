from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from phantom import make_card

from GDLACore.network.checkpoint import build_network
from GDLACore.network.encoder import DROP_PATH_RATE
from GDLACore.training.drop_path import DrawnDropPath, DropPaths


def _paths() -> tuple[DropPaths, list[DrawnDropPath]]:
    network = build_network(make_card(("liver",)))
    paths = DropPaths(network)
    return paths, [m for m in network.modules() if isinstance(m, DrawnDropPath)]


def _draw(paths: DropPaths, samples: int, own: range) -> None:
    paths.draw(samples, own, torch.Generator().manual_seed(3))


def test_deeper_branches_are_dropped_more_often_and_keep_their_mean() -> None:
    paths, modules = _paths()
    _draw(paths, 20_000, range(20_000))
    probabilities = [module.probability for module in modules]
    # Two branches in each of eight blocks; the first block drops nothing.
    assert len(modules) == 14
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] == pytest.approx(DROP_PATH_RATE)
    for module in modules:
        dropped = (module.factors == 0).float().mean().item()
        assert dropped == pytest.approx(module.probability, abs=0.01)
        assert module.factors.mean().item() == pytest.approx(1, abs=0.01)


def test_a_share_of_the_samples_is_dropped_as_in_the_whole_batch() -> None:
    paths, modules = _paths()
    _draw(paths, 6, range(6))
    whole = [module.factors for module in modules]
    _draw(paths, 6, range(2, 5))
    assert all(torch.equal(m.factors, w[2:5]) for m, w in zip(modules, whole, strict=True))


def test_samples_are_dropped_whole_and_in_training_only() -> None:
    path = DrawnDropPath(0.5)
    path.factors = torch.tensor([0.0, 2.0])
    x = torch.ones(2, 3, 4)
    assert torch.equal(path(x), torch.stack([torch.zeros(3, 4), 2 * torch.ones(3, 4)]))
    assert torch.equal(path.eval()(x), x)


def test_a_training_step_without_a_draw_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="draw"):
        DrawnDropPath(0.5)(torch.ones(1, 2))

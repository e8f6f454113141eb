"""Starting a training from ImageNet's PVTv2 or from a whole network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from phantom import make_card
from refusals import refusal

pytest.importorskip("torch")

import torch
from networks import official_weights, seeded
from safetensors.torch import save_file
from torch import Tensor

from GDLACore.model.card import Architecture
from GDLACore.network.checkpoint import build_network, load_initial_weights, save_model
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.network.timm_import import import_pvt_v2

CARD = make_card()  # PVTv2-b0, gdla, 1 channel, 4 classes

Weights = dict[str, Tensor]


@pytest.fixture
def network() -> PVTGDLA:
    return build_network(CARD)


@pytest.fixture(scope="module")
def imagenet() -> Weights:
    """Return a timm classifier's weights, PVTv2-b0."""
    return dict(seeded(import_pvt_v2().pvt_v2_b0(num_classes=10)).state_dict())


def save(path: Path, weights: Weights) -> Path:
    torch.save(weights, path)
    return path


def copied(network: PVTGDLA) -> Weights:
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(before: Weights, after: Weights) -> set[str]:
    """Return the first parts of the names of weights that are no longer the same."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def assert_encoder(network: PVTGDLA, weights: Weights) -> None:
    for name, value in network.encoder.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_timm_classifier_starts_the_encoder_and_nothing_else(
    tmp_path: Path, network: PVTGDLA, imagenet: Weights
) -> None:
    before = copied(network)
    load_initial_weights(network, save(tmp_path / "pvt_v2_b0.pth", imagenet))
    assert_encoder(network, imagenet)
    assert changed(before, network.state_dict()) == {"encoder"}


def test_a_timm_feature_extractor_starts_the_encoder(
    tmp_path: Path, network: PVTGDLA, imagenet: Weights
) -> None:
    features = {
        name.replace("stages.", "stages_", 1): value
        for name, value in imagenet.items()
        if not name.startswith("head.")
    }
    load_initial_weights(network, save(tmp_path / "features.pth", features))
    assert_encoder(network, imagenet)


def test_a_timm_safetensors_file_starts_the_encoder(
    tmp_path: Path, network: PVTGDLA, imagenet: Weights
) -> None:
    save_file(imagenet, tmp_path / "model.safetensors")
    load_initial_weights(network, tmp_path / "model.safetensors")
    assert_encoder(network, imagenet)


def test_the_original_pvt_v2_file_starts_the_encoder(tmp_path: Path) -> None:
    official = official_weights()
    file = {
        name.removeprefix("backbone."): value
        for name, value in official.items()
        if name.startswith("backbone.")
    }
    file |= {"head.weight": torch.ones(1000, 512), "head.bias": torch.ones(1000)}
    network = PVTGDLA(in_channels=1, classes=2)
    load_initial_weights(network, save(tmp_path / "pvt_v2_b2.pth", file))
    ours = network.encoder.state_dict()
    assert torch.equal(ours["patch_embed.proj.weight"], file["patch_embed1.proj.weight"])
    assert torch.equal(
        ours["stages.2.blocks.5.mlp.dwconv.weight"], file["block3.5.mlp.dwconv.dwconv.weight"]
    )
    assert len(ours) == len(file) - 2


def test_an_encoder_cut_out_of_an_authors_checkpoint_starts_the_encoder(
    tmp_path: Path, network: PVTGDLA, imagenet: Weights
) -> None:
    encoder = {f"backbone.{n}": v for n, v in imagenet.items() if not n.startswith("head.")}
    load_initial_weights(network, save(tmp_path / "encoder.pth", encoder))
    assert_encoder(network, imagenet)


def test_a_whole_network_of_the_same_task_starts_everything(
    tmp_path: Path, network: PVTGDLA
) -> None:
    other = seeded(build_network(CARD))
    load_initial_weights(network, save(tmp_path / "model.ckpt", {"state_dict": copied(other)}))
    assert changed(network.state_dict(), other.state_dict()) == set()


def test_an_authors_checkpoint_of_another_task_starts_everything_but_the_heads(
    tmp_path: Path,
) -> None:
    network = PVTGDLA(in_channels=1, classes=4)
    before = copied(network)
    official = official_weights()  # nine classes
    load_initial_weights(network, save(tmp_path / "synapse.ckpt", {"model_state_dict": official}))
    after = network.state_dict()
    assert torch.equal(after["decoder.2.up.weight"], official["up3.up.weight"])
    assert torch.equal(after["stem.norm1.running_var"], official["resblk.norm1.running_var"])
    assert changed(before, after) == {"encoder", "decoder", "stem"}


def test_our_model_file_of_another_task_starts_everything_but_the_heads(tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.safetensors", seeded(build_network(CARD)), CARD)
    network = build_network(make_card(("liver", "spleen")), auxiliary_classes=61)
    before = copied(network)
    load_initial_weights(network, path)
    assert changed(before, network.state_dict()) == {"encoder", "decoder", "stem"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {n: v for n, v in w.items() if "stages.3" not in n}, "of another size: 2, 2,"),
        (lambda w: {n: v for n, v in w.items() if n != "patch_embed.norm.bias"}, "lacks 1 of its"),
        (lambda w: {**w, "stages.1.extra": torch.ones(1)}, "holds 1 weights that it does not have"),
        (lambda w: {**w, "patch_embed.norm.bias": torch.ones(7)}, "(7,) instead of (32,)"),
        (lambda w: {**w, "patch_embed.norm.bias": torch.ones(32) / 0}, "not finite numbers"),
        (lambda w: {"stem.0.weight": torch.ones(3)}, "holds another network"),
        (lambda w: {"layer1.0.conv1.weight": torch.ones(3)}, "holds another network"),
        (lambda w: {"epoch": 3}, "'epoch' is not a plain tensor"),
    ],
)
def test_files_that_start_nothing_say_why_and_change_nothing(
    tmp_path: Path,
    network: PVTGDLA,
    imagenet: Weights,
    change: Callable[[Weights], Weights],
    message: str,
) -> None:
    before = copied(network)
    path = save(tmp_path / "encoder.pth", change(imagenet))
    assert message in refusal(path, partial(load_initial_weights, network))
    assert changed(before, network.state_dict()) == set()


def test_a_deeper_encoder_is_not_loaded_in_part(tmp_path: Path) -> None:
    deep = dict(import_pvt_v2().pvt_v2_b3(num_classes=0).state_dict())
    path = save(tmp_path / "pvt_v2_b3.pth", deep)
    network = PVTGDLA(in_channels=1, classes=2, encoder="b2")
    assert (
        "3, 4, 18, 3 blocks of first width 64 instead of 3, 4, 6, 3 blocks of first width 64"
        in refusal(path, partial(load_initial_weights, network))
    )


def test_a_network_with_another_mixer_or_input_starts_nothing(
    tmp_path: Path, network: PVTGDLA
) -> None:
    softmax = build_network(replace(CARD, architecture=Architecture("b0", "softmax")))
    path = save(tmp_path / "softmax.ckpt", copied(softmax))
    load = partial(load_initial_weights, network)
    assert "does not fit the network to train: it lacks" in refusal(path, load)
    colour = build_network(replace(CARD, in_channels=3))
    path = save(tmp_path / "colour.ckpt", copied(colour))
    assert "stem.conv1.weight has the shape" in refusal(path, load)


@pytest.mark.parametrize(
    ("suffix", "damaged"),
    [(".pth", "is damaged"), (".safetensors", "is not a safetensors file")],
)
def test_missing_empty_and_damaged_files_are_refused(
    tmp_path: Path, network: PVTGDLA, suffix: str, damaged: str
) -> None:
    load = partial(load_initial_weights, network)
    path = tmp_path / f"encoder{suffix}"
    assert "does not exist" in refusal(path, load)
    path.write_bytes(b"")
    assert "is empty" in refusal(path, load)
    path.write_bytes(b"\x80nothing of use")
    assert damaged in refusal(path, load)
    assert "is a folder" in refusal(tmp_path, load)

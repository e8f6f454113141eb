"""What networks cost: counts that can be checked by hand, and measurements that make sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from phantom import make_card

from GDLACore.comparison import costs
from GDLACore.comparison.costs import forward_memory_mib, measure_costs, multiply_adds
from GDLACore.comparison.settings import CostSettings
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.network.pvt_gdla import PVTGDLA


def card_of(mixer: str, encoder: str = "b0") -> ModelCard:
    return replace(make_card(("liver",)), architecture=Architecture(encoder, mixer))


def published_network(mixer: str) -> PVTGDLA:
    """Return a network of published size whose weights are whatever was in memory."""
    with torch.device("meta"):
        network = PVTGDLA(in_channels=1, classes=9, mixer=mixer)
    return network.to_empty(device="cpu").eval()


# GMAC of the authors' networks at 224 x 224, by the same counter.
@pytest.mark.parametrize(
    ("mixer", "gmac"), [("gdla", 6.345), ("softmax", 6.280), ("linear", 4.863)]
)
def test_multiply_adds_are_those_of_the_authors_networks(mixer: str, gmac: float) -> None:
    # The head is applied before the last enlarging: 64 * 9 more at a sixteenth of the pixels.
    counted = multiply_adds(published_network(mixer), 1, 224) / 1e9
    assert counted - 64 * 9 * 56**2 / 1e9 == pytest.approx(gmac, abs=0.002)


def test_the_differential_mixer_multiplies_the_values_twice() -> None:
    second = sum((n * n) ** 2 * c for n, c in ((56, 64), (28, 128), (14, 320)))
    counted = (
        multiply_adds(published_network("differential"), 1, 224) - second - 64 * 9 * 56**2
    ) / 1e9
    assert counted == pytest.approx(6.463, abs=0.002)


def test_counting_leaves_the_network_as_it_was() -> None:
    network = PVTGDLA(in_channels=1, classes=2, encoder="b0").eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multiply_adds(network, 1, 64)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_every_network_is_measured_with_the_encoder_and_the_threads_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(costs, "forward_memory_mib", lambda card, size, threads: 1.5)
    threads = torch.get_num_threads()
    settings = CostSettings(encoders=("b0",), sizes=(32,), rounds=2, threads=1)
    first, second = measure_costs([card_of("gdla", "b2"), card_of("linear")], "b0", 32, settings)
    assert torch.get_num_threads() == threads
    assert (first["encoder"], first["mixer"], first["size"]) == ("b0", "gdla", 32)
    assert first["ratio"] == 1.0 and second["ratio"] > 0
    assert first["parameters"] > second["parameters"] and first["macs"] > second["macs"]
    assert first["memory_mib"] == 1.5


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells")
def test_a_pass_over_a_larger_image_takes_more_memory() -> None:
    memory = forward_memory_mib(card_of("linear"), 512, threads=1)
    # The stem alone holds 32 channels of 512 x 512 in float32.
    assert memory is not None and memory >= 32

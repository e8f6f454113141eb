"""The weight-less description of the network is the network's, name by name."""

from __future__ import annotations

import itertools
import math

import pytest

from GDLACore.model.card import ABLATIONS, ENCODERS, MIXERS, Architecture
from GDLACore.weights.shapes import weight_shapes

# Every encoder and every mixer once, with both numbers of channels: a part does not depend on
# what the others are.
NETWORKS = [
    *((encoder, "gdla", 1, 9) for encoder in ENCODERS),
    *(("b0", mixer, 3, 2) for mixer in MIXERS),
    *(("b2", mixer, 1, 4) for mixer in MIXERS + ABLATIONS),
]


@pytest.mark.parametrize(("encoder", "mixer", "in_channels", "classes"), NETWORKS)
def test_names_shapes_and_order_are_those_of_the_network_in_pytorch(
    encoder: str, mixer: str, in_channels: int, classes: int
) -> None:
    torch = pytest.importorskip("torch")
    from GDLACore.network.pvt_gdla import PVTGDLA

    with torch.device("meta"):
        network = PVTGDLA(in_channels=in_channels, classes=classes, encoder=encoder, mixer=mixer)
    network.auxiliary_heads = torch.nn.ModuleList()
    expected = [
        (name, tuple(value.shape))
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    ]
    ours = weight_shapes(Architecture(encoder, mixer), in_channels, classes)
    assert list(ours.items()) == expected


def test_the_published_network_has_the_published_number_of_parameters() -> None:
    shapes = weight_shapes(Architecture("b2", "gdla"), 1, 9)
    counted = [shape for name, shape in shapes.items() if ".running_" not in name]
    assert sum(map(math.prod, counted)) == 32_125_940


@pytest.mark.parametrize(("encoder", "mixer"), list(itertools.product(ENCODERS, MIXERS)))
def test_every_member_of_the_family_is_described(encoder: str, mixer: str) -> None:
    shapes = weight_shapes(Architecture(encoder, mixer), 3, 2)
    assert shapes["head.weight"][0] == 2
    assert shapes["stem.conv1.weight"] == (3, 3, 3, 3)


@pytest.mark.parametrize(
    ("encoder", "mixer", "in_channels", "classes", "message"),
    [
        ("b6", "gdla", 1, 2, "encoder must be one of b0, "),
        ("b2", "mamba", 1, 2, "mixer must be one of gdla, "),
        ("b2", "gdla", 2, 2, "in_channels must be 1 or 3"),
        ("b2", "gdla", 1, 0, "classes must be at least 1"),
    ],
)
def test_networks_that_do_not_exist_have_no_shapes(
    encoder: str, mixer: str, in_channels: int, classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        weight_shapes(Architecture(encoder, mixer), in_channels, classes)

"""The benchmarks' own arithmetic, and that what they compare us with is the published network."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from phantom import make_card
from scipy import ndimage

pytest.importorskip("torch")

import torch
from networks import seeded
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.imaging.intensity import normaliser
from GDLACore.network.checkpoint import build_network
from GDLACore.network.pvt_gdla import PVTGDLA

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "Testing/bench"))

import report  # noqa: E402
from gpu_network import COMPILED, EAGER, image, in_precision, runner  # noqa: E402
from gpu_pipeline import DevicePipeline  # noqa: E402
from label_agreement import agreement  # noqa: E402
from macs import count  # noqa: E402
from power_law import exponent  # noqa: E402
from published_way import (  # noqa: E402
    check_published_way,
    published_network,
    segment_as_published,
)
from rounds import percentile, round_robin  # noqa: E402
from stages import Stages  # noqa: E402

CARD = make_card()  # PVTv2-b0, 64 x 64


@pytest.fixture(scope="module")
def network() -> PVTGDLA:
    return seeded(build_network(CARD))


@pytest.fixture(scope="module")
def ct() -> np.ndarray:
    """Five slices of 70 x 92 pixels in HU, int16, none of them square."""
    noise = np.random.default_rng(3).normal(size=(5, 70, 92))
    smooth = ndimage.gaussian_filter(noise, (0, 4, 4))
    return (300 * smooth / smooth.std()).astype(np.int16)


@pytest.fixture(scope="module")
def published_labels(network: PVTGDLA, ct: np.ndarray) -> np.ndarray:
    published = published_network(network.state_dict(), CARD.architecture.encoder)
    return segment_as_published(ct, published, CARD, Stages())


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def test_the_published_way_gives_the_authors_logits_and_labels() -> None:
    check_published_way()


def test_the_published_way_takes_weights_without_the_heads_that_only_teach(
    network: PVTGDLA,
) -> None:
    weights = {n: v for n, v in network.state_dict().items() if not n.startswith("auxiliary_")}
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = network(images), published_network(weights, "b0")(images)[-1]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-5)


def test_the_published_way_refuses_incomplete_weights(network: PVTGDLA) -> None:
    weights = {n: v for n, v in network.state_dict().items() if n != "decoder.0.up.weight"}
    with pytest.raises(RuntimeError, match="decoder.0.up.weight"):
        published_network(weights, "b0")


def test_the_published_way_labels_a_ct_as_our_engine_does(
    network: PVTGDLA, ct: np.ndarray, published_labels: np.ndarray
) -> None:
    engine = TorchEngine(network, CARD, "cpu")
    ours = engine.predict(normaliser(CARD.intensity, ct)(ct)[:, None], "published")
    assert len(np.unique(published_labels)) > 1
    assert agreement(ours, published_labels)["same_labels"] > 0.9999


def test_the_published_way_refuses_a_model_without_a_window(ct: np.ndarray) -> None:
    intensity = dataclasses.replace(CARD.intensity, kind="none", lower=None, upper=None)
    card = dataclasses.replace(CARD, intensity=intensity)
    with pytest.raises(ValueError, match="no window"):
        segment_as_published(ct, nn.Identity(), card, Stages())


def test_the_pipeline_on_the_device_labels_a_ct_as_published_also_in_a_broken_batch(
    network: PVTGDLA, ct: np.ndarray, published_labels: np.ndarray
) -> None:
    own = in_precision(network, "fp32", "cpu")
    run = runner(own, EAGER, image(own, 2, 1, CARD.input_size))
    pipeline = DevicePipeline(run, CARD, ct.shape, batch=2, dtype=torch.float32, device="cpu")
    assert agreement(pipeline(ct), published_labels)["same_labels"] > 0.9999


@torch.inference_mode()
def test_a_compiled_network_is_the_same_network(network: PVTGDLA) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = image(in_precision(network, "fp32", "cpu"), 1, 1, 64)
    torch.testing.assert_close(runner(network, COMPILED, images)(images), network(images))


@pytest.mark.parametrize("encoder", ["b0", "b2"])
@torch.no_grad()
def test_the_multiply_adds_are_those_that_pytorch_counts(encoder: str) -> None:
    network = PVTGDLA(in_channels=3, classes=4, encoder=encoder).eval()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 3, 64, 96))
    assert 2 * sum(count(shapes_of(network), 64, 96).values()) == counter.get_total_flops()


def test_the_published_network_takes_the_multiply_adds_its_description_tells() -> None:
    shapes = shapes_of(PVTGDLA(in_channels=1, classes=9))
    assert sum(count(shapes, 224, 224).values()) == pytest.approx(6.345e9, rel=1e-4)


def test_the_exponent_of_a_power_law_is_found() -> None:
    assert exponent({side: 3e-9 * side**3 for side in (224, 384, 512)}) == pytest.approx(1.5)


def test_no_exponent_is_told_of_a_single_size() -> None:
    assert np.isnan(exponent({224: 1.0}))


def test_int8_weights_change_a_result_by_no_more_than_their_rounding() -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from int8_weights import with_int8_weights

    random = np.random.default_rng(0)
    kernel, matrix = (random.normal(size=s).astype(np.float32) for s in ((32, 8, 3, 3), (64, 48)))
    matrix *= np.geomspace(1e-3, 1e3, 48, dtype=np.float32)  # each column has a scale of its own
    image, result = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, 66, side])
        for name, channels, side in (("image", 8, 66), ("result", 32, 48))
    )
    result.type.tensor_type.shape.dim[2].dim_value = 64
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Conv", ["image", "kernel"], ["features"]),
            onnx.helper.make_node("MatMul", ["features", "matrix"], ["result"]),
        ],
        "two products",
        [image],
        [result],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(matrix, "matrix"),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    rounded = with_int8_weights(model)
    assert rounded.ByteSize() < 0.4 * model.ByteSize()
    images = {"image": random.normal(size=(1, 8, 66, 66)).astype(np.float32)}
    exact, near = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(None, images)[0]
        for m in (model, rounded)
    )
    error = np.abs(near - exact).max(axis=(0, 1, 2)) / exact.std(axis=(0, 1, 2))
    assert 0 < error.max() < 0.1


def test_contenders_take_turns() -> None:
    order: list[str] = []
    contenders = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert round_robin(contenders, 2) == {"a": [1, 3], "b": [2, 4]}
    assert order == ["a", "b", "a", "b"]


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 10), (95, 19), (100, 20)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: int) -> None:
    assert percentile(range(20, 0, -1), percent) == expected


def test_agreement_tells_structures_from_the_air_around_them() -> None:
    reference, labels = np.array([0, 0, 0, 0, 1, 2, 0, 0]), np.array([0, 0, 0, 0, 1, 1, 2, 0])
    assert agreement(labels, reference) == {"same_labels": 0.75, "same_structures": 1 / 3}


def test_agreement_on_nothing_is_complete() -> None:
    nothing = np.zeros(4, np.uint8)
    assert agreement(nothing, nothing) == {"same_labels": 1.0, "same_structures": 1.0}


def test_a_table_replaces_what_stood_in_its_place_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\n\nold\n\n<!-- /a -->\nafter\n")
    report.replace_table(page, "a", "new\n")
    assert page.read_text() == "before\n<!-- a -->\n\nnew\n\n<!-- /a -->\nafter\n"


def test_a_benchmark_without_a_place_in_the_documentation_fails_before_it_measures() -> None:
    with pytest.raises(ValueError, match="no place for the table 'nowhere'"):
        report.heading(argparse.Namespace(docs=True), "nowhere")


def test_every_command_in_the_documentation_has_its_place_below() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^ {4}python Testing/bench/", page, flags=re.MULTILINE)[1:]
    assert parts
    for part in parts:
        model = re.match(r".*--model (\S+)", part)
        place = re.search(r"<!-- (\S+)(?: (\S+))? -->", part)
        assert place, part
        assert place[2] == (model[1] if model else None), part

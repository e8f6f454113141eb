"""The ONNX Runtime engine: right labels, whatever the size, the batch and the threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from onnx_networks import constant, convolution, kernel, slices
from phantom import make_card
from scipy import ndimage
from small_engines import make_engine, make_model_card

from GDLACore.engine import load_engine
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.resampling import antialias_matrix
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.resources import resource_path

BORDERS = ("smooth", "published")

borders_of = pytest.mark.parametrize("borders", BORDERS)


def convolved(card: ModelCard, image: np.ndarray) -> np.ndarray:
    """Return the logits of ``convolution(card)`` for an image [channels, h, w], in float64."""
    correlate = partial(ndimage.correlate, mode="constant")
    image = image.astype(float) - 0.5
    return np.stack(
        [
            sum(correlate(one, weights) for one, weights in zip(image, kernels, strict=True))
            for kernels in kernel(card).astype(float)
        ]
    )


def sure_labels(logits: np.ndarray) -> np.ndarray:
    """Return the class of the largest logit, where rounding cannot have decided it."""
    first, second = np.sort(logits, axis=0)[:-3:-1]
    assert (first - second).min() > 1e-5, "choose another seed: this one tests rounding"
    return logits.argmax(axis=0)


@pytest.fixture(scope="module")
def real() -> OnnxEngine:
    """Return the smallest real network on two threads."""
    return make_engine()


# (511, 505) -> 32 meets scipy's quirk on the way in (511) and (121, 120) on the way back.
@pytest.mark.parametrize("shape", [(512, 512), (511, 505), (121, 120), (45, 120), (32, 32)])
def test_published_borders_are_zoom_network_argmax_zoom(shape):
    card = make_model_card(input_size=32)
    image = slices(1, *shape)
    zoomed = ndimage.zoom(image[0, 0].astype(float), (32 / shape[0], 32 / shape[1]), order=3)
    labels = sure_labels(convolved(card, zoomed[None])).astype(np.uint8)
    expected = ndimage.zoom(labels, (shape[0] / 32, shape[1] / 32), order=0)
    assert expected.shape == shape
    assert len(np.unique(expected)) > 1
    result = OnnxEngine(convolution(card), card, "cpu").predict(image, "published")
    assert (result.shape, result.dtype) == ((1, *shape), np.uint8)
    np.testing.assert_array_equal(result[0], expected)


@borders_of
@pytest.mark.parametrize("shape", [(96, 64), (20, 40), (64, 200), (32, 32)])
def test_a_photograph_is_shrunk_scaled_and_enlarged_on_its_own_grid(shape, borders):
    card = make_model_card("RGB", 3, input_size=32)
    image = 255 * slices(1, *shape, channels=3)
    rows, columns = (antialias_matrix(n, 32) for n in shape)
    small = rows @ image[0].astype(float) @ columns.T
    logits = convolved(card, (small - small.min()) / (small.max() - small.min() + 1e-8))
    if borders == "smooth":
        rows, columns = (antialias_matrix(32, n) for n in shape)
        expected = (rows @ logits @ columns.T).argmax(axis=0)
    else:
        nearest = [((np.arange(n) + 0.5) * 32 / n).astype(int) for n in shape]
        expected = sure_labels(logits)[np.ix_(*nearest)]
    result = OnnxEngine(convolution(card), card, "cpu").predict(image, borders)
    # Where two classes are equally likely, rounding may decide; ``sure_labels`` excludes it.
    assert (result[0] == expected).mean() >= (0.999 if borders == "smooth" else 1.0)


@borders_of
@pytest.mark.parametrize("name", ["ct", "photograph"])
@pytest.mark.parametrize("shape", [(70, 50), (64, 64), (30, 300), (5, 6)])
def test_slices_of_every_shape_get_the_labels_of_pytorch(name, shape, borders):
    torch = pytest.importorskip("torch")
    from GDLACore.engine.torch_engine import TorchEngine

    card = make_card() if name == "ct" else make_model_card("RGB", 3, input_size=64)
    network = torch.nn.Conv2d(card.in_channels, card.classes, 3, padding=1, bias=False)
    network.weight.data = torch.from_numpy(kernel(card))

    class Shifted(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return network(images - 0.5)

    several = slices(3, *shape, channels=card.in_channels)
    expected = TorchEngine(Shifted(), card, "cpu").predict(several, borders)
    result = OnnxEngine(convolution(card), card, "cpu").predict(several, borders)
    assert (result == expected).mean() > 0.999


def test_the_sample_ct_gets_the_labels_of_pytorch():
    pytest.importorskip("torch")
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    results = []
    for runtime in ("onnx", "torch"):
        with load_engine("demo-ct", device="cpu", runtime=runtime) as engine:
            assert (type(engine) is OnnxEngine) == (runtime == "onnx")
            for borders in BORDERS:
                options = SegmentOptions(borders=borders, slices=range(0, 20, 3))
                results.append(segment_volume(volume, engine, options)[::3])
    for ours, theirs in zip(results[:2], results[2:], strict=True):
        assert len(np.unique(ours)) > 5
        assert (ours == theirs).mean() >= 0.9999


def test_scores_are_the_networks_logits():
    card = make_model_card(input_size=32)
    several = slices(3, 45, 120)
    scores = OnnxEngine(convolution(card), card, "cpu").scores(several)
    assert (scores.shape, scores.dtype) == ((3, 4, 32, 32), np.float32)
    for one, image in zip(scores, several, strict=True):
        zoomed = ndimage.zoom(image[0].astype(float), (32 / 45, 32 / 120), order=3)
        np.testing.assert_allclose(one, convolved(card, zoomed[None]), atol=1e-5)


@pytest.fixture(scope="module")
def expected(real) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return seven slices, and what the real network says of each when it is alone."""
    several = slices(7, 71, 45)  # an odd number of pixels: every slice lies differently in memory
    alone = [several[i : i + 1].copy() for i in range(7)]
    labels = {b: np.concatenate([real.predict(one, b) for one in alone]) for b in BORDERS}
    assert len(np.unique(labels["smooth"])) > 1
    return several, labels, np.concatenate([real.scores(one) for one in alone])


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 3, 7, 99])
def test_neither_threads_nor_company_change_a_bit(expected, threads, batch, real):
    several, labels, scores = expected
    with make_engine(threads=threads) as engine:
        engine.batch_size = batch
        np.testing.assert_array_equal(engine.scores(several), scores)
        for borders in BORDERS:
            np.testing.assert_array_equal(engine.predict(several, borders), labels[borders])


@borders_of
def test_the_order_changes_nothing(expected, borders, real):
    several, labels, _ = expected
    order = [4, 0, 6, 5, 2, 1, 3]
    np.testing.assert_array_equal(real.predict(several[order], borders), labels[borders][order])
    np.testing.assert_array_equal(real.predict(several[::-1], borders), labels[borders][::-1])


def test_several_threads_may_ask_at_a_time(expected, real):
    several, labels, scores = expected
    wide = slices(2, 30, 90)
    wide_labels = real.predict(wide, "smooth")
    questions = 4 * [
        (partial(real.predict, several, "smooth"), labels["smooth"]),
        (partial(real.predict, several[2:5], "published"), labels["published"][2:5]),
        (partial(real.scores, several), scores),
        (partial(real.predict, wide, "smooth"), wide_labels),
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda question: question[0](), questions))
    for answer, (_, right) in zip(answers, questions, strict=True):
        np.testing.assert_array_equal(answer, right)


def test_slices_may_be_views_that_run_backwards(real):
    turned = slices(3, 40, 50)[::-1, :, ::-1].swapaxes(2, 3)
    expected = real.predict(np.ascontiguousarray(turned), "smooth")
    np.testing.assert_array_equal(real.predict(turned, "smooth"), expected)


def test_no_slices_give_no_labels(real):
    assert real.predict(slices(1, 20, 30)[:0], "smooth").shape == (0, 20, 30)
    assert real.scores(slices(1, 20, 30)[:0]).shape == (0, 4, 64, 64)


@borders_of
@pytest.mark.parametrize(("structures", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_labels_above_255_need_two_bytes(structures, dtype, borders):
    card = make_card(tuple(f"structure {i}" for i in range(structures)))
    logits = np.zeros((card.classes, 64, 64), np.float32)
    logits[structures, :, 32:] = 1
    result = OnnxEngine(constant(card, logits), card, "cpu").predict(slices(2, 64, 64), borders)
    assert result.dtype == dtype
    assert set(result[:, :, 32:].ravel()) == {structures}

"""How sure the network is: the margin of its two best classes, beside labels that stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_networks import (
    CPU,
    CUDA,
    NO_MEMORY,
    LimitedSession,
    constant,
    convolution,
    engine_on,
    exploding,
    kernel,
    slices,
)
from phantom import make_card
from scipy import ndimage
from small_engines import make_engine, make_model_card

from GDLACore.engine.confidence import confidence, margin
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import EngineError
from GDLACore.imaging.percent import percent
from GDLACore.imaging.resampling import antialias_matrix
from GDLACore.imaging.slice_resampling import slice_resampling

BORDERS = ("smooth", "published")

borders_of = pytest.mark.parametrize("borders", BORDERS)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the first axis, in float64."""
    powers = np.exp(logits.astype(float) - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def random_logits(classes: int, side: int = 32, scale: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng(classes)
    return rng.normal(scale=scale, size=(classes, side, side)).astype(np.float32)


# --- the margin ----------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 9, 40])
def test_it_is_the_difference_of_the_two_largest_probabilities(classes):
    logits = random_logits(classes)
    second, first = np.sort(probabilities(logits), axis=0)[-2:]
    np.testing.assert_allclose(margin(logits), first - second, atol=1e-6)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0, 0], 0),
        ([3, 3, 3], 0),
        ([-7, 5, 5], 0),
        ([0, 50], 1),
        ([3e38, -3e38], 1),
        ([-3e38, -3e38], 0),
        ([88, 89, -1000], (np.e - 1) / (np.e + 1)),
    ],
)
def test_it_is_0_for_a_draw_and_1_for_certainty_however_large_the_logits(logits, expected):
    with np.errstate(all="raise", over="ignore", under="ignore"):
        result = margin(np.array(logits, np.float32)[:, None])
    np.testing.assert_allclose(result, [expected], atol=1e-6)


@pytest.mark.parametrize("shape", [(130, 97), (45, 120), (20, 33), (32, 32), (1, 40)])
def test_a_volumes_slice_gets_it_interpolated_between_the_corners(shape):
    logits = random_logits(4)
    places = np.meshgrid(*(np.linspace(0, 31 * (n > 1), n) for n in shape), indexing="ij")
    expected = ndimage.map_coordinates(margin(logits), places, float, order=1, mode="nearest")
    result = confidence(logits, slice_resampling("spline3", shape, 32))
    assert (result.shape, result.dtype) == (shape, np.float16)
    np.testing.assert_allclose(result, expected, atol=6e-4)


@pytest.mark.parametrize("shape", [(96, 64), (20, 40), (10, 200), (32, 32)])
def test_a_photograph_gets_it_on_the_photographs_grid(shape):
    logits = random_logits(3)
    rows, columns = (antialias_matrix(32, n) for n in shape)
    result = confidence(logits, slice_resampling("antialias", shape, 32))
    np.testing.assert_allclose(result, rows @ margin(logits) @ columns.T, atol=6e-4)
    assert result.min() >= 0 and result.max() <= 1


# --- engines -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> OnnxEngine:
    """Return the smallest real network on two threads."""
    return make_engine()


@borders_of
@pytest.mark.parametrize("shape", [(71, 45), (64, 64), (30, 200)])
def test_labels_are_those_without_confidence_to_the_last_bit(real, shape, borders):
    several = slices(5, *shape)
    labels, sure = real.predict_with_confidence(several, borders)
    expected = real.predict(several, borders)
    assert labels.dtype == expected.dtype
    np.testing.assert_array_equal(labels, expected)
    assert (sure.shape, sure.dtype) == ((5, *shape), np.float16)
    assert sure.min() >= 0 and sure.max() <= 1
    assert np.ptp(sure) > 0.01


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 99])
def test_neither_threads_nor_company_change_a_bit_of_it(real, threads, batch):
    several = slices(7, 71, 45)
    alone = [real.predict_with_confidence(one[None], "smooth")[1][0] for one in several]
    with make_engine(threads=threads) as engine:
        engine.batch_size = batch
        sure = engine.predict_with_confidence(several, "smooth")[1]
    np.testing.assert_array_equal(sure, alone)


def test_it_is_low_where_the_network_wavers_and_nowhere_else():
    card = make_model_card(input_size=32)
    logits = np.zeros((card.classes, 32, 32), np.float32)
    logits[1, :, :16], logits[2, :, 16:] = 20, 20
    logits[2, 8:24, :8] = 19.5
    engine = OnnxEngine(constant(card, logits), card, "cpu")
    labels, sure = engine.predict_with_confidence(slices(1, 32, 32), "smooth")
    assert (labels[0, :, :16] == 1).all() and (labels[0, :, 16:] == 2).all()
    wavering = np.zeros((32, 32), bool)
    wavering[8:24, :8] = True
    np.testing.assert_array_equal(sure[0] < 0.5, wavering)
    np.testing.assert_allclose(sure[0, wavering], np.tanh(0.25), atol=1e-3)


@borders_of
@pytest.mark.parametrize("name", ["ct", "photograph"])
@pytest.mark.parametrize("shape", [(70, 50), (64, 64), (30, 300), (5, 6)])
def test_slices_of_every_shape_get_the_confidence_of_pytorch(name, shape, borders):
    torch = pytest.importorskip("torch")
    from GDLACore.engine.torch_engine import TorchEngine

    card = make_card() if name == "ct" else make_model_card("RGB", 3, input_size=64)
    network = torch.nn.Conv2d(card.in_channels, card.classes, 3, padding=1, bias=False)
    network.weight.data = torch.from_numpy(kernel(card))

    class Shifted(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return network(images - 0.5)

    several = slices(3, *shape, channels=card.in_channels)
    engine = TorchEngine(Shifted(), card, "cpu")
    labels, sure = engine.predict_with_confidence(several, borders)
    np.testing.assert_array_equal(labels, engine.predict(several, borders))
    assert (sure.shape, sure.dtype) == ((3, *shape), np.float16)
    ours = OnnxEngine(convolution(card), card, "cpu").predict_with_confidence(several, borders)[1]
    np.testing.assert_allclose(ours, sure, atol=2e-3)


def test_slices_may_be_views_that_run_backwards(real):
    turned = slices(3, 40, 50)[::-1, :, ::-1].swapaxes(2, 3)
    expected = real.predict_with_confidence(np.ascontiguousarray(turned), "smooth")[1]
    np.testing.assert_array_equal(real.predict_with_confidence(turned, "smooth")[1], expected)


def test_no_slices_give_no_confidence(real):
    labels, sure = real.predict_with_confidence(slices(1, 20, 30)[:0], "smooth")
    assert labels.shape == sure.shape == (0, 20, 30)


@pytest.mark.parametrize("error", [NO_MEMORY[0], MemoryError()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("provider", [CPU, CUDA])
def test_too_little_memory_changes_nothing_but_how_many_slices_go_at_a_time(
    provider, error, monkeypatch, caplog
):
    card, several = make_card(), slices(9, 40, 30)
    reference = OnnxEngine(convolution(card), card, "cpu")
    expected = reference.predict_with_confidence(several, "smooth")
    session = LimitedSession(card, 99, error)
    engine, _ = engine_on(provider, session, monkeypatch, threads=8)
    engine.batch_size, session.most = 8, 0 if provider == CUDA else 1
    if provider == CPU:
        fails_at(engine, session, error)
    result = engine.predict_with_confidence(several, "smooth")
    for ours, theirs in zip(result, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert "slices go on in batches of" in caplog.text
    assert engine.on_cpu


def fails_at(engine: OnnxEngine, session: LimitedSession, error: Exception) -> None:
    """Let ``session`` fail for as long as ``engine`` takes more than two slices at a time."""
    run = session.run

    def crowded(names, feed):
        if engine.batch_size > 2:
            raise error
        return run(names, feed)

    session.run = crowded


def test_too_little_memory_for_pytorch_halves_the_batch_and_changes_nothing_else():
    torch = pytest.importorskip("torch")
    from torch_engines import SmallConvolution

    from GDLACore.engine.torch_engine import TorchEngine

    class Narrow(SmallConvolution):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images)

    card, several = make_card(), slices(11, 40, 30)
    reference = TorchEngine(SmallConvolution(card), card, "cpu")
    expected = reference.predict_with_confidence(several, "smooth")
    network = Narrow(card)
    engine = TorchEngine(network, card, "cpu")
    engine.batch_size = 8
    labels, sure = engine.predict_with_confidence(several, "smooth")
    np.testing.assert_array_equal(labels, expected[0])
    # Where slices share a batch, the last bit may depend on how many.
    np.testing.assert_allclose(sure, expected[1], rtol=2e-3)
    assert network.asked == [2, 2, 2, 2, 2, 1]


def test_a_gpu_gives_the_confidence_of_the_cpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    from torch_engines import make_network, make_torch_engine

    from GDLACore.engine.torch_engine import TorchEngine

    card, several = make_card(), slices(40, 70, 50)
    expected = make_torch_engine(card).predict_with_confidence(several, "smooth")[1]
    with TorchEngine(make_network(card), card, "cuda") as engine:
        labels, sure = engine.predict_with_confidence(several, "smooth")
        np.testing.assert_array_equal(labels, engine.predict(several, "smooth"))
    np.testing.assert_allclose(sure, expected, atol=0.01)


def test_results_that_are_no_numbers_have_no_confidence():
    card = make_card()
    with pytest.raises(EngineError, match="not finite"):
        OnnxEngine(exploding(card), card, "cpu").predict_with_confidence(
            10 * slices(1, 64, 64), "smooth"
        )


def test_a_closed_engine_does_not_answer():
    with make_engine() as engine:
        pass
    with pytest.raises(EngineError, match="closed"):
        engine.predict_with_confidence(slices(1, 64, 64), "smooth")


# --- percent -------------------------------------------------------------------------------------


def test_percent_are_whole_and_0_is_left_to_what_was_not_computed():
    sure = np.array([0, 0.001, 0.014, 0.016, 0.5, 0.994, 0.996, 1, np.nan], np.float16)
    result = percent(sure)
    assert result.dtype == np.uint8
    assert result.tolist() == [1, 1, 1, 2, 50, 99, 100, 100, 0]
    np.testing.assert_array_equal(percent(sure[::-2]), result[::-2])

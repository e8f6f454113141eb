"""The PyTorch engine: right labels, whatever the size and the batch."""

from __future__ import annotations

import numpy as np
import pytest
from phantom import make_card
from scipy import ndimage
from small_engines import make_model_card

pytest.importorskip("torch")

import torch
from torch import nn
from torch_engines import SmallConvolution, make_network, make_torch_engine

from GDLACore.engine import load_engine
from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.errors import EngineError, ModelFileError
from GDLACore.imaging.intensity import minmax_images
from GDLACore.network.checkpoint import save_model


class Answering(nn.Module):
    """Gives the same logits whatever it is shown."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.answer = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.answer.expand(len(images), -1, -1, -1)


def slices(n: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    """Return blurred noise in [0, 1]: pictures with places in them."""
    noise = np.random.default_rng(5).normal(size=(n, channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 0, height / 12, width / 12))
    return minmax_images(smooth)


def sure_labels(logits: np.ndarray) -> np.ndarray:
    """Return the class of the largest logit, where rounding cannot have decided it."""
    first, second = np.sort(logits, axis=0)[:-3:-1]
    assert (first - second).min() > 1e-5, "choose another seed: this one tests rounding"
    return logits.argmax(axis=0)


# (511, 505) -> 32 meets scipy's quirk on the way in (511) and (121, 120) on the way back.
@pytest.mark.parametrize("shape", [(512, 512), (511, 505), (121, 120), (45, 120), (32, 32)])
def test_published_borders_are_zoom_network_argmax_zoom(shape):
    card = make_model_card(input_size=32)
    network = SmallConvolution(card, seed=1)
    image = slices(1, *shape)
    zoomed = ndimage.zoom(image[0, 0].astype(float), (32 / shape[0], 32 / shape[1]), order=3)
    with torch.inference_mode():
        logits = network(torch.tensor(zoomed, dtype=torch.float32)[None, None])[0].numpy()
    labels = sure_labels(logits).astype(np.uint8)
    expected = ndimage.zoom(labels, (shape[0] / 32, shape[1] / 32), order=0)
    assert expected.shape == shape
    assert len(np.unique(expected)) > 1
    result = TorchEngine(network, card, "cpu").predict(image, "published")
    np.testing.assert_array_equal(result[0], expected)


@pytest.mark.parametrize("shape", [(130, 97), (45, 120), (20, 32), (1, 40)])
def test_smooth_borders_are_the_linear_interpolation_of_the_logits(shape):
    card = make_model_card(input_size=32)
    logits = np.random.default_rng(2).normal(size=(4, 32, 32)).astype(np.float32)
    places = np.meshgrid(*(np.linspace(0, 31 * (n > 1), n) for n in shape), indexing="ij")
    enlarged = np.stack(
        [ndimage.map_coordinates(one, places, float, order=1, mode="nearest") for one in logits]
    )
    first, second = np.sort(enlarged, axis=0)[:-3:-1]
    engine = TorchEngine(Answering(torch.from_numpy(logits)[None]), card, "cpu")
    result = engine.predict(slices(2, *shape), "smooth")
    sure = first - second > 1e-4
    assert sure.mean() > 0.99
    for labels in result:
        np.testing.assert_array_equal(labels[sure], enlarged.argmax(axis=0)[sure])


@pytest.mark.parametrize("borders", ["published", "smooth"])
@pytest.mark.parametrize("shape", [(96, 64), (20, 40)])
def test_a_photograph_is_shrunk_scaled_and_enlarged_on_the_grid_of_torch(shape, borders):
    card = make_model_card("RGB", 3, input_size=32)
    network = SmallConvolution(card, seed=3)
    image = 255 * slices(1, *shape, channels=3)
    with torch.inference_mode():
        small = nn.functional.interpolate(
            torch.from_numpy(image), (32, 32), mode="bilinear", antialias=True
        )
        logits = network((small - small.min()) / (small.max() - small.min() + 1e-8))
        if borders == "smooth":
            full = nn.functional.interpolate(logits, shape, mode="bilinear", antialias=True)
            expected = full[0].argmax(0).numpy()
        else:
            labels = torch.from_numpy(sure_labels(logits[0].numpy()))[None, None].float()
            expected = nn.functional.interpolate(labels, shape, mode="nearest-exact")[0, 0].numpy()
    result = TorchEngine(network, card, "cpu").predict(image, borders)
    # Where two classes are equally likely, rounding may decide; ``sure_labels`` excludes it.
    assert (result[0] == expected).mean() >= (0.999 if borders == "smooth" else 1.0)


@pytest.mark.parametrize("borders", ["published", "smooth"])
def test_the_real_network_gives_every_slice_its_labels_alone_or_in_company(borders):
    engine = make_torch_engine()
    several = slices(5, 70, 50)
    together = engine.predict(several, borders)
    assert together.shape == (5, 70, 50)
    assert together.dtype == np.uint8
    assert len(np.unique(together)) > 1
    for index in (4, 0, 2):
        alone = engine.predict(several[index : index + 1], borders)
        np.testing.assert_array_equal(alone[0], together[index])


def test_no_slices_give_no_labels():
    assert make_torch_engine().predict(slices(1, 20, 30)[:0], "smooth").shape == (0, 20, 30)


def test_slices_may_be_views_that_run_backwards():
    engine = TorchEngine(SmallConvolution(make_card()), make_card(), "cpu")
    several = slices(3, 40, 50)
    turned = several[::-1, :, ::-1].swapaxes(2, 3)
    expected = engine.predict(np.ascontiguousarray(turned), "smooth")
    np.testing.assert_array_equal(engine.predict(turned, "smooth"), expected)


@pytest.mark.parametrize("borders", ["published", "smooth"])
@pytest.mark.parametrize(("structures", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_labels_above_255_need_two_bytes(structures, dtype, borders):
    card = make_card(tuple(f"structure {i}" for i in range(structures)))
    logits = torch.zeros(1, card.classes, 64, 64)
    logits[:, structures, :, 32:] = 1
    result = TorchEngine(Answering(logits), card, "cpu").predict(slices(2, 64, 64), borders)
    assert result.dtype == dtype
    assert set(result[:, :, 32:].ravel()) == {structures}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_results_that_are_no_numbers_are_refused_rather_than_called_background(value):
    logits = torch.zeros(1, 4, 64, 64)
    logits[0, 1, 5, 5] = value
    engine = TorchEngine(Answering(logits), make_card(), "cpu")
    engine._reason = "CUDA asked for, no GPU found"  # no part of a sentence
    with pytest.raises(EngineError, match=r"results on CPU \(\d+ threads?\) are not finite"):
        engine.predict(slices(1, 64, 64), "smooth")


def test_a_closed_engine_does_not_answer():
    with make_torch_engine() as engine:
        engine.warm_up()
    with pytest.raises(EngineError, match="closed"):
        engine.predict(slices(1, 64, 64), "smooth")


def test_a_model_file_becomes_an_engine_for_what_was_saved(tmp_path):
    card = make_card()
    network = make_network(card)
    path = save_model(tmp_path / "model.safetensors", network, card)
    for weight in network.parameters():  # as they are on disk
        weight.data = weight.data.half().float()
    expected = TorchEngine(network, card, "cpu").predict(slices(2, 40, 30), "smooth")
    with load_engine(path, device="cpu", runtime="torch") as engine:
        assert engine.card.labels == card.labels
        np.testing.assert_array_equal(engine.predict(slices(2, 40, 30), "smooth"), expected)


def test_a_model_nobody_knows_is_an_error_of_the_model():
    with pytest.raises(ModelFileError, match="brain"):
        load_engine("brain")

"""What is exported computes the authors' logits, on images of every size, without PyTorch."""

from __future__ import annotations

import golden
import numpy as np
import pytest
from exported import golden_model, image, logits, session, small_model

from GDLACore.export.decoder import BLOCKS
from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import MIXERS

TOLERANCE = 5e-5


@pytest.mark.parametrize(
    ("name", "in_channels", "classes"),
    [("c_pvtgdla_1ch_9cls_64", 1, 9), ("c_pvtgdla_3ch_2cls_64", 3, 2)],
)
def test_the_export_gives_the_authors_logits(name: str, in_channels: int, classes: int) -> None:
    vectors = golden.vectors(name)
    ours = logits(golden_model("gdla", in_channels, classes), vectors["input"])
    np.testing.assert_allclose(ours, vectors["logits"], rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(ours.argmax(1), vectors["argmax_u8"])


def test_the_export_gives_the_authors_logits_at_the_published_size() -> None:
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_224")
    ours = logits(golden_model(), golden.recipe_input(1, 224, 1))
    np.testing.assert_allclose(ours[:, :, ::8, ::8], vectors["logits"], rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(ours.argmax(1), vectors["argmax_u8"])


@pytest.mark.parametrize("mixer", ["softmax", "differential", "linear"])
def test_the_export_of_a_comparison_network_gives_the_authors_logits(mixer: str) -> None:
    ours = logits(golden_model(mixer), golden.recipe_input(1, 64, 2))
    theirs = golden.vectors(f"c_{golden.OFFICIAL_MODELS[mixer]}_1ch_9cls_64")["logits"]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(ours.argmax(1), theirs.argmax(1))


def test_every_mixer_can_be_exported() -> None:
    assert tuple(BLOCKS) == MIXERS


@pytest.mark.parametrize("mixer", MIXERS)
def test_one_session_takes_images_of_all_sizes_in_any_order(mixer: str) -> None:
    content = onnx_model(small_model(mixer))
    images = [image(1, 1, *sides) for sides in ((64, 64), (32, 96), (96, 32), (32, 32), (160, 64))]
    up, down = session(content), session(content)
    backwards = [logits(down, x) for x in reversed(images)][::-1]
    for x, expected in zip(images, backwards, strict=True):
        ours = logits(up, x)
        assert ours.shape == (1, 9, *x.shape[2:])
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("mixer", MIXERS)
def test_an_image_of_a_batch_gives_what_it_gives_alone(mixer: str) -> None:
    shared = session(small_model(mixer))
    x = image(3, 1, 64, 96)
    alone = np.concatenate([logits(shared, x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(logits(shared, x), alone, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("mixer", MIXERS)
def test_the_parts_of_an_image_are_not_exchanged(mixer: str) -> None:
    """A network that took rows for columns would still take every rectangle."""
    shared = session(small_model(mixer))
    x = np.zeros((1, 1, 64, 128), np.float32)
    x[..., 48:, 16:32] = 20
    change = np.abs(logits(shared, x) - logits(shared, 0 * x)).sum(1)[0]
    rows, columns = np.unravel_index(change.argmax(), change.shape)
    assert rows >= 40 and 8 <= columns < 40

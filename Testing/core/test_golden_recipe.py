"""The recipe, from which all other tests make weights, makes those of the golden vectors."""

from __future__ import annotations

import golden
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("head1.weight", [0.0751935570, -0.0541550825, 0.1158954102]),
        ("head1.bias", [-0.0228351020, 0.0453685278, -0.0313574975]),
        ("de3.attn.lambda_scale_main", [-0.4499528952, -0.3770182239, 0.4139809277]),
        ("backbone.norm1.weight", [1.1176149376, 0.8003668129, 1.0831915248]),
        ("resblk.norm1.running_var", [0.6281462602]),
    ],
)
def test_the_recipe_makes_the_published_check_values(name: str, expected: list[float]) -> None:
    shape = golden.official_shapes("pvtgdla")[name]
    values = golden.recipe_weights({name: shape})[name].ravel()[: len(expected)]
    np.testing.assert_allclose(values, np.array(expected, np.float32), rtol=1e-7)


@pytest.mark.parametrize("name", ["c_pvtgdla_1ch_9cls_64", "c_pvtgdla_3ch_2cls_64"])
def test_the_recipe_makes_the_stored_input(name: str) -> None:
    expected = golden.vectors(name)["input"]
    batch, channels, size, _ = expected.shape
    np.testing.assert_array_equal(golden.recipe_input(channels, size, batch), expected)

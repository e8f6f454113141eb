"""The exported file: complete, no larger than its weights, and always the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import changed, small_model

from GDLACore.errors import ModelFileError, OutputError
from GDLACore.export.model_file import PRECISIONS, onnx_model, write_onnx_model
from GDLACore.model.bundle import read_card
from GDLACore.model.card import MIXERS
from GDLACore.model.onnx_file import check_onnx_file, read_onnx_card

HERE = Path(__file__).resolve().parent

each_kind = pytest.mark.parametrize(
    ("mixer", "precision"), [(mixer, precision) for mixer in MIXERS for precision in PRECISIONS]
)


@each_kind
def test_the_file_passes_our_own_check_and_gives_its_card_back(
    tmp_path: Path, mixer: str, precision: str
) -> None:
    model = small_model(mixer, in_channels=3, classes=5)
    path = write_onnx_model(tmp_path / "model.onnx", model, precision)
    assert path.read_bytes() == onnx_model(model, precision)
    assert check_onnx_file(path) == read_onnx_card(path) == read_card(path) == model.card


@each_kind
def test_the_file_holds_the_weights_and_little_else(mixer: str, precision: str) -> None:
    model = small_model(mixer)
    numbers = sum(value.size for value in model.tensors.values())
    weights = numbers * {"fp32": 4, "fp16": 2}[precision]
    assert abs(len(onnx_model(model, precision)) - weights) < 200_000


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_model_gives_the_same_bytes_in_every_process(precision: str) -> None:
    expected = hashlib.sha256(onnx_model(small_model(), precision)).hexdigest()
    program = (
        "import hashlib; from exported import onnx_model, small_model;"
        f"print(hashlib.sha256(onnx_model(small_model(), {precision!r})).hexdigest())"
    )
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
        }
        result = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert result.stdout.strip() == expected


def test_the_order_of_the_weights_in_their_file_makes_no_difference() -> None:
    model = small_model()
    turned = replace(model, tensors=dict(reversed(model.tensors.items())))
    assert onnx_model(turned) == onnx_model(model)


def test_another_weight_or_another_card_gives_other_bytes() -> None:
    model = small_model()
    plain = onnx_model(model)
    assert onnx_model(changed(model, "head.bias", 1.001)) != plain
    assert onnx_model(replace(model, card=replace(model.card, version="9"))) != plain


def test_exporting_leaves_the_weights_as_they_were() -> None:
    model = small_model()
    before = {name: value.copy() for name, value in model.tensors.items()}
    onnx_model(model)
    assert all(np.array_equal(before[name], value) for name, value in model.tensors.items())


def test_a_lambda_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(ModelFileError, match="too large for fp32"):
        onnx_model(changed(small_model("differential"), ".lambda_", 1e3))


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="missing"):
        write_onnx_model(tmp_path / "missing" / "model.onnx", small_model())
    assert not list(tmp_path.iterdir())

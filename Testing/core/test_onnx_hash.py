"""The hash in an exported ONNX file: of its network, its weights and its card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx_files import CARD, onnx, write
from refusals import refusal

from GDLACore.export.graph import Graph
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.card import ModelCard
from GDLACore.model.onnx_file import check_onnx_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def exported(card: ModelCard) -> bytes:
    """Return a network that multiplies the image with a factor for each class."""
    graph = Graph("net")
    image = graph.input("image", ["n", card.in_channels, "h", "w"])
    kernel = np.full((card.classes, card.in_channels, 1, 1), 0.77, np.float32)
    logits = graph("Conv", image, graph.weight(kernel), kernel_shape=[1, 1])
    graph.output(logits, "logits", ["n", card.classes, "h", "w"])
    return graph.to_bytes({CARD_KEY: card.to_json()})


TURNED = replace(CARD, view="rotate_90")
REORDERED = replace(
    CARD,
    labels=tuple(replace(label, value=n) for n, label in enumerate(reversed(CARD.labels), start=1)),
)


@pytest.mark.parametrize("card", [TURNED, REORDERED], ids=["view", "order of labels"])
def test_a_card_changed_after_the_export_is_refused_though_it_fits(
    path: Path, card: ModelCard
) -> None:
    path.write_bytes(exported(card))
    assert check_onnx_file(path) == card
    model = onnx.load(path)
    model.metadata_props[0].value = CARD.to_json()
    assert "damaged or was changed" in refusal(write(path, model), check_onnx_file)
    del model.metadata_props[1]  # as in files of others, which have no hash
    assert check_onnx_file(write(path, model)) == CARD


def test_a_network_changed_after_its_export_is_refused_even_if_it_still_looks_sound(
    path: Path,
) -> None:
    content, one, two = exported(CARD), np.float32(0.77).tobytes(), np.float32(1.54).tobytes()
    path.write_bytes(content)
    assert check_onnx_file(path) == CARD
    path.write_bytes(content.replace(one, two))
    assert "damaged or was changed" in refusal(path, check_onnx_file)


def test_a_hash_that_is_none_is_refused(path: Path) -> None:
    model = onnx.ModelProto.FromString(exported(CARD))
    model.metadata_props[1].value = ""
    assert "damaged or was changed" in refusal(write(path, model), check_onnx_file)
    model.metadata_props.append(model.metadata_props[1])
    assert "holds no usable hash" in refusal(write(path, model), check_onnx_file)

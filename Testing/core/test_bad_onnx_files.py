"""ONNX files that cannot be used: one sentence each, through the whole program."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from command_line import run_gdla
from model_files import (
    onnx_file,
    recipe,
    tensor,
    tensor_elsewhere,
    write_checkpoint,
)
from onnx_networks import slices
from phantom import make_card

from GDLACore.engine import load_engine
from GDLACore.errors import EngineError, GDLAError, ModelFileError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.bundle import CARD_KEY
from GDLACore.weights.loading import load_weights

OTHER_CLASSES = make_card(("liver", "spleen"))


def repeated(sides: int) -> bytes:
    return tensor("kernel", [1 << 40] * sides, b"")


BAD_FILES = {
    "empty": (b"", "is empty"),
    "text": (b"Choose a model", "is not an ONNX file"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "is not an ONNX file"),
    "zeros": (b"\x08" + bytes(9999), "is cut off, damaged or not an ONNX file"),
    "cut off in the network": (onnx_file()[:150], "is cut off, damaged"),
    "cut off before the card": (onnx_file()[:-40], "is cut off, damaged"),
    "no card": (onnx_file(metadata={}), "holds no model card"),
    "a foreign card": (onnx_file(metadata={CARD_KEY: '{"name": "resnet"}'}), "schema is missing"),
    "a card that is no JSON": (onnx_file(metadata={CARD_KEY: "resnet"}), "not valid JSON"),
    "another network's card": (
        onnx_file(metadata={CARD_KEY: OTHER_CLASSES.to_json()}),
        "does not fit its network",
    ),
    "an old opset": (onnx_file(opset=11), "version 11 of the ONNX operators"),
    "an opset to come": (onnx_file(opset=99), "version 99 of the ONNX operators"),
    "weights outside the folder": (
        onnx_file(weights=tensor_elsewhere("kernel", (4, 1, 3, 3), "../../etc/passwd")),
        "outside its own folder",
    ),
    "weights at an absolute path": (
        onnx_file(weights=tensor_elsewhere("kernel", (4, 1, 3, 3), "/etc/passwd")),
        "outside its own folder",
    ),
    "weights in another file": (
        onnx_file(weights=tensor_elsewhere("kernel", (4, 1, 3, 3), "weights.bin")),
        "is in another file",
    ),
    "huge weights": (onnx_file(weights=repeated(1)), "impossible shape"),
    "weights too large to count": (onnx_file(weights=repeated(4)), "impossible shape"),
    "weights that are not there": (
        onnx_file(weights=tensor("kernel", (4, 1, 3, 3), bytes(8))),
        "8 bytes in the file",
    ),
    "an image of rank 3": (onnx_file(image=(1, "h", "w")), "3 axes instead of 4"),
    "an image of rank 5": (onnx_file(image=("n", 1, "d", "h", "w")), "5 axes instead of 4"),
    "an image of fixed size": (onnx_file(image=("n", 1, 64, 64)), "is fixed to"),
    "a colour image": (onnx_file(image=("n", 3, "h", "w")), "does not fit its network"),
}

bad_files = pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)


def assert_refused(error: GDLAError, message: str) -> None:
    """Check that ``error`` is one sentence with ``message`` in it, and a hint."""
    assert message in error.message
    assert error.message.endswith(".") and "\n" not in error.message
    assert error.hint.endswith(".") and "\n" not in error.hint


def test_the_files_below_are_bad_for_one_reason_only(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file())
    with load_engine(path, device="cpu") as engine:
        assert engine.predict(slices(2, 40, 30), "smooth").shape == (2, 40, 30)


@bad_files
def test_a_bad_onnx_file_is_refused_before_onnx_runtime_sees_it(
    tmp_path, monkeypatch, content, message
):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    # It would fail with another error.
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    with pytest.raises(ModelFileError) as caught:
        load_engine(path, device="cpu")
    assert_refused(caught.value, message)
    assert str(path) in caught.value.message


@bad_files
def test_the_command_line_refuses_a_bad_onnx_file_in_one_line_and_writes_nothing(
    tmp_path, ct, capsys, content, message
):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nrrd", "--model", path) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("gdla: error: ") and printed.err.count("\n") == 1
    assert message in printed.err and "Unexpected" not in printed.err
    assert sorted(tmp_path.iterdir()) == before


def test_an_exported_file_is_refused_wherever_it_is_cut_off(tmp_path):
    model = load_weights(write_checkpoint(tmp_path / "model.ckpt", recipe()))
    content = onnx_model(model)
    path = tmp_path / "model.onnx"
    for length in range(0, len(content), len(content) // 60):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError) as caught:
            load_engine(path, device="cpu")
        assert_refused(caught.value, "is cut off" if length else "is empty")


@pytest.mark.parametrize("name", ["missing.onnx", "folder.onnx", "missing.ckpt", "folder.ckpt"])
def test_missing_files_and_folders_are_refused(tmp_path, name):
    path = tmp_path / name
    if name.startswith("folder"):
        path.mkdir()
    with pytest.raises(ModelFileError) as caught:
        load_engine(path, device="cpu")
    assert_refused(caught.value, "does not exist" if "missing" in name else "is a folder")


def wrong_channels() -> bytes:
    """Return a file that passes every check of its structure, but whose convolution cannot be."""
    return onnx_file(weights=tensor("kernel", (4, 7, 3, 3), bytes(4 * 4 * 7 * 9)))


def not_finite() -> bytes:
    kernel = np.full((4, 1, 3, 3), np.nan, np.float32)
    return onnx_file(weights=tensor("kernel", kernel.shape, kernel.tobytes()))


@pytest.mark.parametrize(
    ("content", "message"),
    [(wrong_channels(), "cannot run"), (not_finite(), "not finite numbers")],
    ids=["impossible", "NaN"],
)
def test_a_network_that_cannot_run_is_refused_in_one_line_too(
    tmp_path, ct, capfd, content, message
):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        load_engine(path, device="cpu")
    assert_refused(caught.value, message)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nrrd", "--model", path) == 1
    printed = capfd.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "o.nrrd").exists()

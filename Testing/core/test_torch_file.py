"""PyTorch files: weights in them come out, code in them never runs, the rest is refused."""

from __future__ import annotations

import io
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refusal
from torch import Tensor, nn

from GDLACore.weights.torch_file import read_torch_file as read_weights

WEIGHTS = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3)}


def save(path: Path, content: Any, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def rewrite(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write the zip file at ``path`` again, with ``change`` done to every entry."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, change(name, data))
    return path


def assert_same(weights: dict[str, np.ndarray], expected: dict[str, Tensor]) -> None:
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], expected[name].detach()) for name in expected)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        OrderedDict,
        lambda w: {"model_state_dict": w, "epoch": 3},
        lambda w: {"state_dict": w, "optimizer": {"lr": 1e-3}},
        lambda w: {"model_state_dict": {f"module.{n}": v for n, v in w.items()}},
        lambda w: {n: nn.Parameter(v) for n, v in w.items()},
    ],
)
def test_the_weights_come_out_of_every_usual_form(
    tmp_path: Path, wrap: Callable[[dict], Any], zipped: bool
) -> None:
    path = save(tmp_path / "model.ckpt", wrap(WEIGHTS), zipped=zipped)
    assert_same(read_weights(path), WEIGHTS)


@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"], ids=["numpy 2", "numpy 1"])
@pytest.mark.parametrize(
    "best", [np.float32(0.83), np.float64(0.83), np.int64(7), np.array([0.8, 0.9], np.float32)]
)
def test_numpy_numbers_beside_the_weights_do_no_harm(tmp_path: Path, core: str, best: Any) -> None:
    path = save(tmp_path / "model.ckpt", {"model_state_dict": WEIGHTS, "best_dice": best})
    here = np.float64(0).__reduce__()[0].__module__.removesuffix(".multiarray").encode()
    rewrite(path, lambda _name, data: data.replace(here + b".multi", f"{core}.multi".encode()))
    assert f"{core}.multiarray".encode() in path.read_bytes()
    assert_same(read_weights(path), WEIGHTS)


class ForgedNumber:
    """Unpickled by numpy, a float whose type claims to hold Python objects at chosen addresses."""

    def __reduce__(self) -> tuple:
        return np.float64(0).__reduce__()[0], (ForgedType(), b"\x10" * 8)


class ForgedType:
    def __reduce__(self) -> tuple:
        return np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 63)


def test_numpy_types_with_forged_internals_are_never_built(tmp_path: Path) -> None:
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        pickle.loads(pickle.dumps(ForgedNumber()))
    content = {"model_state_dict": WEIGHTS, "best_dice": ForgedNumber()}
    assert_same(read_weights(save(tmp_path / "model.ckpt", content)), WEIGHTS)


def test_reading_leaves_no_permission_behind(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    read_weights(save(tmp_path / "model.ckpt", WEIGHTS))
    assert set(torch.serialization.get_safe_globals()) == before


class Bait:
    """Makes a folder when it is unpickled, by a function PyTorch blocks and by one it ignores."""

    def __init__(self, marker: Path, function: str = "mkdir") -> None:
        self.marker = marker
        self.function = function

    def __reduce__(self) -> tuple:
        if self.function == "mkdir":
            return os.mkdir, (str(self.marker),)
        return exec, (f"import os; os.mkdir({str(self.marker)!r})",)


@pytest.mark.parametrize("function", ["mkdir", "exec"])
def test_the_bait_of_the_next_tests_would_run(tmp_path: Path, function: str) -> None:
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(Bait(marker, function)))
    assert marker.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["best_dice", "model_state_dict"])
@pytest.mark.parametrize("function", ["mkdir", "exec"])
def test_code_in_a_checkpoint_is_named_and_never_runs(
    tmp_path: Path, place: str, function: str, zipped: bool
) -> None:
    marker = tmp_path / "marker"
    content = {"model_state_dict": WEIGHTS, place: Bait(marker, function)}
    path = save(tmp_path / "model.ckpt", content, zipped=zipped)
    message = refusal(path, read_weights)
    assert f"{function}), which can carry program code; nothing of it was run" in message
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_bare_pickle_never_runs(tmp_path: Path, protocol: int) -> None:
    marker, path = tmp_path / "marker", tmp_path / "model.ckpt"
    path.write_bytes(pickle.dumps({"w": Bait(marker)}, protocol))
    refusal(path, read_weights)
    assert not marker.exists()


def test_a_whole_pickled_module_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    path = save(tmp_path / "model.ckpt", nn.Linear(2, 2))
    assert "holds more than weights (torch.nn.modules.linear.Linear)" in refusal(
        path, read_weights
    )


def test_the_name_of_a_dangerous_object_cannot_flood_the_message(tmp_path: Path) -> None:
    path = save(tmp_path / "model.ckpt", {"w": Bait(tmp_path)})
    rewrite(path, lambda _n, data: data.replace(b"mkdir", b"\x1b[" * 5000))
    assert "\x1b" not in refusal(path, read_weights)


def test_a_torchscript_program_is_refused_as_such(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt", WEIGHTS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/constants.pkl", b"")
    assert "TorchScript program" in refusal(path, read_weights)


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, w=np.zeros(3))
    return buffer.getvalue()


def _compressed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"0" * 100_000)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x80", "is cut off"),
        (b"PK\x03\x04", "is cut off"),
        (b"<html>Not found</html>", "is not a PyTorch checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not a PyTorch checkpoint"),
        (_npz(), "is a zip archive, but not a PyTorch checkpoint"),
        (_compressed(), "is a zip archive, but not a PyTorch checkpoint"),
        (pickle.dumps([1, 2], 2), "is damaged"),
        (pickle.dumps({"w": 1}), "is damaged, or Python objects of another kind"),
        (bytes.fromhex("80 02") + b"}q\x00." * 3, "is damaged"),
    ],
)
def test_what_is_not_a_pytorch_file_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    assert message in refusal(path, read_weights)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "missing.ckpt", read_weights)
    assert "is a folder" in refusal(tmp_path, read_weights)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    assert "cannot be read" in refusal(file / "below.ckpt", read_weights)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds no weights"),
        (torch.ones(2), "holds no weights"),
        (None, "holds no weights"),
        ({}, "holds no weights"),
        ({"epoch": 3, "model_state_dict": {}}, "holds no weights"),
        ({"epoch": 3, "model_state_dict": [1]}, "holds no weights"),
        ({"epoch": 3}, "'epoch' is not a plain tensor"),
        ({"epoch": 3, "weight": torch.ones(2)}, "'epoch' is not a plain tensor"),
        ({1: torch.ones(2)}, "1 is not a plain tensor"),
        ({"w": torch.ones(2, 2).to_sparse()}, "'w' is not a plain tensor"),
        ({"w": torch.ones(2, device="meta")}, "'w' is not a plain tensor"),
        ({"w\n" * 500: 3}, "is not a plain tensor"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_holds_no_list_of_weights_is_refused(
    tmp_path: Path, content: Any, message: str, zipped: bool
) -> None:
    path = save(tmp_path / "model.ckpt", content, zipped=zipped)
    assert message in refusal(path, read_weights)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    whole = save(tmp_path / "whole.ckpt", {"model_state_dict": WEIGHTS}, zipped=zipped).read_bytes()
    path = tmp_path / "cut.ckpt"
    for length in range(1, len(whole), 17):
        path.write_bytes(whole[:length])
        message = refusal(path, read_weights)
        # A name cut off inside may read as another name.
        assert re.search("cut off|damaged|not a PyTorch|more than weights", message)


def test_one_changed_bit_in_a_weight_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "model.ckpt", {"model_state_dict": WEIGHTS})
    data = bytearray(path.read_bytes())
    data[data.index(np.float32(11).tobytes()) + 2] ^= 1
    path.write_bytes(data)
    assert "does not fit its checksum" in refusal(path, read_weights)

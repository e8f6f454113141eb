"""PyTorch files: weights in them come out, code in them never runs, the rest is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refusal
from torch_files import Call, Global, archive, legacy_file, rewritten, storage, tensor, zip_file

from GDLACore.weights.torch_file import read_torch_file

WEIGHTS = {
    "conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "conv.bias": np.ones(3, np.float32),
}

FORMATS = pytest.mark.parametrize(
    "file", [zip_file, legacy_file], ids=["zip", "before PyTorch 1.6"]
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.ckpt"


def read(path: Path, data: bytes) -> dict[str, np.ndarray]:
    path.write_bytes(data)
    return read_torch_file(path)


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return refusal(path, read_torch_file)


def assert_same(weights: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, strict=True)


@FORMATS
@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        OrderedDict,
        lambda w: {"model_state_dict": w, "epoch": 3},
        lambda w: {"state_dict": w, "optimizer": {"lr": 1e-3, "betas": (0.9, 0.99), "on": True}},
        lambda w: {"model_state_dict": {f"module.{n}": v for n, v in w.items()}},
        lambda w: {n: Call("torch._utils._rebuild_parameter", (v, True, 0)) for n, v in w.items()},
    ],
)
def test_the_weights_come_out_of_every_usual_form(
    path: Path, wrap: Callable[[dict], Any], file: Callable
) -> None:
    assert_same(read(path, file(wrap(WEIGHTS))), WEIGHTS)


@FORMATS
@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?", "c8", "c16"]
)
def test_every_kind_of_number_comes_out_as_it_went_in(
    path: Path, dtype: str, file: Callable
) -> None:
    weights = {"w": np.array([[0, 1], [100, 27]]).astype(dtype)}
    assert_same(read(path, file(weights)), weights)


@FORMATS
def test_views_of_one_storage_come_out_as_they_are(path: Path, file: Callable) -> None:
    whole = np.arange(24, dtype=np.float32)
    weights = {
        "middle": whole[5:11],
        "transposed": whole.reshape(4, 6).T,
        "every third": whole[1::3],
        "number": whole[7:8].reshape(()),
        "nothing": whole[24:].reshape(0, 4),
    }
    assert all(view.base is whole for view in weights.values())
    found = read(path, file(weights))
    assert_same(found, weights)
    assert np.shares_memory(found["middle"], found["number"])


def test_a_view_that_shows_an_element_twice_comes_out_as_it_is(path: Path) -> None:
    data = np.arange(12, dtype=np.float32)
    weights = {"w": tensor(storage("0", 12), 1, (3, 4), (2, 1))}
    expected = np.stack([data[1:5], data[3:7], data[5:9]])
    assert_same(read(path, zip_file(weights, storages={"0": data.tobytes()})), {"w": expected})


def test_numbers_from_a_machine_that_stores_the_high_byte_first_are_turned_round(
    path: Path,
) -> None:
    weights = {"w": np.array([1.5, -2.25], np.float32), "n": np.array([258], np.int64)}
    weights["z"] = np.array([1 + 2j], np.complex64)
    assert_same(read(path, zip_file(weights, order="big")), weights)


def test_bfloat16_becomes_single_precision(path: Path) -> None:
    values = np.array([1.0, -2.5, 3.140625], np.float32)
    stored = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    weights = {"w": tensor(storage("0", 3, "torch.BFloat16Storage"), 0, (3,), (1,))}
    assert_same(read(path, zip_file(weights, storages={"0": stored})), {"w": values})


@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"], ids=["numpy 2", "numpy 1"])
@pytest.mark.parametrize(
    "best", [np.float32(0.83), np.float64(0.83), np.int64(7), np.array("text"), np.dtype("f8")]
)
def test_numpy_numbers_beside_the_weights_do_no_harm(path: Path, core: str, best: Any) -> None:
    data = zip_file({"model_state_dict": WEIGHTS, "best_dice": best})
    here = np.float64(0).__reduce__()[0].__module__.removesuffix(".multiarray").encode()
    other = core.encode()
    data = rewritten(data, lambda _, entry: entry.replace(here + b".multi", other + b".multi"))
    assert_same(read(path, data), WEIGHTS)


@pytest.mark.parametrize(
    "value", [{1, 2}, 1j, b"bytes", bytearray(b"more"), Counter("text"), Global("torch.float32")]
)
@FORMATS
def test_plain_python_values_beside_the_weights_do_no_harm(
    path: Path, value: Any, file: Callable
) -> None:
    assert_same(read(path, file({"model_state_dict": WEIGHTS, "beside": value})), WEIGHTS)


class ForgedNumber:
    """Unpickled by numpy, a float whose type claims to hold Python objects at chosen addresses."""

    def __reduce__(self) -> tuple:
        return np.float64(0).__reduce__()[0], (ForgedType(), b"\x10" * 8)


class ForgedType:
    def __reduce__(self) -> tuple:
        return np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 63)


def test_numpy_types_with_forged_internals_are_never_built(path: Path) -> None:
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        pickle.loads(pickle.dumps(ForgedNumber()))
    data = zip_file({"model_state_dict": WEIGHTS, "best_dice": ForgedNumber()})
    assert_same(read(path, data), WEIGHTS)


class Bait:
    """Makes a folder when it is unpickled, by a function of the system or by the interpreter."""

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


@FORMATS
@pytest.mark.parametrize("place", ["best_dice", "model_state_dict"])
@pytest.mark.parametrize("function", ["mkdir", "exec"])
def test_code_in_a_checkpoint_is_named_and_never_runs(
    path: Path, place: str, function: str, file: Callable
) -> None:
    marker = path.with_name("marker")
    content = {"model_state_dict": WEIGHTS, place: Bait(marker, function)}
    message = refused(path, file(content))
    assert f"{function}'), which can carry program code; nothing of it was run" in message
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_bare_pickle_never_runs(path: Path, protocol: int) -> None:
    marker = path.with_name("marker")
    refused(path, pickle.dumps({"w": Bait(marker)}, protocol))
    assert not marker.exists()


def test_a_whole_pickled_module_is_refused_by_the_name_of_its_class(path: Path) -> None:
    message = refused(path, zip_file(Call("torch.nn.modules.linear.Linear")))
    assert "holds more than weights ('torch.nn.modules.linear.Linear')" in message


@pytest.mark.parametrize("name", ["\x1b[31m" * 5000, "\u202e" * 9, "", "os\u2028"])
def test_the_name_of_a_dangerous_object_cannot_flood_or_colour_the_message(
    path: Path, name: str
) -> None:
    message = refused(path, zip_file({"w": Global(f"posix.{name}")}))
    assert "holds more than weights" in message
    assert message.removeprefix(str(path)).isprintable()


def test_a_torchscript_program_is_refused_as_such(path: Path) -> None:
    data = archive({"m/data.pkl": b"", "m/constants.pkl": b"", "m/code/__torch__.py": b""})
    assert "TorchScript program" in refused(path, data)


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, w=np.zeros(3))
    return buffer.getvalue()


def _compressed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model/data.pkl", b"0" * 100_000)
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
        (archive({"a/data.pkl": b"", "b/data.pkl": b""}), "but not a PyTorch checkpoint"),
        (pickle.dumps([1, 2], 2), "is damaged"),
        (pickle.dumps({"w": 1}), "is damaged, or Python objects of another kind"),
        (bytes.fromhex("80 02") + b"}q\x00." * 3, "is damaged"),
    ],
)
def test_what_is_not_a_pytorch_file_is_refused(path: Path, content: bytes, message: str) -> None:
    assert message in refused(path, content)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "missing.ckpt", read_torch_file)
    assert "is a folder" in refusal(tmp_path, read_torch_file)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    assert "cannot be read" in refusal(file / "below.ckpt", read_torch_file)


TENSOR = np.ones(2, np.float32)
SPARSE = Call(
    "torch._utils._rebuild_sparse_tensor",
    (Call("torch.serialization._get_layout", ("torch.sparse_coo",)), (TENSOR, TENSOR, (2,))),
)
META = Call(
    "torch._utils._rebuild_meta_tensor_no_storage", (Global("torch.float32"), (2,), (1,), False)
)
QUANTISED = tensor(storage("9", 2, "torch.QInt8Storage"), 0, (2,), (1,))
FLOAT8 = Call(
    "torch._utils._rebuild_tensor_v3",
    (
        *(storage("8", 2, "torch.storage.UntypedStorage"), 0, (2,), (1,), False),
        *(Call("collections.OrderedDict"), Global("torch.float8_e4m3fn")),
    ),
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([TENSOR], "holds no weights"),
        (TENSOR, "holds no weights"),
        (None, "holds no weights"),
        ({}, "holds no weights"),
        ({"epoch": 3, "model_state_dict": {}}, "holds no weights"),
        ({"epoch": 3, "model_state_dict": [1]}, "holds no weights"),
        ({"epoch": 3}, "'epoch' is not a plain tensor"),
        ({"epoch": 3, "weight": TENSOR}, "'epoch' is not a plain tensor"),
        ({1: TENSOR}, "1 is not a plain tensor"),
        ({(1, 2): TENSOR}, "an entry without a name is not a plain tensor"),
        ({"w": SPARSE}, "'w' is not a plain tensor"),
        ({"w": META}, "'w' is not a plain tensor"),
        ({"w": QUANTISED}, "'w' is not a plain tensor"),
        ({"w": FLOAT8}, "'w' is not a plain tensor"),
        ({"w": Global("torch.float32")}, "'w' is not a plain tensor"),
        ({"w\n" * 500: 3}, "is not a plain tensor"),
    ],
)
def test_what_holds_no_list_of_weights_is_refused(path: Path, content: Any, message: str) -> None:
    assert message in refused(path, zip_file(content, storages={"8": bytes(2), "9": bytes(2)}))

"""What PyTorch reads out of its own files, read without it: the same numbers."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refusal

from GDLACore.weights.torch_file import read_torch_file

torch = pytest.importorskip("torch")

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])

NUMBERS = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
    torch.complex128,
]


def values(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    return (100 * torch.randn(shape, generator=generator)).to(dtype)


def assert_read_alike(path: Path, content: Any, zipped: bool) -> None:
    """Check every tensor of ``content``, as torch.load returns it, against ours."""
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    expected = torch.load(path, map_location="cpu", weights_only=True)
    found = read_torch_file(path)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        tensor = tensor.detach()
        if tensor.dtype is torch.bfloat16:
            tensor = tensor.float()
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


@FORMATS
@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_every_kind_of_number_is_read_alike(
    tmp_path: Path, dtype: torch.dtype, zipped: bool
) -> None:
    whole = values(6, 5, dtype=dtype)
    content = {
        "matrix": whole,
        "transposed": whole.T,
        "view": whole[1:4, ::2],
        "number": values(dtype=dtype),
        "element": whole[2, 3],
        "empty": values(0, 3, dtype=dtype),
    }
    assert_read_alike(tmp_path / "model.pt", content, zipped)


@FORMATS
def test_tensors_of_every_form_are_read_alike(tmp_path: Path, zipped: bool) -> None:
    whole = values(4, 6, 5)
    shared = torch.nn.Linear(3, 2)
    content = OrderedDict(
        {
            "parameter": torch.nn.Parameter(values(3, 2)),
            "frozen": torch.nn.Parameter(values(3, 2), requires_grad=False),
            "channels last": values(1, 4, 3, 2).to(memory_format=torch.channels_last),
            "permuted": whole.permute(2, 0, 1),
            "expanded within its storage": whole[0, 0].expand(3, 5),
            "overlapping": torch.arange(12.0).as_strided((4, 3), (2, 1), 1),
            "broadcast bias": shared.bias[:, None],
            "tied": shared.weight,
            "tied as well": shared.weight,
            "tied transposed": shared.weight.T,
            "many axes": values(*[1] * 12),
            "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        }
    )
    assert_read_alike(tmp_path / "model.pt", content, zipped)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_kinds_of_number_that_name_themselves_are_read_alike(tmp_path: Path, dtype: str) -> None:
    tensor = values(4, 3, dtype=torch.int32).abs().to(getattr(torch, dtype))
    assert_read_alike(tmp_path / "model.pt", {"w": tensor, "transposed": tensor.T}, True)


@FORMATS
def test_a_modules_own_state_is_read_alike(tmp_path: Path, zipped: bool) -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 4)
    )
    assert_read_alike(tmp_path / "model.pt", module.state_dict(), zipped)


def test_a_trainings_whole_state_gives_the_weights(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 5])
    state = {
        "state_dict": module.state_dict(),
        "optimizer_states": [optimiser.state_dict()],
        "lr_schedulers": [schedule.state_dict()],
        "random": (torch.get_rng_state(), np.random.default_rng(0).random(3)),
        "device": torch.device("cpu"),
        "size": torch.Size([3, 2]),
        "precision": torch.float32,
    }
    torch.save(state, tmp_path / "last.ckpt")
    found = read_torch_file(tmp_path / "last.ckpt")
    np.testing.assert_array_equal(found["weight"], module.weight.detach().numpy())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: values(3, 3).to_sparse(),
        lambda: torch.ones(2, device="meta"),
        lambda: torch.quantize_per_tensor(values(3), 0.1, 0, torch.qint8),
        lambda: values(3).to(torch.float8_e4m3fn),
        lambda: values(3, dtype=torch.complex64).conj(),
        lambda: torch.ones(1).expand(1000),
    ],
    ids=["sparse", "meta", "quantised", "float8", "conjugated", "expanded beyond its storage"],
)
def test_tensors_that_no_weight_is_stored_as_are_refused(tmp_path: Path, make: Any) -> None:
    torch.save({"w": make()}, tmp_path / "model.pt")
    assert "'w' is not a plain tensor" in refusal(tmp_path / "model.pt", read_torch_file)

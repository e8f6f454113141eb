"""timm's PVTv2 without torchvision, beside a broken one, and beside one that works.

Each case is a process of its own, as an import happens once. Importing PyTorch and timm takes
seconds, so most cases import a package that stands in for timm and asks for torchvision as it does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What the C extension of a torchvision built for another PyTorch ends in, the first time ...
NMS = "raise RuntimeError('operator torchvision::nms does not exist')"
# ... and what an attempt can end in that finds the remains of the first.
CIRCULAR = "raise AttributeError(\"partially initialized module 'torchvision' has no attribute\")"
ABSENT = "raise ModuleNotFoundError(\"No module named 'torchvision'\", name='torchvision')"
NO_LIBRARY = "raise OSError('libcudart.so.12: cannot open shared object file')"

REAL_TIMM = """
from GDLACore.network.timm_import import import_pvt_v2
network = import_pvt_v2().pvt_v2_b0(num_classes=0)
assert len(network.stages) == 4
"""
STAND_IN = """
from GDLACore.network.timm_import import import_pvt_v2
import_pvt_v2()
"""
THE_TRUTH = """
import importlib, sys
assert not [name for name in sys.modules if name.split('.')[0] == 'torchvision']
assert not [f for f in sys.meta_path if 'laceholder' in type(f).__name__]
for name in ('torchvision', 'torchvision.transforms'):
    try:
        importlib.import_module(name)
    except Exception as reason:
        print(type(reason).__name__)
"""


def run(folder: Path, code: str) -> str:
    """Return what ``code`` prints in a Python that finds the packages in ``folder`` first."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def package(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Put a package of ``files`` into ``folder``; return ``folder``."""
    for file, code in {"__init__.py": "", **files}.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return folder


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Return a folder with a small ``timm`` that imports torchvision in timm's ways."""
    code = """
import torchvision.transforms as transforms
from torchvision.ops.misc import FrozenBatchNorm2d
from torchvision.transforms.functional import InterpolationMode
MODES = {InterpolationMode.BILINEAR: 'bilinear', InterpolationMode.BICUBIC: 'bicubic'}
class Subclass(FrozenBatchNorm2d): pass
assert not isinstance(3, (FrozenBatchNorm2d, transforms.Resize))
"""
    return package(tmp_path, "timm", {"models/__init__.py": "", "models/pvt_v2.py": code})


@pytest.mark.parametrize(
    ("code", "error"),
    [(ABSENT, "ModuleNotFoundError"), (NMS, "RuntimeError")],
    ids=["absent", "built for another PyTorch"],
)
def test_without_a_usable_torchvision_the_encoder_builds_and_others_still_see_the_truth(
    tmp_path: Path, code: str, error: str
) -> None:
    pytest.importorskip("torch")  # timm comes with it
    folder = package(tmp_path, "torchvision", {"__init__.py": code})
    assert run(folder, REAL_TIMM + THE_TRUTH).split() == [error, error]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ABSENT, "ModuleNotFoundError"),
        (NMS, "RuntimeError"),
        (CIRCULAR, "AttributeError"),
        (NO_LIBRARY, "OSError"),
        ("import torchvision.ops\n" + NMS, "ModuleNotFoundError"),
    ],
    ids=["absent", "other PyTorch", "half imported", "without its libraries", "without a part"],
)
def test_however_torchvision_fails_it_fails_the_same_way_afterwards(
    stand_in: Path, code: str, error: str
) -> None:
    folder = package(stand_in, "torchvision", {"__init__.py": code})
    assert run(folder, STAND_IN + THE_TRUTH).split() == [error, error]


def test_what_timm_took_from_the_placeholder_says_what_is_missing_when_it_is_used(
    stand_in: Path,
) -> None:
    folder = package(stand_in, "torchvision", {"__init__.py": ABSENT})
    program = f"""{STAND_IN}
from timm.models import pvt_v2
try:
    pvt_v2.FrozenBatchNorm2d(3)
except ImportError as reason:
    print(reason)
"""
    expected = "FrozenBatchNorm2d needs torchvision, which is not usable here.\n"
    assert run(folder, program) == expected


def test_a_usable_torchvision_is_used_as_it_is(stand_in: Path) -> None:
    files = {
        "ops/__init__.py": "",
        "ops/misc.py": "class FrozenBatchNorm2d: pass",
        "transforms/__init__.py": "class Resize: pass",
        "transforms/functional.py": "class InterpolationMode: BILINEAR, BICUBIC = 2, 3",
    }
    folder = package(stand_in, "torchvision", files)
    program = f"""{STAND_IN}
import torchvision
from timm.models import pvt_v2
print(pvt_v2.FrozenBatchNorm2d(), torchvision.__file__)
"""
    printed = run(folder, program)
    assert printed.startswith("<torchvision.ops.misc.FrozenBatchNorm2d object")
    assert printed.endswith(f"{folder / 'torchvision' / '__init__.py'}\n")


def test_a_timm_that_is_already_there_is_used(stand_in: Path) -> None:
    folder = package(stand_in, "torchvision", {"__init__.py": NMS})
    (folder / "timm" / "models" / "pvt_v2.py").write_text("")
    program = f"""
import sys, timm.models.pvt_v2
{STAND_IN}
assert import_pvt_v2() is timm.models.pvt_v2
assert 'torchvision' not in sys.modules
"""
    run(folder, program)


def test_without_timm_the_error_names_timm_and_no_placeholder_stays(tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text("raise ModuleNotFoundError('No timm', name='timm')")
    folder = package(tmp_path, "torchvision", {"__init__.py": ABSENT})
    program = f"""
try:{STAND_IN.replace(chr(10), chr(10) + "    ")}
except ImportError as reason:
    print(reason.name)
{THE_TRUTH}
"""
    assert run(folder, program).split() == ["timm", "ModuleNotFoundError", "ModuleNotFoundError"]

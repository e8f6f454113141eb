"""Import timm's PVTv2 also where torchvision is missing or was built for another PyTorch.

timm imports torchvision for its data sets, image transforms and one batch-norm class, none of
which PVTv2 uses. Without torchvision that import raises ImportError; beside a PyTorch it was not
built for it raises RuntimeError ("operator torchvision::nms does not exist") or, from the remains
of that attempt, AttributeError. None of it should keep a network that needs nothing of torchvision
from loading: its modules are then replaced by placeholders while timm is imported, and only then.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_log = logging.getLogger(__name__)


def import_pvt_v2() -> ModuleType:
    """Return the module ``timm.models.pvt_v2``.

    Raises ImportError if timm itself is not installed.
    """
    if "timm" in sys.modules or _torchvision_works():
        return importlib.import_module("timm.models.pvt_v2")
    with _placeholder_torchvision():
        return importlib.import_module("timm.models.pvt_v2")


def _torchvision_works() -> bool:
    try:
        importlib.import_module("torchvision")
    # Whatever a torchvision that does not work raises, it does not work.
    except Exception as reason:
        _log.debug("torchvision cannot be used: %s", reason)
        _forget_torchvision()
        return False
    return True


def _forget_torchvision() -> None:
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]


class _Placeholder(type):
    """A class for every name timm takes from torchvision; using one raises ImportError."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Placeholder(name, (), {})

    def __call__(cls, *_args: object, **_kwargs: object) -> object:
        raise ImportError(f"{cls.__name__} needs torchvision, which is not usable here.")


class _PlaceholderModule(ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Placeholder(name, (), {})


class _PlaceholderFinder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".")[0] == "torchvision":
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _PlaceholderModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        return None


@contextmanager
def _placeholder_torchvision() -> Iterator[None]:
    finder = _PlaceholderFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        # Other packages ask whether torchvision exists; they must get the truth.
        _forget_torchvision()

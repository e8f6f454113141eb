"""What a bundle is made of and holds."""

from __future__ import annotations

from pathlib import Path

from GDLACore.offline import PLATFORMS, BundlePlan
from GDLACore.storage import StoredModel


def plan(*models: StoredModel, platforms: tuple[str, ...] = ("windows",)) -> BundlePlan:
    return BundlePlan(models, tuple(PLATFORMS[name] for name in platforms), (3, 12), "cpu")


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def siblings(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()}


def guide_of(folder: Path) -> str:
    return (folder / "INSTALL.md").read_text("utf-8")

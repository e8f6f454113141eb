"""The installation guide of a bundle: two pages for whoever looks after a hospital's computers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from GDLACore import __version__
from GDLACore.model.card import ModelCard
from GDLACore.offline import guide_text as text
from GDLACore.offline.platforms import dotted

OLDEST_SLICER = "5.12.3"


@dataclass(frozen=True)
class GuideModel:
    """A model in the bundle: its file's name, its card, and where it can be fetched, if known."""

    file: str
    card: ModelCard
    url: str | None = None


@dataclass(frozen=True)
class GuideWheels:
    """What is installed on one kind of computer, called ``title``.

    ``install`` is what pip is asked for. ``files`` are the wheels in the bundle; where there are
    none, ``fetch`` is the command that gets them.
    """

    platform: str
    title: str
    install: str
    files: tuple[str, ...]
    fetch: str


def guide(
    python: tuple[int, int], wheels: Sequence[GuideWheels], models: Sequence[GuideModel]
) -> str:
    """Return the guide as Markdown; there is at least one kind of computer in ``wheels``."""
    parts = [
        text.HEAD.format(version=__version__, slicer=OLDEST_SLICER, python=dotted(python)),
        "\n".join(["This folder holds:", "", *_contents(wheels, models), ""]),
        text.CHECK,
        text.EXTENSION.format(slicer=OLDEST_SLICER),
        text.ENGINE,
        *(part for one in wheels for part in _commands(one)),
        text.ENGINE_END,
        *_models(models),
        text.LAST.format(hosts=_hosts(models), package=wheels[0].install.partition("[")[0]),
    ]
    return "\n".join(parts)


def _contents(wheels: Sequence[GuideWheels], models: Sequence[GuideModel]) -> Iterator[str]:
    for model in models:
        yield f"- `models/{model.file}`: {model.card.title} ({model.card.modality})"
    for one in wheels:
        if one.files:
            yield f"- `wheels`: {one.install} for {one.title}, {len(one.files)} files"
        else:
            yield f"- `wheels/wheels.txt`: what has to be fetched for {one.title}, see step 3"
    yield "- `SHA256SUMS`: the checksum of every file"


def _commands(wheels: GuideWheels) -> Iterator[str]:
    program, remark = text.PROGRAMS[wheels.platform]
    command = (
        f"{program.format(slicer=OLDEST_SLICER)} -m pip install --no-index "
        f'--find-links wheels --only-binary :all: "{wheels.install}"'
    )
    yield f"**{wheels.title}** {remark}".rstrip() + f"\n\n    {command}\n"
    if not wheels.files:
        yield f"{text.NO_WHEELS}\n    {wheels.fetch}\n"


def _models(models: Sequence[GuideModel]) -> Iterator[str]:
    if not models:
        yield text.NO_MODELS
        return
    yield text.MODELS
    notes = [
        f"- {model.card.title}: {model.card.provenance.licence}. "
        f"{model.card.provenance.intended_use}"
        for model in models
    ]
    yield "\n".join(["On what terms, and for what:", "", *notes, ""])


def _hosts(models: Sequence[GuideModel]) -> str:
    found = {urlsplit(model.url).hostname for model in models if model.url}
    names = ["pypi.org", "files.pythonhosted.org", *sorted(host for host in found if host)]
    return ", ".join(f"`{name}`" for name in names)

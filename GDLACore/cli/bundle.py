"""``gdla bundle``: what a hospital without internet needs, in one folder; or the check of it."""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from GDLACore.cli.progress import progress_bar
from GDLACore.errors import DownloadError
from GDLACore.offline import (
    PLATFORMS,
    BundlePlan,
    no_wheels,
    verify,
    wheels_by_pip,
    wheels_from,
    write_bundle,
)
from GDLACore.offline.bundle import WheelSource
from GDLACore.storage import READY, Control, StoredModel, find_model, list_models, model_folder


def run(arguments: Namespace) -> None:
    """Write a bundle, or check one; raise GDLAError if that fails or something is wrong with it."""
    if arguments.check is not None:
        _check(arguments)
        return
    plan = BundlePlan(
        models=_models(arguments.models),
        platforms=tuple(PLATFORMS[name] for name in dict.fromkeys(arguments.platform)),
        python=arguments.python,
        flavour=arguments.build,
    )
    with _source(arguments) as source, progress_bar(quiet=arguments.quiet) as report:
        size = write_bundle(
            arguments.output,
            plan,
            source,
            overwrite=arguments.force,
            control=Control(report),
        )
    names = [model.name for model in plan.models]
    if arguments.json:
        files = verify(arguments.output).sound
        print(
            json.dumps({"output": str(arguments.output), "bytes": size, "files": files}, indent=2)
        )
    elif not arguments.quiet:
        print(f"Written: {arguments.output} ({size / 1e6:.1f} MB)")
        print(f"Models: {', '.join(names) or 'none but the one in the extension'}")
        print(f"Read {arguments.output / 'INSTALL.md'} for how to go on.")


@contextmanager
def _source(arguments: Namespace) -> Iterator[WheelSource]:
    if arguments.wheels is not None:
        yield wheels_from(arguments.wheels)
    elif arguments.fetch_wheels:
        with tempfile.TemporaryDirectory() as folder:
            yield wheels_by_pip(Path(folder))
    else:
        yield no_wheels


def _models(names: list[str] | None) -> tuple[StoredModel, ...]:
    """Return the models called ``names``; without any, all that were downloaded or imported."""
    folder = model_folder()
    if names is None:
        found = list_models(folder)
        return tuple(model for model in found if model.state == READY and not model.shipped)
    return tuple(find_model(name, folder) for name in dict.fromkeys(names))


def _check(arguments: Namespace) -> None:
    verdict = verify(arguments.check)
    if arguments.json:
        facts = {
            "whole": verdict.whole,
            "sound": verdict.sound,
            "missing": verdict.missing,
            "changed": verdict.changed,
            "unknown": verdict.unknown,
        }
        print(json.dumps(facts, indent=2))
    elif not arguments.quiet:
        for word in ("missing", "changed", "unknown"):
            for name in getattr(verdict, word):
                print(f"{word}: {name}")
        print(f"{len(verdict.sound)} files are as they were written.")
    if not verdict.whole:
        wrong = [*verdict.missing, *verdict.changed]
        raise DownloadError(
            f"{arguments.check} is not as it was written: {len(wrong)} files are missing or "
            f"changed, first {wrong[0]}.",
            "Copy the folder again.",
        )

"""What each command runs. Imported on demand: ``gdla --help`` must not wait for PyTorch."""

from __future__ import annotations

from argparse import Namespace

from GDLACore.errors import TrainingError


def segment(arguments: Namespace) -> None:
    """Segment an image."""
    from GDLACore.cli.segment import run

    run(arguments)


def info(arguments: Namespace) -> None:
    """Describe a file or a model."""
    from GDLACore.cli.info import describe

    describe(arguments)


def export(arguments: Namespace) -> None:
    """Write a model as an ONNX file."""
    from GDLACore.cli.export import run

    run(arguments)


def calibrate(arguments: Namespace) -> None:
    """Find out how a model wants to be fed."""
    from GDLACore.cli.calibrate import run

    run(arguments)


def models(arguments: Namespace) -> None:
    """List the catalogue."""
    from GDLACore.cli.info import list_models

    list_models(arguments)


def runtime(arguments: Namespace) -> None:
    """Say which ONNX Runtime suits this computer."""
    from GDLACore.cli.runtime import describe

    describe(arguments)


def train(arguments: Namespace) -> None:
    """Train a model."""
    try:
        from GDLACore.training.command import train as run
    except ImportError as error:
        raise TrainingError(
            f"Training needs a package that is not installed ({error.name}).",
            "Install torch, timm, safetensors, lightning, monai and pyyaml with pip.",
        ) from error
    path = run(arguments.config, arguments.output, device=arguments.device, resume=arguments.resume)
    if not arguments.quiet:
        print(path)

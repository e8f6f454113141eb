"""What each command runs. Imported on demand: ``gdla --help`` must not wait for PyTorch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from GDLACore.errors import EvaluationError, TrainingError


def segment(arguments: Namespace) -> None:
    """Segment an image."""
    from GDLACore.cli.segment import run
    from GDLACore.cli.stored_model import with_stored_model

    run(with_stored_model(arguments))


def batch(arguments: Namespace) -> None:
    """Segment many studies."""
    from GDLACore.cli.batch import run
    from GDLACore.cli.stored_model import with_stored_model

    run(with_stored_model(arguments))


def info(arguments: Namespace) -> None:
    """Describe a file or a model."""
    from GDLACore.cli.info import describe

    describe(arguments)


def export(arguments: Namespace) -> None:
    """Write a model as an ONNX file."""
    from GDLACore.cli.export import run
    from GDLACore.cli.stored_model import with_stored_model

    found = with_stored_model(arguments)
    if found is not arguments and found.output is None:
        found.output = Path(arguments.model).with_suffix(".onnx")  # not into the model folder
    run(found)


def calibrate(arguments: Namespace) -> None:
    """Find out how a model wants to be fed."""
    from GDLACore.cli.calibrate import run
    from GDLACore.cli.stored_model import with_stored_model

    run(with_stored_model(arguments))


def models(arguments: Namespace) -> None:
    """List the models."""
    from GDLACore.cli.models import print_models

    print_models(arguments)


def download_models(arguments: Namespace) -> None:
    """Download models."""
    from GDLACore.cli.models import fetch

    fetch(arguments)


def import_model(arguments: Namespace) -> None:
    """Take a file into the model folder."""
    from GDLACore.cli.models import take

    take(arguments)


def remove_models(arguments: Namespace) -> None:
    """Remove models from the model folder."""
    from GDLACore.cli.models import remove

    remove(arguments)


def check_models(arguments: Namespace) -> None:
    """Check models on this computer."""
    from GDLACore.cli.models import check

    check(arguments)


def bundle(arguments: Namespace) -> None:
    """Write or verify what a hospital needs."""
    from GDLACore.cli.bundle import run

    run(arguments)


def runtime(arguments: Namespace) -> None:
    """Say which ONNX Runtime suits this computer."""
    from GDLACore.cli.runtime import describe

    describe(arguments)


def server(arguments: Namespace) -> None:
    """Say what a server has."""
    from GDLACore.cli.server import describe

    describe(arguments)


def train(arguments: Namespace) -> None:
    """Train a model."""
    try:
        from GDLACore.training.command import is_first_process
        from GDLACore.training.command import train as run
    except ImportError as error:
        raise TrainingError(
            f"Training needs a package that is not installed ({error.name}).",
            "Install torch, timm, safetensors, lightning, monai, h5py and pyyaml with pip.",
        ) from error
    path = run(
        arguments.config,
        arguments.output,
        device=arguments.device,
        resume=arguments.resume,
        processes=arguments.processes,
        nodes=arguments.nodes,
    )
    if not arguments.quiet and is_first_process():
        print(path)


def compare(arguments: Namespace) -> None:
    """Compare variants of a network."""
    try:
        from GDLACore.comparison.command import compare as run
    except ImportError as error:
        raise TrainingError(
            f"Comparing needs a package that is not installed ({error.name}).",
            "Install torch, timm, safetensors, lightning, monai, h5py and pyyaml with pip.",
        ) from error

    def say(line: str) -> None:
        if not arguments.quiet:
            print(line, flush=True)

    say(str(run(arguments.comparison, arguments.output, device=arguments.device, say=say)))


def evaluate(arguments: Namespace) -> None:
    """Score a model."""
    try:
        from GDLACore.cli.evaluate import run
    except ImportError as error:
        raise EvaluationError(
            f"Evaluating needs a package that is not installed ({error.name}).",
            "Install torch, monai, h5py and pyyaml with pip.",
        ) from error
    from GDLACore.cli.stored_model import with_stored_model

    run(with_stored_model(arguments) if arguments.segmentations is None else arguments)


def finetune(arguments: Namespace) -> None:
    """Teach a model on corrected cases."""
    from GDLACore.cli.finetune import run
    from GDLACore.cli.stored_model import with_stored_model

    run(with_stored_model(arguments))

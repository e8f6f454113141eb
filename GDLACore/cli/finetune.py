"""``gdla finetune``: teach a model on corrected cases, and show before and after."""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from GDLACore.cli.tables import print_table
from GDLACore.errors import TrainingError


def run(arguments: Namespace) -> None:
    """Fine-tune as ``arguments`` say and print the table.

    Raises TrainingError if a package is missing or the result is refused.
    """
    try:
        from GDLACore.finetuning import command
        from GDLACore.finetuning.held_out import hold_out_named, hold_out_patients, hold_out_slices
        from GDLACore.finetuning.report import HEADER, remarks, table
    except ImportError as error:
        raise TrainingError(
            f"Fine-tuning needs a package that is not installed ({error.name}).",
            "Install torch, timm, safetensors, lightning, monai and pyyaml with pip.",
        ) from error
    if arguments.hold_out:
        split = partial(hold_out_named, names=arguments.hold_out)
    elif arguments.hold_out_slices:
        split = partial(hold_out_slices, fraction=arguments.hold_out_fraction)
    else:
        split = partial(
            hold_out_patients, fraction=arguments.hold_out_fraction, seed=arguments.seed
        )
    report = command.finetune(
        command.load_start(arguments.model, arguments.card),
        arguments.cases,
        arguments.output,
        command.Settings(
            iterations=arguments.iterations,
            learning_rate=arguments.learning_rate,
            batch_size=arguments.batch,
            patience=arguments.patience,
            tolerance=arguments.tolerance,
            seed=arguments.seed,
            name=arguments.name,
        ),
        split,
        device=arguments.device,
        resume=arguments.resume,
        force=arguments.force,
    )
    if not arguments.quiet:
        print_table(HEADER, table(report), title="Dice before and after, on what was held out")
        for sentence in remarks(report):
            print(sentence)
        print(arguments.output / command.MODEL)

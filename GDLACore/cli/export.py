"""``gdla export``, also called ``gdla import``: a checkpoint as one ONNX file with its card."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from GDLACore.calibration.input_check import check_inputs
from GDLACore.calibration.input_statistics import input_statistics
from GDLACore.errors import ModelFileError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.imaging.writing import check_output
from GDLACore.model.catalogue import model_file
from GDLACore.model.file_access import check_readable
from GDLACore.weights.loading import load_weights

_SUFFIX = ".onnx"


def run(arguments: Namespace) -> None:
    """Write ``arguments.model`` as ONNX; raise GDLAError before anything is written or replaced."""
    source = model_file(arguments.model)
    check_readable(source)
    if source.suffix.lower() == _SUFFIX:
        raise ModelFileError(
            f"{source} is an ONNX file already.", "Use it as it is, or give its checkpoint."
        )
    output = arguments.output or Path(f"{Path(arguments.model).with_suffix('')}{_SUFFIX}")
    check_output(output, inputs=[source], overwrite=arguments.force, suffixes=(_SUFFIX,))
    model = load_weights(source, arguments.card)
    verdict = check_inputs(input_statistics(model.tensors), model.card)
    write_onnx_model(output, model, arguments.precision)
    card = model.card
    facts = {
        "output": str(output),
        "model": card.name,
        "precision": arguments.precision,
        "classes": card.classes,
        "in_channels": card.in_channels,
        "bytes": output.stat().st_size,
        "training_inputs": verdict.outcome,
    }
    if arguments.json:
        print(json.dumps(facts, indent=2))
    elif not arguments.quiet:
        print(f"{card.name} {card.version}: {card.title}")
        channels = f"{card.in_channels} input channel{'s' if card.in_channels != 1 else ''}"
        print(f"Fits the card: {card.classes} classes, {channels}.")
        print(verdict.sentence)
        print(f"Written: {output} ({facts['bytes'] / 1e6:.1f} MB, {arguments.precision})")

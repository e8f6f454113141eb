"""Tries a build out for ``trial``: ``python trial_program.py FOLDER RESULT``.

Not a part of the package: it runs by itself, in a Python that knows nothing of GDLACore. What it
finds goes into the file RESULT: a build may print what it likes.
"""

import json
import os
import sys
import traceback


def main():
    """Import ONNX Runtime from FOLDER as the worker does."""
    folder, result = sys.argv[1:]
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]
    sys.path.insert(0, folder)
    found = {"version": "", "file": "", "providers": [], "problem": ""}
    try:
        import onnxruntime

        found["version"] = onnxruntime.__version__
        found["file"] = onnxruntime.__file__
        found["providers"] = list(onnxruntime.get_available_providers())
        onnxruntime.InferenceSession  # noqa: B018
    except Exception as error:
        traceback.print_exc()
        found["problem"] = f"{type(error).__name__}: {error}"
    with open(result, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()

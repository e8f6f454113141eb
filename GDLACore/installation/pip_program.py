"""Runs pip for ``pip_run``: ``python pip_program.py VERSION install ...``.

Not a part of the package: it runs by itself, in a Python that knows nothing of GDLACore. It ends
when whoever started it is gone.
"""

import os
import runpy
import sys
import threading


def _end_with(owner):
    while os.read(owner, 4096):
        pass
    os._exit(1)


def main():
    """Run pip if this is the Python that is meant."""
    # This folder's modules have names that others may have, too.
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]
    owner = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    version = "{}.{}".format(*sys.version_info)
    if version != sys.argv[1]:
        sys.exit("GDLA: this is Python " + version)
    try:
        import pip
    except ImportError:
        sys.exit("GDLA: there is no pip in " + sys.executable)
    numbers = tuple(int(part) for part in pip.__version__.split(".")[:2] if part.isdigit())
    bar = "raw" if numbers >= (24, 1) else "off"
    sys.argv[1:] = [*sys.argv[2:], "--progress-bar", bar]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""A progress bar on the terminal, and nothing where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the phase's name, the steps done, and how many there are (None: not known).
Report = Callable[[str, int, "int | None"], None]

_COUNTED = "segmenting"  # the phase whose steps are slices


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Report]:
    """Yield the function to report progress to: one line, with slices/s and the time left."""
    if quiet or not sys.stderr.isatty():
        yield _ignore
        return
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            Task,
            TaskID,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text
    except ImportError:
        yield _ignore
        return

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            counted = task.description == _COUNTED.capitalize() and task.speed
            return Text(
                f"{task.speed:.1f} slices/s" if counted else "", style="progress.data.speed"
            )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        Speed(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def report(phase: str, done: int, total: int | None) -> None:
        if phase not in tasks:
            for finished in tasks.values():
                bar.update(finished, visible=False)
            tasks[phase] = bar.add_task(phase.capitalize(), total=None)
        bar.update(tasks[phase], completed=done, total=total)

    with bar:
        yield report


def _ignore(phase: str, done: int, total: int | None) -> None:
    pass

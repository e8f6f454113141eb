"""What the tests of the user interface share: a desktop, and nothing that went wrong unseen.

Each file runs in a process of its own, see ``own_process.py``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import own_process
import pytest
from own_process import (  # noqa: F401  pytest finds them here
    pytest_configure,
    pytest_pycollect_makemodule,
    pytest_runtest_protocol,
)

if TYPE_CHECKING:
    from slicer_host.desktop import Desktop

HERE = Path(__file__).parent

if own_process.is_inside():
    sys.path[:0] = [str(HERE.parent / "mrml"), str(HERE.parent / "core")]
    # Before the test files are imported: they may import qt, ctk and slicer's modules.
    from slicer_host import desktop as host
    from vtk_messages import collect_messages

    _vtk_messages = collect_messages()
    host.start(Path(tempfile.gettempdir()))
    from effects import desk, effect_module  # noqa: F401  fixtures
    from panels import module, scripted, widget, worker  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def leave() -> Iterator[None]:
    """Remove the application's files at the end, which no interpreter's exit does."""
    yield
    from slicer_host import application

    application.leave()


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    """Slicer's desktop with an empty scene and no settings, closed at the end of the test.

    A test fails if a handler raised an exception, Qt or VTK complained, or a dialog came that it
    did not expect; it may clear ``desktop.problems`` if that is what it wants.
    """
    _vtk_messages.clear()
    desktop = host.start(tmp_path)
    desktop.window.show()
    yield desktop
    desktop.quit()
    desktop.close_scene()
    assert [str(problem) for problem in desktop.problems] == []
    assert not desktop.unused_answers, "dialogs were expected and did not come"
    assert _vtk_messages == []


@pytest.fixture
def problems(desktop: Desktop) -> list[Any]:
    return desktop.problems


@pytest.fixture
def toy(desktop: Desktop) -> Any:
    """The module of ``data/Toy``, loaded but not yet shown."""
    return desktop.load(HERE / "data" / "Toy" / "Toy.py")

"""What the tests on Ray share: a cluster of several nodes on this computer, and its cohorts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from local_cluster import LocalCluster

HERE = Path(__file__).resolve().parent

# So that Ray stays on the loopback address. It looks at this when it is imported.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

# The tests' cohorts serve here too.
sys.path.append(str(HERE.parent / "core"))

from ctrl_c import listen_to_ctrl_c  # noqa: E402

listen_to_ctrl_c()


# Not for the session: other files' tests start processes, too, in an environment that is not this.
@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A head that works on nothing, and two nodes of one core each."""
    pytest.importorskip("ray")
    # Short, for sockets go there; a folder of its own, for Ray remembers the last cluster in it.
    folder = tempfile.mkdtemp(prefix="gdla-", dir="/tmp")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[1], HERE))),
        }.items():
            environment.setenv(name, value)
        from local_cluster import LocalCluster

        cluster = LocalCluster(nodes=2)
        yield cluster
        cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)

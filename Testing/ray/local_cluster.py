"""A Ray cluster of several nodes, all of them on this computer."""

from __future__ import annotations

from typing import Any

from ray.cluster_utils import Cluster

_JOIN_S = 120.0
_STORE = 80 * 2**20  # bytes that a node keeps objects in: nothing but records travels


class LocalCluster:
    """A head without cores for workers, and ``nodes`` with one each."""

    def __init__(self, nodes: int) -> None:
        head = {
            "num_cpus": 0,
            "object_store_memory": _STORE,
            "include_dashboard": False,
            "node_ip_address": "127.0.0.1",
            "wait": False,
            # So that a killed node is soon known to be dead: until then workers are sent there.
            "_system_config": {
                "health_check_initial_delay_ms": 500,
                "health_check_period_ms": 300,
                "health_check_failure_threshold": 3,
                # Or workers are ended when other programs take the computer's memory.
                "memory_monitor_refresh_ms": 0,
            },
        }
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._cluster._wait_for_node(self._cluster.head_node, _JOIN_S)
        for _ in range(nodes):
            self.add_node()

    @property
    def address(self) -> str:
        """Return the address of the head."""
        return str(self._cluster.address)

    def add_node(self) -> Any:
        """Return a new node, once it has joined."""
        node = self._cluster.add_node(
            wait=False, num_cpus=1, object_store_memory=_STORE, node_ip_address="127.0.0.1"
        )
        self._cluster._wait_for_node(node, _JOIN_S)
        return node

    def kill(self, node: Any) -> None:
        """End all processes of ``node`` at once, as a power cut would."""
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()

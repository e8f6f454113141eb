"""``gdla segment --server`` with a real server: equal results, and an end when it is asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import SHAPE, run_gdla
from inference_server import InferenceServer, inference_server
from phantom import make_card
from served_network import ServedNetwork
from server_faults import silent
from worker_conversation import DEADLINE_S

from GDLACore.imaging.reading import read_volume
from GDLACore.pipeline import segment_volume_with_confidence
from GDLACore.remote import RemoteServer
from GDLACore.remote.opening import open_remote_engine

ROOT = Path(__file__).resolve().parents[2]
CARD = make_card()


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    with inference_server(ServedNetwork(CARD)) as server:
        yield server


def test_labels_and_confidence_of_a_server_are_written(tmp_path, ct, server, capsys):
    out, sure = tmp_path / "o.nii.gz", tmp_path / "sure.nii.gz"
    options = ("--model", CARD.name, "--server", server.url, "--confidence", sure)
    assert run_gdla("segment", ct, "-o", out, *options, "--json") == 0
    with open_remote_engine(CARD.name, RemoteServer(server.url)) as engine:
        labels, confidence = segment_volume_with_confidence(read_volume(ct), engine)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(out))), labels)
    assert labels.shape == SHAPE and labels.any()
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(sure)))
    np.testing.assert_allclose(written, 100 * confidence.astype(float), atol=1)
    assert f"server 127.0.0.1:{server.port}" in json.loads(capsys.readouterr().out)["device"]


def test_a_model_that_the_server_lacks_is_told_with_those_it_has(tmp_path, ct, server, capsys):
    options = ("--model", "liver-v2.1", "--server", server.url)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii", *options) == 1
    error = capsys.readouterr().err
    assert "liver-v2.1" in error and CARD.name in error and len(error.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_ctrl_c_ends_it_while_the_server_is_silent(tmp_path, ct, server):
    server.script = [silent] * 20
    command = (sys.executable, "-m", "GDLACore", "segment", ct, "-o", tmp_path / "o.nii")
    with subprocess.Popen(
        [*command, "--model", CARD.name, "--server", server.url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert server.reached.wait(DEADLINE_S)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=25)  # the server is given 30 s
        finally:
            process.kill()
    assert (process.returncode, error) == (130, "gdla: stopped\n")
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_what_a_server_has_is_told(server, capsys):
    assert run_gdla("server", server.url, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["ready"]) for one in facts["models"]] == [(CARD.name, True)]
    assert facts["latency_ms"] > 0

"""What a user hands over by mistake: other weights than the card's, no file, a damaged one."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
from command_line import run_gdla
from model_files import recipe, write_checkpoint

from GDLACore.errors import ModelFileError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.model.catalogue import find
from GDLACore.weights.loading import load_weights


def test_a_card_with_the_hash_of_other_weights_loses_it_and_not_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = find("demo-ct").card
    path = write_checkpoint(tmp_path / "other.ckpt", recipe(card), card)
    path.with_suffix(".card.json").unlink(missing_ok=True)
    with caplog.at_level(logging.WARNING, "GDLACore"):
        assert load_weights(path, "demo-ct").card.sha256 is None
    assert "not those that the card demo-ct was written for" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(ModelFileError, match="is not a file"):
        load_weights(tmp_path / "pipe.ckpt", "synapse")


def test_info_does_not_vouch_for_a_file_that_was_changed_since_its_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_onnx_model(tmp_path / "demo.onnx", load_weights("demo-ct"))
    assert run_gdla("info", path) == 0
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert run_gdla("info", path) == 1
    assert "damaged or was changed" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["segment", "", "-o", "x.nrrd"], ["info", ""]])
def test_an_empty_name_is_not_the_current_folder(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_gdla(*command)
    assert ended.value.code == 2
    assert "the name is empty" in capsys.readouterr().err

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import run_gdla
from phantom import make_card, make_labels, make_volume
from torch_files import zip_file

from GDLACore import cli
from GDLACore.errors import GDLAError
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.card import ModelCard


def test_models_lists_the_catalogue_and_so_does_info_without_a_file(capsys):
    assert run_gdla("models") == 0
    listed = capsys.readouterr().out
    assert "synapse" in listed
    assert run_gdla("info") == 0
    assert capsys.readouterr().out == listed
    assert run_gdla("models", "--json") == 0
    assert "acdc" in [card["name"] for card in json.loads(capsys.readouterr().out)]


def test_info_describes_a_model_by_name(capsys):
    assert run_gdla("info", "acdc") == 0
    assert "Myocardium" in capsys.readouterr().out
    assert run_gdla("info", "acdc", "--json") == 0
    assert ModelCard.from_json(capsys.readouterr().out).name == "acdc"


def test_info_describes_a_card_file(tmp_path, capsys):
    (tmp_path / "card.json").write_text(make_card().to_json())
    assert run_gdla("info", tmp_path / "card.json") == 0
    assert "abdomen 1.2" in capsys.readouterr().out


def test_info_describes_an_image(ct, capsys):
    assert run_gdla("info", ct, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["shape_kji"] == [6, 7, 8]
    assert facts["spacing_ijk_mm"] == pytest.approx([0.75, 1.5, 4.0])
    assert (facts["range"], facts["axes_ijk"], facts["not_finite"]) == ([-1000, 200], "LPS", 0)
    assert run_gdla("info", ct) == 0
    assert "8 x 7 x 6" in capsys.readouterr().out


def test_info_describes_one_frame_of_a_film(tmp_path, capsys):
    path = tmp_path / "film.nii.gz"
    sitk.WriteImage(sitk.JoinSeries([sitk.Image(4, 4, 4, sitk.sitkInt16)] * 3), str(path))
    assert run_gdla("info", path) == 1
    assert "--frame" in capsys.readouterr().err
    assert run_gdla("info", path, "--frame", 2) == 0
    assert "4 x 4 x 4" in capsys.readouterr().out


def test_info_describes_a_segmentation_of_ours(tmp_path, capsys):
    path = write_segmentation(
        tmp_path / "o.seg.nrrd", make_labels(), make_volume(np.eye(3)), make_card()
    )
    assert run_gdla("info", path) == 0
    assert "8 x 7 x 6" in capsys.readouterr().out


def test_info_says_what_a_checkpoint_is_for(tmp_path, capsys):
    weights = {
        "head1.weight": np.zeros((9, 64, 1, 1), np.float32),
        "resblk.conv1.weight": np.zeros((8, 1, 3, 3), np.float32),
    }
    (tmp_path / "best.ckpt").write_bytes(zip_file({"model_state_dict": weights}))
    assert run_gdla("info", tmp_path / "best.ckpt", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["Classes"], facts["Input channels"]) == (9, 1)
    assert "synapse" in facts["Fitting cards"]
    encoder = {"stages.0.patch_embed.proj": np.zeros(2, np.float32)}
    (tmp_path / "encoder.pth").write_bytes(zip_file(encoder))
    assert run_gdla("info", tmp_path / "encoder.pth") == 0
    assert "encoder" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["none", "none.nii", "none.ckpt", "none.safetensors", "none.json"])
def test_info_about_nothing_is_an_error(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert run_gdla("info", name) == 1
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("first", [True, False])
def test_training_gets_what_was_typed_and_one_process_tells(first, tmp_path, monkeypatch, capsys):
    calls = []
    module = type(sys)("GDLACore.training.command")
    module.train = lambda *paths, **options: calls.append((paths, options)) or Path("final")
    module.is_first_process = lambda: first
    monkeypatch.setitem(sys.modules, "GDLACore.training.command", module)
    typed = ("--device", "cpu", "--resume", "--processes", "2", "--nodes", "3")
    assert run_gdla("train", "plan.yaml", "-o", tmp_path, *typed) == 0
    options = {"device": "cpu", "resume": True, "processes": 2, "nodes": 3}
    assert calls == [((Path("plan.yaml"), tmp_path), options)]
    assert capsys.readouterr().out == ("final\n" if first else "")


def test_training_without_its_packages_says_how_to_install_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "GDLACore.training.command", None)
    assert run_gdla("train", "plan.yaml", "-o", tmp_path) == 1
    assert "monai, h5py and pyyaml with pip" in capsys.readouterr().err


def test_errors_of_every_kind_show_message_and_hint():
    for kind in GDLAError.__subclasses__():
        assert cli._sentence(kind("What is wrong.", "What to do.")) == "What is wrong. What to do."

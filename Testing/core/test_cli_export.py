"""``gdla export`` and ``gdla import``: a checkpoint becomes one ONNX file, always the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import run_gdla
from model_files import CARD, recipe, write_checkpoint, write_safetensors

from GDLACore.export.model_file import PRECISIONS
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import find
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.resources import resource_path
from GDLACore.weights.safetensors_file import weights_sha256

# An export's card tells which weights it has, from whatever file they came.
EXPORTED = replace(CARD, sha256=weights_sha256(sorted(recipe().items())))

SAMPLE = resource_path("samples", "ct-abdomen-dicom")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return one model as a checkpoint and as a model file of ours."""
    folder, weights = tmp_path_factory.mktemp("models"), recipe()
    return (
        write_checkpoint(folder / "model.ckpt", weights),
        write_safetensors(folder / "own.safetensors", weights),
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "best.v2.ckpt", recipe())


def exported(source: object, output: Path, *options: object, command: str = "export") -> bytes:
    assert run_gdla(command, source, "-o", output, "--quiet", *options) == 0
    return output.read_bytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_file_is_the_same_from_every_kind_of_checkpoint_and_every_time(
    tmp_path, files, precision
):
    options = ("--precision", precision)
    first, *others = [
        exported(source, tmp_path / f"{number}.onnx", *options, command=command)
        for number, (source, command) in enumerate(
            (source, command) for source in files for command in ("export", "import")
        )
    ]
    assert all(other == first for other in others)
    assert exported(files[0], tmp_path / "0.onnx", "--force", *options) == first


def test_what_was_written_is_told(tmp_path, checkpoint, capsys):
    out = tmp_path / "model.onnx"
    assert run_gdla("import", checkpoint, "-o", out) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for text in ("abdomen 1.2: Abdomen", "4 classes, 1 input channel.", str(out), "MB, fp32"):
        assert text in printed.out
    assert "The weights do not tell what the network was taught" in printed.out


def test_what_the_weights_tell_of_their_training_is_told(tmp_path, capsys):
    assert run_gdla("export", "demo-ct", "-o", tmp_path / "model.onnx") == 0
    assert "as the card's ct_window gives" in capsys.readouterr().out
    assert run_gdla("export", "demo-ct", "-o", tmp_path / "b.onnx", "--json") == 0
    assert json.loads(capsys.readouterr().out)["training_inputs"] == "agrees"


def test_json_is_one_object(tmp_path, checkpoint, capsys):
    out = tmp_path / "model.onnx"
    assert run_gdla("export", checkpoint, "-o", out, "--json", "--precision", "fp16") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("training_inputs") == "unknown"
    assert facts == {
        "output": str(out),
        "model": "abdomen",
        "precision": "fp16",
        "classes": 4,
        "in_channels": 1,
        "bytes": out.stat().st_size,
    }


def test_quiet_prints_nothing(tmp_path, checkpoint, capsys):
    exported(checkpoint, tmp_path / "model.onnx")
    assert capsys.readouterr() == ("", "")


def test_half_precision_halves_the_file(tmp_path, checkpoint):
    single = exported(checkpoint, tmp_path / "single.onnx")
    half = exported(checkpoint, tmp_path / "half.onnx", "--precision", "fp16")
    assert 0.5 < len(half) / len(single) < 0.55


def test_without_a_name_the_file_goes_beside_the_checkpoint(tmp_path, checkpoint, capsys):
    assert run_gdla("export", checkpoint, "--quiet") == 0
    assert check_onnx_file(tmp_path / "best.v2.onnx") == EXPORTED


def test_without_a_name_a_model_of_the_catalogue_goes_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_gdla("export", "demo-ct", "--quiet") == 0
    assert check_onnx_file(tmp_path / "demo-ct.onnx") == find("demo-ct").card


def test_the_card_can_be_named(tmp_path, capsys):
    card = find("synapse").card
    path = write_checkpoint(tmp_path / "model.ckpt", recipe(replace(CARD, labels=card.labels)))
    path.with_suffix(".card.json").unlink()
    assert run_gdla("import", path) == 1
    assert "does not say which model it is. Name its card (synapse)" in capsys.readouterr().err
    assert run_gdla("import", path, "--card", "synapse") == 1
    assert "holds a PVTv2 of another size" in capsys.readouterr().err  # b0, not b2: it was read
    assert not (tmp_path / "model.onnx").exists()


def test_the_export_of_the_demonstration_model_gives_the_sample_ct_the_same_labels(tmp_path):
    exported("demo-ct", tmp_path / "demo.onnx")
    labels = []
    for number, model in enumerate(("demo-ct", tmp_path / "demo.onnx")):
        out = tmp_path / f"{number}.nrrd"
        options = ("--device", "cpu", "--slices", "4:12", "--quiet")
        assert run_gdla("segment", SAMPLE, "-o", out, "--model", model, *options) == 0
        labels.append(sitk.GetArrayFromImage(sitk.ReadImage(str(out))))
    assert len(np.unique(labels[0])) > 5
    np.testing.assert_array_equal(*labels)


def test_info_describes_the_export(tmp_path, checkpoint, capsys):
    exported(checkpoint, out := tmp_path / "model.onnx")
    assert run_gdla("info", out) == 0
    printed = capsys.readouterr().out
    assert "abdomen 1.2" in printed and "spleen" in printed
    assert run_gdla("info", out, "--json") == 0
    assert ModelCard.from_json(capsys.readouterr().out) == EXPORTED


def test_the_export_brings_its_own_card_and_refuses_another_models(
    tmp_path, checkpoint, ct, capsys
):
    exported(checkpoint, out := tmp_path / "model.onnx")
    before = sorted(tmp_path.iterdir())
    segment = ("segment", ct, "-o", tmp_path / "o.nrrd", "--model", out)
    assert run_gdla(*segment, "--card", "synapse") == 1
    assert "is the model abdomen and cannot be used as synapse" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    assert run_gdla(*segment, "--quiet") == 0


def test_an_existing_file_is_replaced_only_if_that_is_allowed(tmp_path, checkpoint, capsys):
    out = tmp_path / "model.onnx"
    out.write_bytes(b"old")
    assert run_gdla("export", checkpoint, "-o", out) == 1
    assert "exists already" in capsys.readouterr().err and out.read_bytes() == b"old"
    exported(checkpoint, out, "--force")
    assert check_onnx_file(out) == EXPORTED


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors", "model", ".onnx", "model.onn"])
def test_another_ending_is_refused(tmp_path, checkpoint, capsys, name):
    before = sorted(tmp_path.iterdir())
    assert run_gdla("export", checkpoint, "-o", tmp_path / name) == 1
    assert "End the name with .onnx" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_missing_is_said_so(tmp_path, checkpoint, capsys):
    assert run_gdla("export", checkpoint, "-o", tmp_path / "none" / "model.onnx") == 1
    assert "none does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("-o", "other.onnx"), ("--force",)], ids=str)
def test_an_onnx_file_is_not_exported_again(tmp_path, checkpoint, capsys, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    content = exported(checkpoint, out := tmp_path / "model.onnx")
    assert run_gdla("export", out, *options) == 1
    assert "model.onnx is an ONNX file already." in capsys.readouterr().err
    assert out.read_bytes() == content and not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.ckpt", "none.ckpt does not exist"),
        ("folder", "folder is a folder, not a model"),
        (".", "is a folder, not a model"),
        ("/", "/ is a folder, not a model"),
        ("lungs", "No model is called 'lungs'"),
        ("", "No model is called ''"),
        ("synapse", "The checkpoint of synapse is not on this computer"),
        ("empty.ckpt", "empty.ckpt is empty"),
        ("text.ckpt", "text.ckpt is not a PyTorch checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused_and_nothing_written(
    tmp_path, monkeypatch, capsys, model, message
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.ckpt").write_text("This is no checkpoint.")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    for options in ((), ("-o", "model.onnx")):
        name = "./folder" if model == "folder" else model
        assert run_gdla("import", name, *options) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and "Unexpected" not in error
    assert sorted(tmp_path.iterdir()) == before


def test_weights_that_do_not_fit_their_card_leave_the_old_export_alone(
    tmp_path, checkpoint, capsys
):
    content = exported(checkpoint, out := tmp_path / "best.v2.onnx")
    weights = recipe()
    weights["head.bias"][:] = np.nan
    write_checkpoint(checkpoint, weights)
    assert run_gdla("export", checkpoint, "--force") == 1
    assert "not finite" in capsys.readouterr().err
    assert out.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--backend", "python"), "--backend is about a server's model. Add --triton DIR."),
        (("--instances", 2), "--instances is about a server's model. Add --triton DIR."),
    ],
)
def test_what_only_servers_need_is_refused_without_one(checkpoint, capsys, options, said):
    assert run_gdla("export", checkpoint, *options) == 1
    assert said in capsys.readouterr().err
    assert not checkpoint.with_suffix(".onnx").exists()

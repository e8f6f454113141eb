"""``gdla export --triton``: a model of a repository, whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import run_gdla
from model_files import CARD, recipe, write_checkpoint
from triton_definition import parsed

from GDLACore.export.model_file import write_onnx_model
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.serving import contract
from GDLACore.serving.triton_config import BACKENDS
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.safetensors_file import weights_sha256

WEIGHTS_HASH = weights_sha256(sorted(recipe().items()))
PYTHON = ("--backend", "python")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "best.ckpt", recipe())


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return write_onnx_model(tmp_path / "own.onnx", ModelWeights(CARD, recipe(), Path("recipe")))


def exported(source: object, repository: Path, *options: object) -> Path:
    assert run_gdla("export", source, "--triton", repository, "--quiet", *options) == 0
    return repository / "abdomen"


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_server_with_a_gpu_gets_one_graph_and_its_configuration(tmp_path, checkpoint):
    folder = exported(checkpoint, tmp_path / "models")
    assert sorted(content(folder)) == ["1/model.onnx", "config.pbtxt"]


def test_a_server_without_one_gets_our_engine_and_the_model_that_it_runs(tmp_path, checkpoint):
    folder = exported(checkpoint, tmp_path / "models", *PYTHON)
    files = content(folder)
    assert {"1/model.onnx", "1/model.py", "config.pbtxt"} < set(files)
    assert "1/GDLACore/engine/onnx_engine.py" in files
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]
    assert check_onnx_file(folder / "1" / "model.onnx").name == "abdomen"


def test_the_same_model_gives_the_same_files_every_time(tmp_path, checkpoint):
    for options in ((), PYTHON, ("--precision", "fp16", "--instances", 2)):
        first, second = (
            content(exported(checkpoint, tmp_path / f"{number}{options}", *options))
            for number in range(2)
        )
        assert first == second


@pytest.mark.parametrize("options", [(), PYTHON], ids=BACKENDS)
def test_the_card_that_is_told_knows_the_hash_of_the_weights(tmp_path, checkpoint, options):
    folder = exported(checkpoint, tmp_path / "models", *options)
    config = parsed((folder / "config.pbtxt").read_text("utf-8"))
    card = json.loads(config.parameters[contract.CARD_KEY].string_value)
    assert card == replace(CARD, sha256=WEIGHTS_HASH).to_dict()


def test_other_weights_have_another_hash_even_from_onnx_files(tmp_path, onnx_file):
    changed = {name: 1.25 * array for name, array in recipe().items()}
    other = write_onnx_model(tmp_path / "other.onnx", ModelWeights(CARD, changed, Path("recipe")))
    told = {
        (exported(source, tmp_path / source.stem) / "config.pbtxt").read_text("utf-8")
        for source in (onnx_file, other)
    }
    assert len(told) == 2


def test_an_onnx_file_is_served_by_our_engine_as_it_is(tmp_path, onnx_file):
    folder = exported(onnx_file, tmp_path / "models", *PYTHON)
    assert (folder / "1" / "model.onnx").read_bytes() == onnx_file.read_bytes()


def test_an_onnx_file_becomes_a_graph_for_gpus_with_the_same_weights(
    tmp_path, onnx_file, checkpoint
):
    one, other = (
        len((exported(source, tmp_path / source.stem) / "1" / "model.onnx").read_bytes())
        for source in (onnx_file, checkpoint)
    )
    assert abs(one - other) < 1000


def test_a_card_s_file_describes_the_served_model(tmp_path, onnx_file):
    described = tmp_path / "card.json"
    described.write_text(replace(CARD, view="flip_rows").to_json(), "utf-8")
    folder = exported(onnx_file, tmp_path / "models", *PYTHON, "--card", described)
    config = parsed((folder / "config.pbtxt").read_text("utf-8"))
    assert json.loads(config.parameters[contract.CARD_KEY].string_value)["view"] == "flip_rows"


def test_a_model_of_the_catalogue_is_exported_by_its_name(tmp_path, capsys):
    assert run_gdla("export", "demo-ct", "--triton", tmp_path, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("bytes") == (tmp_path / "demo-ct" / "1" / "model.onnx").stat().st_size
    assert facts == {
        "output": str(tmp_path / "demo-ct"),
        "model": "demo-ct",
        "classes": 10,
        "in_channels": 1,
        "training_inputs": "agrees",
        "precision": "fp32",
        "backend": "onnxruntime",
    }


def test_what_was_written_is_told(tmp_path, checkpoint, capsys):
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "models", *PYTHON) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"Written: {tmp_path / 'models' / 'abdomen'} (" in printed.out
    assert "for Triton's backend python" in printed.out


@pytest.mark.parametrize(("options", "warned"), [(PYTHON, True), ((), False)])
def test_a_path_that_the_python_backend_cannot_use_is_told(
    tmp_path, checkpoint, capsys, options, warned
):
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "mödels", *options) == 0
    assert ("Triton's Python backend cannot use" in capsys.readouterr().err) == warned


def test_other_models_of_the_repository_stay(tmp_path, checkpoint):
    other = tmp_path / "models" / "other"
    other.mkdir(parents=True)
    (other / "config.pbtxt").write_text("name: 'other'", "utf-8")
    exported(checkpoint, tmp_path / "models")
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["abdomen", "other"]
    assert (other / "config.pbtxt").read_text("utf-8") == "name: 'other'"


def test_a_model_that_is_there_is_replaced_only_if_that_is_allowed(tmp_path, checkpoint, capsys):
    folder = exported(checkpoint, tmp_path / "models", *PYTHON)
    before = content(folder)
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "models") == 1
    assert f"{folder} is there already. Give --force" in capsys.readouterr().err
    assert content(folder) == before
    exported(checkpoint, tmp_path / "models", "--force")
    assert sorted(content(folder)) == ["1/model.onnx", "config.pbtxt"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["abdomen"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path, checkpoint, capsys):
    studies = tmp_path / "models" / "abdomen"
    studies.mkdir(parents=True)
    (studies / "scan.nii.gz").write_bytes(b"precious")
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "models", "--force") == 1
    assert f"{studies / 'config.pbtxt'} is in the way: it is" in capsys.readouterr().err
    assert content(tmp_path / "models") == {os.path.join("abdomen", "scan.nii.gz"): b"precious"}


@pytest.mark.parametrize("foreign", ["2/model.plan", "labels.txt", "1/model.plan", "config.pbtxt"])
def test_a_model_with_anything_in_it_that_is_not_ours_is_never_replaced(
    tmp_path, checkpoint, capsys, foreign
):
    folder = exported(checkpoint, tmp_path / "models", *PYTHON)
    file = folder / foreign
    file.parent.mkdir(exist_ok=True)
    file.write_text('name: "abdomen" platform: "tensorrt_plan"', "utf-8")
    before = content(folder)
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "models", "--force") == 1
    stranger = folder / "2" if foreign.startswith("2") else file
    assert f"{stranger} is in the way: it is not of a model" in capsys.readouterr().err
    assert content(folder) == before


def test_what_a_server_s_python_left_in_a_model_keeps_nobody_from_replacing_it(
    tmp_path, checkpoint
):
    folder = exported(checkpoint, tmp_path / "models", *PYTHON)
    for left in (folder / "1", folder / "1" / "GDLACore"):
        (left / "__pycache__").mkdir()
        (left / "__pycache__" / "model.pyc").write_bytes(b"")
    exported(checkpoint, tmp_path / "models", "--force")
    assert sorted(content(folder)) == ["1/model.onnx", "config.pbtxt"]


@pytest.mark.parametrize("exists", [True, False], ids=["there", "gone"])
def test_a_link_is_never_replaced(tmp_path, checkpoint, capsys, exists):
    (tmp_path / "models").mkdir()
    elsewhere = tmp_path / "elsewhere" / "abdomen"
    if exists:
        exported(checkpoint, elsewhere.parent)
    link = tmp_path / "models" / "abdomen"
    link.symlink_to(elsewhere)
    before = content(tmp_path)
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "models", "--force") == 1
    assert f"{link} is in the way: it is not of a model" in capsys.readouterr().err
    assert content(tmp_path) == before and link.is_symlink()


def test_a_file_is_no_repository(tmp_path, checkpoint, capsys):
    assert run_gdla("export", checkpoint, "--triton", checkpoint) == 1
    assert "best.ckpt is not a folder." in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"]
)
def test_what_fails_in_the_middle_leaves_the_former_model(tmp_path, checkpoint, monkeypatch, error):
    folder = exported(checkpoint, tmp_path / "models")
    before = content(folder)
    everything = sorted(path.name for path in tmp_path.iterdir())
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.endswith(".part"):
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    arguments = ("export", checkpoint, "--triton", tmp_path / "models", "--force", *PYTHON)
    assert run_gdla(*arguments) != 0
    assert content(folder) == before
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["abdomen"]
    assert sorted(path.name for path in tmp_path.iterdir()) == everything


def test_while_it_is_written_nothing_lies_in_the_repository(tmp_path, checkpoint, monkeypatch):
    repository = tmp_path / "models"
    seen = []
    write_bytes = Path.write_bytes

    def watched(path: Path, content: bytes) -> int:
        seen.append(sorted(repository.iterdir()))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", watched)
    exported(checkpoint, repository)
    assert seen == [[]]  # a server could be looking


def test_a_repository_that_is_the_current_folder_is_one(tmp_path, checkpoint, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exported(checkpoint, Path("."), *PYTHON)
    assert (tmp_path / "abdomen" / "config.pbtxt").is_file()


def test_a_folder_that_cannot_be_made_is_told(checkpoint, capsys):
    assert run_gdla("export", checkpoint, "--triton", checkpoint / "models") == 1
    assert "abdomen cannot be written: Not a directory." in capsys.readouterr().err


def test_the_precision_of_an_onnx_file_stays_for_our_engine(tmp_path, onnx_file, capsys):
    arguments = ("export", onnx_file, "--triton", tmp_path / "m", *PYTHON, "--precision", "fp16")
    assert run_gdla(*arguments) == 1
    assert "in the precision that it has" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "options", [("-o", "a.onnx"), ("--backend", "pytorch"), ("--instances", "0")], ids=str
)
def test_a_command_line_that_means_nothing_is_refused(tmp_path, checkpoint, options):
    with pytest.raises(SystemExit):
        run_gdla("export", checkpoint, "--triton", tmp_path / "models", *options)
    assert not (tmp_path / "models").exists()


def test_weights_that_do_not_fit_leave_the_repository_alone(tmp_path, checkpoint, capsys):
    weights = recipe()
    weights.popitem()
    write_checkpoint(checkpoint, weights)
    assert run_gdla("export", checkpoint, "--triton", tmp_path / "models") == 1
    assert capsys.readouterr().err.startswith("gdla: error: ")
    assert not (tmp_path / "models").exists()


def test_the_command_line_offers_the_backends_that_there_are():
    from GDLACore.cli.options import SERVER_BACKENDS

    assert SERVER_BACKENDS == BACKENDS

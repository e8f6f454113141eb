# make demo    segment a real CT with the demonstration model and show what came out
# make test    run the whole test suite
# make lint    check the style
# make demo-model   train the demonstration model anew (hours on a CPU)
# make clean   remove the environment and what demo, test and lint wrote
#
# Each command makes or refreshes the environment in .venv first; a second run finds it ready.
# PYTHON=python3.12   another interpreter (3.10 to 3.13)
# PIP_ARGS=...        more arguments for pip, such as the index of the CPU builds of PyTorch

PYTHON ?= python3
PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) \
           --constraint constraints.txt
PACKAGING := pyproject.toml setup.py constraints.txt

DEMO := demo-output/ct-abdomen

.PHONY: demo test lint demo-model clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo-ready
	@mkdir -p $(dir $(DEMO))
	$(BIN)/gdla segment Resources/samples/ct-abdomen-dicom -o $(DEMO).seg.nrrd \
	    --model demo-ct --reference Resources/samples/ct-abdomen-reference.nii.gz \
	    --overlay $(DEMO).png --force

test: $(VENV)/.test-ready
	$(BIN)/python -m pytest

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .

demo-model: $(VENV)/.test-ready
	$(BIN)/python recipes/demo-ct/fetch_data.py
	$(BIN)/gdla train recipes/demo-ct/train.yaml -o runs/demo-ct \
	    $(if $(wildcard runs/demo-ct/last.ckpt),--resume)
	$(BIN)/python recipes/demo-ct/publish.py runs/demo-ct/final.safetensors --drop Pancreas
	$(BIN)/python recipes/demo-ct/evaluate.py

clean:
	rm -rf $(VENV) demo-output build dist *.egg-info .pytest_cache .ruff_cache
	find GDLACore Testing docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "Python 3.10 to 3.13 is needed, and $(PYTHON) is not one:" \
	         "choose another with  make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments:" \
	         "on Debian and Ubuntu  apt-get install python3-venv"; exit 1; }
	@echo "==> Making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# timm's metadata asks for torchvision, which would bring another build of torch; the network uses
# nothing of it. So timm comes alone, after what it does use.
$(VENV)/.demo-ready: $(VENV)/pyvenv.cfg $(PACKAGING)
	@echo "==> Installing PyTorch (1 of 3)"
	$(INSTALL) torch safetensors pyyaml huggingface_hub
	@echo "==> Installing the PVTv2 encoder (2 of 3)"
	$(INSTALL) --no-deps timm
	@echo "==> Installing GDLACore and its command line (3 of 3)"
	$(INSTALL) --editable '.[cli]'
	@touch $@

$(VENV)/.test-ready: $(VENV)/.demo-ready
	@echo "==> Installing what training and the tests need"
	$(INSTALL) lightning monai --editable '.[cli,dev]'
	@touch $@

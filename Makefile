# make demo    segment a real CT with the demonstration model and show what came out
# make test    run the whole test suite
# make test-runtime   run the tests that need no PyTorch where there is none
# make lint    check the style
# make screenshots   use the module as a new user does and draw the pictures of docs/
# make bench-gpu   measure on an NVIDIA GPU, with PyTorch
# make demo-model   train the demonstration model anew (hours on a CPU)
# make demo-mr-head   train the demonstration for MR and check it on another head (Debian, Ubuntu)
# make clean   remove the environment and what demo, test and lint wrote
#
# Each command makes or refreshes the environment in .venv first; a second run finds it ready.
# PYTHON=python3.12   another interpreter (3.10 to 3.13)
# PIP_ARGS=...        more arguments for pip, such as the index of the CPU builds of PyTorch

PYTHON ?= python3
PIP_ARGS ?=

VENV := .venv
RUNTIME := .venv-runtime
SERVER := .venv-server
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --disable-pip-version-check $(PIP_ARGS) --constraint constraints.txt
INSTALL := $(BIN)/python $(PIP_INSTALL)
PACKAGING := pyproject.toml setup.py constraints.txt

# The tests' own Triton Inference Server, of which nothing but the server itself is used.
TRITON := "nvidia-pytriton; sys_platform == 'linux' and platform_machine == 'x86_64'"

DEMO := demo-output/ct-abdomen

.PHONY: demo test test-runtime lint screenshots bench-gpu demo-model demo-mr-head clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo-ready
	@mkdir -p $(dir $(DEMO))
	$(BIN)/gdla segment Resources/samples/ct-abdomen-dicom -o $(DEMO).seg.nrrd \
	    --model demo-ct --reference Resources/samples/ct-abdomen-reference.nii.gz \
	    --overlay $(DEMO).png --force

# Files in parallel; one thread each, for OpenMP's threads slow each other down beside other work.
test: $(VENV)/.test-ready $(SERVER)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-runtime: $(RUNTIME)/.ready
	$(RUNTIME)/bin/python -m pytest Testing/core

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .

screenshots: $(VENV)/.test-ready
	$(BIN)/python docs/make_screenshots.py

bench-gpu: $(VENV)/.test-ready
	$(BIN)/python Testing/bench/gpu.py --docs

demo-model: $(VENV)/.test-ready
	$(BIN)/python recipes/demo-ct/fetch_data.py
	$(BIN)/gdla train recipes/demo-ct/train.yaml -o runs/demo-ct \
	    $(if $(wildcard runs/demo-ct/last.ckpt),--resume)
	$(BIN)/python recipes/demo-ct/publish.py runs/demo-ct/final.safetensors --drop Pancreas
	$(BIN)/python recipes/demo-ct/evaluate.py

demo-mr-head: $(VENV)/.test-ready
	$(BIN)/python recipes/demo-mr-head/fetch_data.py
	$(BIN)/python recipes/demo-mr-head/vary_head.py
	$(BIN)/gdla train recipes/demo-mr-head/train.yaml -o runs/demo-mr-head \
	    $(if $(wildcard runs/demo-mr-head/last.ckpt),--resume)
	$(BIN)/python recipes/demo-mr-head/evaluate.py runs/demo-mr-head/final.safetensors

clean:
	rm -rf $(VENV) $(RUNTIME) $(SERVER) demo-output build dist *.egg-info .pytest_cache .ruff_cache
	find GDLACore Testing docs -name __pycache__ -type d -prune -exec rm -rf {} +

%/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "Python 3.10 to 3.13 is needed, and $(PYTHON) is not one:" \
	         "choose another with  make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments:" \
	         "on Debian and Ubuntu  apt-get install python3-venv"; exit 1; }
	@echo "==> Making the environment in $*"
	@$(PYTHON) -m venv $* || { rm -rf $*; exit 1; }

$(VENV)/.demo-ready: $(VENV)/pyvenv.cfg $(PACKAGING)
	@echo "==> Installing GDLACore with ONNX Runtime"
	$(INSTALL) --editable '.[cpu,cli]'
	@touch $@

# timm's metadata asks for torchvision, which would bring another build of torch; the network uses
# nothing of it. So timm comes alone, after what it does use.
$(VENV)/.test-ready: $(VENV)/.demo-ready
	@echo "==> Installing PyTorch, and what training and the tests need"
	$(INSTALL) torch safetensors pyyaml huggingface_hub
	$(INSTALL) --no-deps timm
	$(INSTALL) h5py lightning monai --editable '.[cpu,cli,dicom,ray,dev]'
	$(INSTALL) --no-deps $(TRITON)
	@touch $@

# What a model runs in within that server, whose Python backend gives numpy 2 wrong arrays. There is
# no such numpy for Python 3.13.
$(SERVER)/.ready: $(SERVER)/pyvenv.cfg $(PACKAGING)
	@echo "==> Installing what the tests' server runs models with"
	grep --invert-match --regexp=^numpy --regexp=^scipy constraints.txt > $(SERVER)/constraints.txt
	$(SERVER)/bin/python -m pip install --disable-pip-version-check $(PIP_ARGS) \
	    --constraint $(SERVER)/constraints.txt "numpy<2; python_version < '3.13'" scipy onnxruntime
	@touch $@

# What hospitals install: no PyTorch, no training, not even the niceties of the command line.
$(RUNTIME)/.ready: $(RUNTIME)/pyvenv.cfg $(PACKAGING)
	@echo "==> Installing GDLACore with ONNX Runtime, and pytest"
	$(RUNTIME)/bin/python $(PIP_INSTALL) pytest --editable '.[cpu]'
	@touch $@

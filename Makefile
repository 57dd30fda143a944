# `make lab` and `make test` need make, a Python 3.10 to 3.12 and nothing else (GNU make 3.81, as on macOS, is enough).

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help lab test play site-demo test-browser film fuzz kill soak disks checks sbom bench pretrain-all tune table pictures notebooks doctor format lock test-versions real-smoke clean FORCE

# ---- What can be set: make lab PADDLE=gpu CUDA=cu126

# auto takes Paddle's GPU wheel where nvidia-smi works; cpu and gpu force one.
PADDLE ?= auto
# The GPU wheel's CUDA: cu118 or cu126.
CUDA ?= cu118
# The first of these that is a Python 3.10 to 3.12 with its venv module makes .venv.
PYTHON ?= python3.12 python3.11 python3.10 python3
LAB_FLAGS ?=
# How many processes run the tests, and the threads of each: together no more than the cores.
JOBS ?= 2
THREADS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > $(JOBS) ? cores / $(JOBS) : 1)))
# The notebooks that `make notebooks` runs.
NB ?= $(sort $(wildcard notebooks/*.ipynb))
VERSIONS ?= 2.6.2 3.2.2 3.3.1

# ---- Set-up: .venv is always made whole, from the locks

ifeq ($(PADDLE),auto)
  # Paddle has no GPU wheels for other systems.
  WHEEL := $(shell [ "$$(uname -sm)" = "Linux x86_64" ] && nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
else ifneq ($(filter $(PADDLE),cpu gpu),)
  WHEEL := $(PADDLE)
else
  $(error PADDLE is '$(PADDLE)'; it must be auto, cpu or gpu)
endif

PY := .venv/bin/python
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# This wheel comes by version, without a hash, with the CUDA libraries that it names, and from Paddle's index only.
GPU_WHEEL = paddlepaddle-gpu==$(shell sed -n 's/^paddlepaddle==//p' paddle-cpu.txt) \
	-i https://www.paddlepaddle.org.cn/packages/stable/$(CUDA)/

# The stamp is written last, so a set-up that was interrupted is done again. It holds the folder, because a .venv that
# was moved is broken, and its name tells the wheel, because .venv can hold only one.
STAMP := .venv/.ready-$(if $(filter gpu,$(WHEEL)),$(CUDA),cpu)
READY := $(shell [ "$$(cat $(STAMP) 2>/dev/null)" = '$(CURDIR)' ] && $(PY) -c '' 2>/dev/null && echo yes)

# Sets $$python. Each candidate is run, since one that is on PATH need not work (pyenv's shims).
define FIND_PYTHON
python=; for candidate in $(PYTHON); do \
	if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; \
	then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo "No Python 3.10, 3.11 or 3.12 with its venv module found (tried: $(PYTHON))." >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12), name one" >&2; \
	echo "(make lab PYTHON=/path/to/python3.12), or use conda (conda env create -f environment-cpu.yml)." >&2; \
	exit 1; \
fi
endef

$(STAMP): requirements.lock paddle-cpu.lock $(if $(READY),,FORCE)
	@$(FIND_PYTHON); \
	echo "Setting up .venv with $$("$$python" -V) and Paddle for the $(WHEEL); this takes a few minutes, once."; \
	rm -rf .venv && "$$python" -m venv .venv
	@$(PY) $(PIP_INSTALL) --require-hashes -r requirements.lock
ifeq ($(WHEEL),gpu)
	@$(PY) $(PIP_INSTALL) $(GPU_WHEEL)
else
	@$(PY) $(PIP_INSTALL) --require-hashes --no-deps -r paddle-cpu.lock
endif
	@# Built by the setuptools just installed: nothing is downloaded.
	@$(PY) $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@$(PY) -m pip check
	@echo '$(CURDIR)' >$@

FORCE:

# ---- The two commands

lab: $(STAMP) ## set up, then open JupyterLab on the first notebook (LAB_FLAGS=--no-browser on a server)
	@# Naming the notebook itself would hide the rest of the project. A container's root has to insist.
	$(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb \
		$$([ "$$(id -u)" != 0 ] || echo --allow-root) $(LAB_FLAGS)

# loadscope keeps the cells of a notebook in one process and in order. The examples of the docstrings run, too.
PYTEST = OMP_NUM_THREADS=$(THREADS) INADE_LITE_FAST=1 $(1) -m pytest tests inade_lite experiments benchmarks reliability tools \
	$(sort $(wildcard notebooks/*.ipynb)) --doctest-modules --nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
	-n $(JOBS) --dist loadscope

test: $(STAMP) ## set up, then check the style and run the tests, the examples and, shortened, the notebooks
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(call PYTEST,$(PY))

# ---- The explorer: a page that needs no Python

NODE_MODULES := tests/browser/node_modules/.package-lock.json
SITE_DEMO = build/site-demo
PORT ?= 8000

# ONNX Runtime for the browser and what tests the page, by version from the npm registry.
$(NODE_MODULES): tests/browser/package-lock.json
	@command -v npm >/dev/null || { echo "The explorer's page needs Node.js 20 or newer and npm; install them first." >&2; exit 1; }
	npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund
	@touch $@

site-demo: $(STAMP) $(NODE_MODULES) ## build the explorer's page in build/site-demo/ (needs Node.js)
	$(PY) -m inade_lite.explorer.page --out $(SITE_DEMO)

play: $(STAMP) $(NODE_MODULES) ## build the explorer's page, serve it and open it in a browser (PORT=8000)
	$(PY) -m inade_lite.explorer.page --out $(SITE_DEMO) --serve $(PORT)

test-browser: site-demo ## lint and test the explorer, as a page and in JupyterLab, in headless Chromium (CHROMIUM=/usr/bin/chromium)
	npm run --prefix tests/browser lint
	npm run --prefix tests/browser types
	npm run --prefix tests/browser unit
	npm run --prefix tests/browser page
	PYTHON="$(abspath $(PY))" npm run --prefix tests/browser lab

film: site-demo ## film the explorer's page anew: docs/play.gif, docs/explorer.png
	node tests/browser/film.js build/film
	$(PY) tools/film.py build/film docs/play.gif
	cp build/film/explorer.png docs/explorer.png

# ---- What must hold when files, disks and processes fail: each writes its record and docs/reliability.md

RELIABILITY = $(PY) -m reliability

# Without Atheris the guided part of the fuzzing is left out.
.venvs/atheris/.ready: tools/own.txt | $(STAMP)
	-$(PY) $(PIP_INSTALL) --target $(@D) "$$(sed -n 's/ *#.*//; /^atheris/p' $<)"
	@mkdir -p $(@D) && touch $@

fuzz: $(STAMP) $(NODE_MODULES) .venvs/atheris/.ready ## read more than 100,000 damaged and hostile files (15 minutes; needs Node.js)
	OMP_NUM_THREADS=1 PYTHONPATH=.venvs/atheris $(RELIABILITY).fuzz
	$(RELIABILITY).report

kill: $(STAMP) ## kill trainings 200 times, half of them while a checkpoint is written (15 minutes)
	$(RELIABILITY).kill
	$(RELIABILITY).report

soak: $(STAMP) ## train, save, resume and sample for 20 minutes in one process, and tell how it grows
	OMP_NUM_THREADS=1 $(RELIABILITY).soak
	$(RELIABILITY).report

disks: $(STAMP) ## run every command on full and read-only disks (2 minutes; Linux)
	OMP_NUM_THREADS=1 unshare -rm $(RELIABILITY).disks
	$(RELIABILITY).report

checks: $(STAMP) ## measure what the checks of shapes cost, as a share of a training step (half a minute)
	$(RELIABILITY).checks
	$(RELIABILITY).report

.venvs/sbom/.ready: tools/own.txt | $(STAMP)
	@rm -rf $(@D) && $(PY) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) "$$(sed -n '/^cyclonedx/p' $<)"
	@touch $@

sbom: $(STAMP) .venvs/sbom/.ready ## list what is locked, with licenses, as CycloneDX in build/sbom.json; check that they fit
	.venvs/sbom/bin/python tools/sbom.py "$$($(PY) -c 'import site; print(site.getsitepackages()[0])')" build/sbom.json

# ---- For those who change something

notebooks: $(STAMP) ## run the notebooks in full and store their outputs (one: NB=notebooks/00_tour.ipynb)
	@for notebook in $(NB); do \
		$(PY) -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=-1 \
			--ExecutePreprocessor.store_widget_state=False --ExecutePreprocessor.record_timing=False "$$notebook" \
		&& $(PY) tools/tidy_notebooks.py "$$notebook" || exit 1; \
	done

# A run whose record is there is done; one that was interrupted goes on from its checkpoint in runs/pretrain/.
RUNS = $(shell $(PY) -m experiments.runs)
TRIES = $(shell $(PY) -m experiments.tries)

pretrain-all: $(STAMP) ## train and measure INADE, its rivals and ablations (hours, resumable); one: RUNS=inade_0
	@$(MAKE) -k -j $(JOBS) $(RUNS:%=data/results/%.json)

tune: $(STAMP) ## the short runs that tune INADE and each rival (two hours, resumable)
	@$(MAKE) -k -j $(JOBS) $(TRIES:%=data/results/tries/%.json)

data/results/%.json:
	OMP_NUM_THREADS=$(THREADS) $(PY) -m experiments.runs $(*F)

table: $(STAMP) ## measure the shipped models again and assemble the table of all recorded runs
	@for run in $$($(PY) -m experiments.runs --shipped); do $(PY) -m experiments.runs --measure $$run || exit 1; done
	$(PY) -m experiments.table

pictures: $(STAMP) ## draw the pictures of README and docs/
	$(PY) -m experiments.pictures

bench: $(STAMP) ## time the layers against their textbook forms (3 minutes; on a quiet machine); writes benchmarks/
	$(PY) -m benchmarks.bench

doctor: $(STAMP) ## tell what is installed, on what it runs, and what is wrong
	@$(PY) -m inade_lite doctor

format: $(STAMP) ## format the code and the notebooks' cells, sort the imports
	$(PY) -m ruff check --select I --fix .
	$(PY) -m ruff format .

test-versions: $(VERSIONS:%=.venvs/paddle-%/.ready) ## run the tests with each Paddle of VERSIONS, in .venvs/
	@failed=; for version in $(VERSIONS); do \
		log=.venvs/paddle-$$version/tests.log; \
		$(call PYTEST,.venvs/paddle-$$version/bin/python) >$$log 2>&1 || { failed=1; tail -n 60 $$log; }; \
		echo "Paddle $$version: $$(tail -n 1 $$log)"; \
	done; [ -z "$$failed" ]

# Paddle 2.6 is built for numpy 1, which contourpy 1.4 no longer takes. What differs from the lock is not hashed: these
# are throw-away.
.venvs/paddle-%/.ready: requirements.lock
	@$(FIND_PYTHON); echo "Setting up .venvs/paddle-$*"; rm -rf $(@D) && "$$python" -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(@D)/bin/python $(PIP_INSTALL) paddlepaddle==$* $(if $(filter 2.%,$*),'numpy<2' 'contourpy<1.4')
	@$(@D)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

SMOKE = runs/real_smoke
COCO = --set coco_stuff --data "$(INADE_LITE_COCO)"

real-smoke: $(STAMP) ## train on real photos: make real-smoke INADE_LITE_COCO=<folder in the layout of CocoStuff>
	@[ -n "$(INADE_LITE_COCO)" ] || { echo "name the photos: make real-smoke INADE_LITE_COCO=<folder>" >&2; exit 1; }
	$(PY) -m inade_lite report $(COCO) --size 128 --out $(SMOKE)
	$(PY) -m inade_lite train $(COCO) --size 72 --crop 64 --flip --workers 1 --steps 300 --out $(SMOKE)
	$(PY) -m inade_lite sample $(COCO) --model $(SMOKE)/model.safetensors --out $(SMOKE)/val_samples.png

# One resolution for all systems and Pythons. Paddle's own needs are in requirements.lock, Paddle is not.
UV_COMPILE = .venvs/lock/bin/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock'

lock: ## lock anew after a change of requirements.txt or paddle-cpu.txt (LOCK_FLAGS=--upgrade: the indirect ones too)
	@[ -x .venvs/lock/bin/uv ] || \
		{ $(FIND_PYTHON); "$$python" -m venv .venvs/lock && .venvs/lock/bin/python $(PIP_INSTALL) uv; }
	$(UV_COMPILE) $(LOCK_FLAGS) --no-emit-package paddlepaddle requirements.txt paddle-cpu.txt -o requirements.lock
	$(UV_COMPILE) $(LOCK_FLAGS) --no-deps paddle-cpu.txt -o paddle-cpu.lock
	@! grep -n '://' requirements.lock paddle-cpu.lock

clean: ## remove .venv, .venvs, runs/ (your training runs) and the caches
	rm -rf .venv .venvs runs build .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name .ipynb_checkpoints -prune -exec rm -rf {} +

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 22

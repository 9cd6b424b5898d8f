# Two commands need nothing set up before: `make demo` and `make test`. Both make .venv and are quick once it is there.
#   make demo                          edits a clip of our own world and lays source and result on one contact sheet
#   make demo CLIP=path PROMPT="..."   the same with your clip and your words
#   make test                          the default tests
#   make test CI=true                  the same, with every signature's shapes and types checked, as CI does
#   make browser-tests                 the page in Debian's chromium (apt-get install chromium fonts-dejavu-core)
#   make check                         format, lint, types, layers, fast tests: what a commit owes
#   make hook                          runs `make check` before every commit
#   make wheel                         builds the wheel and tries it
#   make docs                          builds the documents as a site: build/site/site/index.html
#   make newest                        tries the newest releases that pyproject.toml allows: import, demo, fast tests
#   make constraints                   pins every package anew, from an empty environment
#   make clean                         removes .venv and all that was made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0

CLIP ?=
PROMPT ?= a snowy field in winter
DEMO := demo
DEMO_CLIP := $(if $(CLIP),$(CLIP),$(DEMO)/source.mp4)
DEMO_RESULT := $(DEMO)/edited.mp4
DEMO_SHEET := $(DEMO)/sheet.png
# Eight frames are one pass of the model: half a minute on two slow cores.
DEMO_FRAMES := $(if $(CLIP),16,8)

# The commands that the demo and the tests consist of.
RENDER := $(BIN)/recast world --seed 7 --environment "grass meadow" --time day --weather sun --look plain --subject dog --colour brown \
  --frames $(DEMO_FRAMES) --size 512x288 -o $(DEMO)/source.mp4 -q
EDIT := $(BIN)/recast edit "$$DEMO_CLIP" -p "$$PROMPT" -o $(DEMO_RESULT) --max-frames $(DEMO_FRAMES) -y
SHEET := $(BIN)/recast compare "$$DEMO_CLIP" $(DEMO_RESULT) --label source --label "$$PROMPT" \
  --max-frames $(DEMO_FRAMES) -o $(DEMO_SHEET) -y -q
PYTEST := $(BIN)/pytest -q
TESTS := -n 2 --dist worksteal
# `1` passes for a float, as PEP 484 has it.
SHAPES := --jaxtyping-packages="recast,beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
FAST_TESTS := -n 2 tests/unit tests/laws/test_style.py tests/laws/test_packages.py tests/laws/test_documents.py

# Two processes of one thread each fill two cores; more threads would only wait for each other.
test fast-tests browser-tests: export OMP_NUM_THREADS := 1
# Models come from folders, never from a hub, so no library should look for one.
export HF_HUB_OFFLINE := 1
export DEMO_CLIP PROMPT

# PIP_CONSTRAINT rather than -c, so that the packages that build ours are pinned too.
INSTALL := PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -qq --disable-pip-version-check --progress-bar off

.PHONY: help demo test browser-tests check lint fast-tests hook constraints wheel docs newest newest-demo clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo-stamp
	@mkdir -p $(DEMO)
	$(if $(CLIP),,@test -f $(DEMO)/source.mp4 || $(RENDER))
	@$(EDIT)
	@$(SHEET)
	@echo
	@echo "source         $$DEMO_CLIP"
	@echo "result         $(DEMO_RESULT)"
	@echo "contact sheet  $(DEMO_SHEET)"

test: $(VENV)/.test-stamp
	@$(PYTEST) $(TESTS) $(if $(CI),$(SHAPES))

# One process: the tests share a server, a worker and a browser.
browser-tests: $(VENV)/.test-stamp
	@$(PYTEST) -m browser tests/browser

check: lint fast-tests

lint: $(VENV)/.test-stamp
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyrefly check --output-format min-text --summary=none
	@layers="$$($(BIN)/lint-imports --no-logo 2>&1)" || { echo "$$layers"; exit 1; }
	@echo "format, lint, types and layers are in order"

fast-tests: $(VENV)/.test-stamp
	@$(PYTEST) $(FAST_TESTS)

hook:
	@hook="$$(git rev-parse --git-path hooks/pre-commit)" \
	  && printf '#!/bin/sh\nexec make --no-print-directory check\n' > "$$hook" && chmod +x "$$hook" && echo "wrote $$hook"

# Installs the wheel without its dependencies beside those of .venv, and asks it for what only a complete wheel has.
wheel: $(VENV)/.demo-stamp
	@rm -rf dist/wheel && mkdir -p dist/wheel
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip wheel -qq --no-deps -w dist .
	@$(INSTALL) --no-deps --target dist/wheel dist/recast_video-*.whl
	@cd dist/wheel && PYTHONPATH=. ../../$(BIN)/python -c "import recast, pathlib; \
	  assert pathlib.Path(recast.__file__).is_relative_to(pathlib.Path.cwd()), recast.__file__; recast.load('pocket')"
	@diff -r --exclude __pycache__ src/recast/app/page dist/wheel/recast/app/page
	@echo "dist/$$(cd dist && ls recast_video-*.whl) installs, loads its model and has the page"

# Pages of methods, families and public names are made of the code; nothing is fetched while it builds.
docs: $(VENV)/.docs-stamp
	@$(BIN)/python docs/make_pages.py build/site
	@cd build/site && ../../$(BIN)/zensical build --strict -f mkdocs.yml
	@echo "build/site/site/index.html"

# Before a release. Only torchvision is kept out, as everywhere, by a constraint: asked for, it would be installed.
# .venv stays as it is.
NEWEST := $(VENV)-newest
newest: export OMP_NUM_THREADS := 1
newest:
	@rm -rf $(NEWEST) && $(PYTHON) -m venv $(NEWEST)
	@echo 'torchvision<0' > $(NEWEST)/constraints.txt
	@$(NEWEST)/bin/python -m pip install -qq --disable-pip-version-check --upgrade --upgrade-strategy eager \
	  -c $(NEWEST)/constraints.txt torch -e '.[app,train,curate,provenance,test,lint]'
	@$(NEWEST)/bin/python -c "import recast; print('imports', recast.__version__); recast.load('pocket')"
	@$(MAKE) --no-print-directory BIN=$(NEWEST)/bin DEMO=$(NEWEST)/demo newest-demo
	@$(NEWEST)/bin/pytest -q $(FAST_TESTS)
	@$(NEWEST)/bin/python -m pip list --format freeze --exclude-editable | diff -u constraints.txt - | grep '^[+-][a-zA-Z]' || true

newest-demo:
	@mkdir -p $(DEMO)
	@$(RENDER)
	@$(EDIT)
	@$(SHEET)

constraints:
	@rm -rf $(VENV)-constraints && $(PYTHON) -m venv $(VENV)-constraints
	@$(VENV)-constraints/bin/python -m pip install -qq $(TORCH) hatchling editables -e '.[app,train,curate,provenance,ray,docs,test,lint]'
	@{ echo "# Every package that the demo, the tests and the build were tried with. Made by: make constraints"; \
	   echo "# torchvision is kept out: nothing here may need it (docs/decisions)."; \
	   echo "torchvision<0"; \
	   $(VENV)-constraints/bin/python -m pip freeze --exclude-editable 2>/dev/null | sed 's/+cpu$$//'; } > constraints.txt
	@rm -rf $(VENV)-constraints

clean:
	rm -rf $(VENV) $(VENV)-newest $(DEMO) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Set-up. A stamp is newer than the files that it was made from, so a second call does nothing.
$(VENV)/.venv-stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "recast needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV); this takes a minute or two, once."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo-stamp: $(VENV)/.venv-stamp pyproject.toml constraints.txt
	@$(INSTALL) $(TORCH) -e .
	@touch $@

$(VENV)/.test-stamp: $(VENV)/.venv-stamp pyproject.toml constraints.txt
	@$(INSTALL) $(TORCH) -e '.[app,train,curate,provenance,ray,test,lint]'
	@touch $@ $(VENV)/.demo-stamp

$(VENV)/.docs-stamp: $(VENV)/.demo-stamp
	@$(INSTALL) -e '.[docs]'
	@touch $@

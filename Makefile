PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.dev_installed
BENCH_INSTALLED := $(VENV)/.bench_installed
DEMO := results/demo
PLAN = fresh

# pip does not compile modules here; Python does, and keeps what it needs
unexport PYTHONDONTWRITEBYTECODE

FIGURES = results/figures

.PHONY: demo test weekly figures study evidence bench bench-gpu site pictures clean

# Train and evaluate on generated data, then show what is found in clips, beside
# what is true.
demo: $(INSTALLED)
	$(VENV)/bin/python recipes/Demo/demo_prepare.py $(DEMO)/prepared
	$(VENV)/bin/python recipes/AudioSet/train_strong.py hparams/demo.yaml \
		--output_folder $(DEMO)
	@$(VENV)/bin/python tools/show_demo.py $(DEMO)

# One process per core, at most four; the tests of a file stay in one process.
# No variable sets threads, since no user's shell does, see tests/conftest.py.
test: $(DEV_INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -m "not slow and not gpu" \
		-n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What CI runs once a week: mutants, and slow tests, such as kills of calibrate
weekly: $(DEV_INSTALLED)
	$(VENV)/bin/python tools/mutants.py
	$(VENV)/bin/python -m pytest -m "slow and not gpu" \
		tests/unit tests/integration/test_kills.py

# Compare the figures that a release names with the stored ones, after `make demo`,
# half an hour of two cores: make figures DATA=FOLDER DIGITS=FOLDER KITCHEN=FOLDER
figures: $(INSTALLED)
	$(VENV)/bin/python studies/figures.py "$(DATA)" "$(DIGITS)" "$(KITCHEN)" \
		$(FIGURES)

# Train what the study's main plan declares and is not stored yet, hours on two
# cores, then rewrite what it shows: make study DATA=FOLDER [PLAN=name].
study: $(BENCH_INSTALLED)
	$(VENV)/bin/python studies/run.py "$(DATA)" --plan $(PLAN)
	$(MAKE) evidence

# Rewrite docs/evidence.md, README's table, the study's pages and the picture, from
# stored predictions; about four minutes of one core.
evidence: $(BENCH_INSTALLED)
	$(VENV)/bin/python studies/report.py

# Measure the speed on a CPU with two threads (on an idle machine), and write the
# tables of docs/performance.md.
bench: $(BENCH_INSTALLED)
	$(VENV)/bin/python benchmarks/tagging.py
	$(VENV)/bin/python benchmarks/processes.py
	$(VENV)/bin/python benchmarks/application.py
	$(VENV)/bin/python benchmarks/training.py
	$(VENV)/bin/python benchmarks/recipe_speed.py
	$(VENV)/bin/python benchmarks/performance_table.py

# Verify and measure on a CUDA GPU within ten minutes, with the Python at hand;
# benchmarks/gpu.sh can take along what a machine without network lacks.
bench-gpu:
	PYTHON=$(PYTHON) benchmarks/gpu.sh run none results/gpu
	cp results/gpu/*.json benchmarks/results
	$(PYTHON) benchmarks/performance_table.py

# Build the site of README.md and docs/ into the folder site: open
# site/index.html, or run .venv/bin/mkdocs serve.
site: $(DEV_INSTALLED)
	$(VENV)/bin/mkdocs build --strict

# Take the screenshots in docs/ after `make demo`, with Chromium and `npm install`.
pictures: $(DEV_INSTALLED)
	$(VENV)/bin/python docs/shoot_page.py $(DEMO) $(DEMO)/clip.wav docs

$(VENV):
	$(PYTHON) -m venv $@

$(INSTALLED): EXTRAS = train,demo
$(DEV_INSTALLED): EXTRAS = train,dev
$(BENCH_INSTALLED): EXTRAS = train,dev,bench
$(INSTALLED) $(DEV_INSTALLED) $(BENCH_INSTALLED): setup.cfg pyproject.toml \
		constraints.txt | $(VENV)
	@echo "Installing into $(VENV): 5.2 GB with PyTorch's builds for GPUs. For"
	@echo "the CPU builds, of 1 GB, first install torch and torchaudio there as on"
	@echo "https://pytorch.org/get-started/locally"
	$(VENV)/bin/pip install -q --no-compile -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@

clean:
	rm -rf $(VENV) results site

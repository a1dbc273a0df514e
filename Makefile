PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.dev_installed
BENCH_INSTALLED := $(VENV)/.bench_installed
DEMO := results/demo
MODEL = $(DEMO)/inference
PLAN = speech_commands

.PHONY: demo test study evidence bench bench-gpu docs clean

# Train and evaluate on generated data, then tag an evaluation clip: what is in
# it, when, and what is true.
demo: $(INSTALLED)
	$(VENV)/bin/python recipes/AudioSet/train.py hparams/demo.yaml \
		--output_folder $(DEMO)
	@clip=$$(sed -n '2s/,.*//p' $(DEMO)/prepared/eval.csv).flac; \
	for what in "" "--timeline"; do \
		$(VENV)/bin/fftp-tag --model $(DEMO)/inference $$what \
			"$(DEMO)/prepared/flac/$$clip" || exit 1; \
	done; \
	echo "True events:"; grep -F -- "$$clip" $(DEMO)/prepared/events.tsv

# One process per core, at most four; the tests of a file stay in one process.
test: export OMP_NUM_THREADS = 1
test: $(DEV_INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -m "not slow and not gpu" \
		-n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Train what the study's main plan declares and is not stored yet, hours on two
# cores, then rewrite what it shows: make study DATA=FOLDER [PLAN=name].
study: $(BENCH_INSTALLED)
	$(VENV)/bin/python benchmarks/study/run.py "$(DATA)" --plan $(PLAN)
	$(MAKE) evidence

# Rewrite docs/evidence.md, README's table, and the study's tables and plots, from
# stored predictions.
evidence: $(BENCH_INSTALLED)
	$(VENV)/bin/python benchmarks/study/report.py

# Measure the speed on a CPU with two threads (on an idle machine), then rewrite
# benchmarks/results and the table made from it.
bench: $(BENCH_INSTALLED)
	$(VENV)/bin/python benchmarks/published.py
	$(VENV)/bin/python benchmarks/end_to_end.py
	$(VENV)/bin/python benchmarks/startup.py
	$(VENV)/bin/python benchmarks/mamba.py
	$(VENV)/bin/python benchmarks/threads.py
	$(VENV)/bin/python benchmarks/training_step.py
	$(VENV)/bin/python benchmarks/front_end.py
	$(VENV)/bin/python benchmarks/augmentation.py
	$(VENV)/bin/python benchmarks/find.py
	$(VENV)/bin/python benchmarks/learn.py
	$(VENV)/bin/python benchmarks/performance_table.py

# Verify and measure on a CUDA GPU within ten minutes, with the Python at hand,
# which needs no network; benchmarks/gpu.sh takes along what it lacks.
bench-gpu:
	$(PYTHON) benchmarks/gpu.py --out benchmarks/results
	$(PYTHON) benchmarks/performance_table.py

# Draw the pictures in docs/: make docs CLIP=clip.flac [MODEL=folder]. MODEL is
# the demo's by default. The screenshots of the page need Chromium and `npm
# install`.
docs: $(DEV_INSTALLED)
	$(VENV)/bin/python docs/plot_specmask.py "$(CLIP)" docs/specmask.png
	$(VENV)/bin/python docs/plot_tags.py "$(MODEL)" docs/tags.png "$(CLIP)"
	$(VENV)/bin/python docs/shoot_page.py "$(MODEL)" docs

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --no-compile -c constraints.txt -e .
	touch $@

$(DEV_INSTALLED): $(INSTALLED)
	$(VENV)/bin/pip install -q --no-compile -c constraints.txt -e ".[dev]"
	touch $@

$(BENCH_INSTALLED): $(DEV_INSTALLED)
	$(VENV)/bin/pip install -q --no-compile -c constraints.txt -e ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) results

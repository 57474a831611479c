# make demo [INPUT=product.zip]   the whole pipeline, on a synthetic burst, an EGMS product, a MintPy series or rasters
# make demo-train [INPUT=product.zip]   the same, then trains a small network and forecasts with it (installs torch)
# make test [AT_ONCE=2]           lint, types, import contracts, tests in so many processes
# make bench [TOPICS="kernels"] [JSON=file] [QUICK=1]   timings against the rivals and the machine's limits
# make clusters                   SLURM on this machine, TLS between network namespaces (root; apt: slurm-wlm munge)
# make watch-run [PICTURES=folder]   the real bursts over TLS, a worker killed, watched in a browser (root; INSAR_DASK_DATA)
# make image-test                 builds the container image and runs the demo in it (root; apt: buildah debootstrap)
# make chaos [NAMES="segfault"] [ANEW=1]   kills workers, drivers and schedulers, and prints what was lost; goes on where it was
# make fuzz [MINUTES=10] [SEED=1] [DOORS="table archive"]   wrong inputs by the thousand; what is a fault is kept in tests/fuzz/corpus
# make audit                      asks PyPI which of the pinned versions have known vulnerabilities (pip-audit, in an environment of its own)
# make viewer                     builds the page of `insar-dask explore` anew (node and npm; what it builds is committed)
# make clean                      remove what these made

PYTHON ?= python3
CONSTRAINTS := $(shell $(PYTHON) -c 'import sys; print("constraints-%d.%d.txt" % sys.version_info[:2])')
PIN := $(if $(wildcard $(CONSTRAINTS)),-c $(CONSTRAINTS),)
BIN := .venv/bin
INPUT ?=
AT_ONCE ?= 2
MINUTES ?= 10
PICTURES ?=

.PHONY: demo demo-train test bench clusters watch-run image-test chaos fuzz audit viewer clean

demo: .venv/demo
	$(BIN)/insar-dask demo $(INPUT)

demo-train: .venv/train
	$(BIN)/insar-dask demo $(INPUT)
	$(BIN)/insar-dask train demo-output/cube.zarr --method spacetimeformer --steps 150 --model demo-output/spacetimeformer
	$(BIN)/insar-dask forecast demo-output/cube.zarr --model demo-output/spacetimeformer

test: .venv/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest --numprocesses $(AT_ONCE) --dist loadfile --no-loadscope-reorder

bench: .venv/bench
	$(BIN)/python tests/benchmarks/run.py $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON)) $(TOPICS)

clusters: .venv/test
	INSAR_DASK_CLUSTERS=1 $(BIN)/python -m pytest tests/clusters --ignore tests/clusters/test_image.py

watch-run: .venv/test
	INSAR_DASK_CLUSTERS=1 PICTURES=$(PICTURES) $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/clusters/test_watched_run.py

image-test: .venv/test
	INSAR_DASK_CLUSTERS=1 $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/clusters/test_image.py

chaos: .venv/test
	$(BIN)/python -m tests.chaos.run $(if $(ANEW),--anew) $(NAMES)

fuzz: .venv/test
	$(BIN)/python -m tests.fuzz.run --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(DOORS)

audit: .venv/audit/bin/pip-audit
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(CONSTRAINTS)

.venv/audit/bin/pip-audit:
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet pip-audit

viewer:
	cd insar_dask/viewer/web && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

.venv/demo: pyproject.toml $(CONSTRAINTS)
	$(call install,geo)

.venv/train: pyproject.toml $(CONSTRAINTS)
	$(call install,geo$(comma)train)

.venv/test: pyproject.toml $(CONSTRAINTS)
	$(call install,geo$(comma)test)

.venv/bench: pyproject.toml $(CONSTRAINTS)
	$(call install,geo$(comma)bench)

comma := ,
define install
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (log: .venv/install.log)"
	$(BIN)/python -m pip install $(PIN) -e ".[$(1)]" > .venv/install.log 2>&1 || { tail -20 .venv/install.log; exit 1; }
	touch $@
endef

clean:
	rm -rf .venv demo-output build *.egg-info

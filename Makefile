# make demo    a private Slurm on this machine with four simulated nodes; shows what Preflight does to jobs
#              SERVE=1: and then the dashboard, until Ctrl-C, with lines to submit jobs by hand
# make test    everything that is checked, cheap things first
# make lint    style, types, import order
# make unit    the tests that need no Slurm; make coverage: with a table of the lines that they never run (twice as long)
# make lab     the lab's tests on this machine's Slurm
# make test-matrix   the lab's tests on this machine's Slurm and, in chroots, on 24.11 and 26.05
# make test-agent    the lab's tests with a node agent on every node, on the releases that RELEASES names (all three)
# make lab-breaker   a policy that is wrong for all of 40 nodes of a real Slurm (this machine's; PREFLIGHT_LAB_RELEASE=24.11)
# make bench   what the hooks cost; NHC=/path/to/checkout: beside LBNL's Node Health Check
# make campaign   faults injected into the hooks, one table: N= SEED= ONLY=family MINUTES= JOBS= OUT= FRESH=1 AGAIN=1
# make agent-campaign   prologs and epilogs of a node whose agent is killed, stopped, starved: N=10000 SEED= OUT=FILE (goes on where it ended)
# make fuzz     malformed inputs to everything that reads what others wrote: make fuzz N=1000000 TARGET=hostlist
# make test-cuda   the reader of GPU code against NVIDIA's cuobjdump, on what its compilers make (from PyPI, 700 MB, once)
# make fleet-demo    a month of 2,000 simulated nodes in a fleet store, and the answers on it; SERVE=1: the dashboard, too
# make onefile   dist/preflight.pyz, which runs and installs without network; make packages: a .deb and an .rpm of it
# make test-packages   the packages in fresh systems: install, upgrade under running prologs, remove
# make docs    the pages of docs/ as a site, in build/site
# make clean   remove what the others made
# demo, test, lab, test-matrix, test-agent and bench start a private Slurm on loopback: they need root. scripts/setup installs
# what is missing.

PY = .venv/bin/python

.NOTPARALLEL:
.PHONY: demo test test-agent test-matrix test-cuda lint unit lab lab-breaker bench campaign agent-campaign fuzz format clean \
	fleet-demo coverage packages onefile test-packages docs

export SERVE

demo:
	@scripts/setup $(if $(SERVE),serve,demo)
	@cd tests && exec ../$(PY) -m lab.demo

test:
	@scripts/setup test
	@$(MAKE) --no-print-directory lint unit lab

lint:
	@scripts/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	@# Nodes have the Python of their distribution: 3.9 on RHEL 9. compression.zstd and tomllib have their counterparts there.
	@.venv/bin/vermin -q -t=3.9- --violations --eval-annotations --no-tips --exclude compression --exclude compression.zstd \
		--exclude tomllib src prolog slurm_plugin setup.py
	@# str.isdigit is true of what int refuses: digits.is_whole asks, or ASCII is asked on the same line.
	@! grep -rnE '\.(isdigit|isdecimal|isnumeric)\(\)' src/preflight --include='*.py' | grep -vE 'isascii\(\)|/digits.py:' \
		|| { echo 'lint: these take "²" for a number: use preflight.digits.is_whole'; exit 1; }

unit:
	@scripts/setup test
	@scripts/test-unit

coverage:
	@scripts/setup test
	@scripts/test-unit tests/unit tests/nvml tests/fleet --cov --cov-report=term

lab:
	@scripts/setup test
	@scripts/test-labs

fleet-demo:
	@scripts/setup $(if $(SERVE),serve,test)
	@cd tests && exec ../$(PY) -m fleet.demo

test-matrix:
	@scripts/setup matrix
	@scripts/test-matrix

test-cuda:
	@scripts/setup test
	@PREFLIGHT_TEST_CUDA=1 nice -n 10 $(PY) -m pytest -q tests/cuda

lab-breaker:
	@scripts/setup test
	@cd tests && exec ../$(PY) -m lab.breaker

RELEASES = host 24.11 26.05
test-agent:
	@scripts/setup matrix
	@PREFLIGHT_LAB_AGENT=1 PREFLIGHT_LAB_RELEASES="$(RELEASES)" scripts/test-matrix

packages:
	@scripts/packages

onefile:
	@scripts/onefile

test-packages:
	@scripts/setup test
	$(PY) -m pytest tests/packages

docs:
	@/usr/bin/python3 -m venv build/docs
	@build/docs/bin/pip install -q --disable-pip-version-check 'mkdocs>=1.6,<2'
	@build/docs/bin/mkdocs build --strict -q

bench:
	@scripts/setup test
	$(PY) -m bench --write --nhc "$(NHC)"
	$(PY) -m bench.patterns

campaign:
	@scripts/setup test
	@cd tests && OUT="$(abspath $(or $(OUT),campaign-table))" exec ../$(PY) -m campaign

agent-campaign:
	@scripts/setup test
	@cd tests && OUT="$(abspath $(or $(OUT),agent-campaign.jsonl))" SEED="$(SEED)" exec nice -n 5 ../$(PY) -m campaign.agent

fuzz: N = 20000
fuzz:
	@scripts/setup test
	@$(PY) -c 'import atheris' 2>/dev/null || .venv/bin/pip install -q '.[fuzz]' || echo 'fuzz: no atheris for this Python: not guided by coverage'
	@cd tests && exec nice -n 10 ../$(PY) -m fuzz $(TARGET) -n $(N)

format:
	@scripts/setup test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv build dist demo-reports htmlcov fuzz-findings .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	rm -rf src/*.egg-info
	$(MAKE) -s -C slurm_plugin clean
	$(MAKE) -s -C client clean
	$(MAKE) -s -C tests/nvml clean

# The two commands a new machine needs are `make demo` and `make test`. Everything below calls scripts/libtorch.sh first,
# which downloads once per user and afterwards returns at once.

CARGO ?= cargo
LAB = $(or $(CARGO_TARGET_DIR),target)/release/instdisc-lab

.PHONY: demo build test test-faults test-slurm bench check screens libtorch

# Queues the λ sweep on the built-in images and opens the screen on it; without a terminal it prints as it goes and ends
# with the ablation table.
demo: build
	@if [ -t 1 ]; then \
	  $(LAB) queue experiments/demo.toml && exec $(LAB); \
	else \
	  exec $(LAB) run experiments/demo.toml; \
	fi

build: libtorch
	@$(CARGO) build --release --locked

test: libtorch
	@$(CARGO) test --locked

# The same faults as in `make test`, at every place instead of a few: long, and two tests at a time,
# as they load the machine on purpose. A failure prints the seed that gives it back: INSTDISC_FAULT_SEED=… make test-faults.
test-faults: libtorch
	@INSTDISC_FAULTS=long $(CARGO) test --locked --test lab --test checkpoints -- faults:: --nocapture --test-threads 2

# The Slurm launcher on a real Slurm of its own, on loopback: two nodes, one controller, ended with each test. Needs root on
# Debian, where it installs slurm-wlm; elsewhere it says what is missing. INSTDISC_SLURM=long adds the cases that take
# minutes because Slurm counts time limits in minutes.
test-slurm: libtorch
	@scripts/slurm.sh && PATH="$$PATH:/usr/sbin" $(CARGO) test --locked --test slurm -- --test-threads 1

# Ours and the peers in turn, 15 to 25 minutes on two cores: the table, and target/bench/summary.json. Peers that cannot be
# installed are said, and ours is then measured alone. Some of it: make bench ONLY="log_ingest tui_key".
bench: build
	@scripts/peers.sh >/dev/null || echo "the peers could not be installed; going on without them" >&2
	@scripts/bench.py $(ONLY)

# What a change has to pass besides the tests. The second clippy is the viewer that builds without libtorch.
check: libtorch
	@$(CARGO) fmt --check
	@$(CARGO) clippy --locked --all-targets -- -D warnings
	@$(CARGO) clippy --locked --test slurm -- -D warnings
	@$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

# Pictures of every screen for the README, of the recorded demo; pyte and Pillow come into a folder of their own.
screens: build
	@[ -x target/screens/bin/python ] || python3 -m venv target/screens
	@target/screens/bin/python -m pip install --quiet pyte pillow
	@target/screens/bin/python scripts/screens.py --program $(LAB)

libtorch:
	@scripts/libtorch.sh

# A thin front end: every target calls meson, ninja or a script.
#   make            build (build/release)
#   make demo       the example document on this machine, from "create bucket" to "stop"
#   make test       all tests, with sanitizers (build/test)
#   make test-long  the long variants: 200 rounds of kill -9, 5,000 disks that lose power, and tests that LONG=1 extends (build/test)
#   make test-clients  third-party clients from PyPI: AIStore's own SDK, today's and an old one, and webdataset (build/test)
#   make test-kubernetes  on a real Kubernetes: the cluster of KUBECONFIG, or a local one that it starts (build/release)
#   make sim        the simulator: seeds 1 to 1,000, or SEED=n with its trace (build/test)
#   make fuzz       all fuzz targets, or TARGET=name, for T seconds each (T=60; build/fuzz)
#   make bench      speed compared with nginx, growth, and the measurements behind the promises (build/release, results in build/bench);
#                   ROW="name ..." selects rows; BASE=COMMIT compares with that commit, in alternating rounds
#   make clang      compile everything with clang, without warnings (build/clang)
#   make lint       clang-tidy over all of src, or FOLDERS="role http" below it (flags from build/clang)
#   make tsan       the code with threads under the thread sanitizer (build/tsan)
#   make valgrind   unit tests under valgrind (build/valgrind)
#   make up / down  start and stop a small cluster: one proxy, two targets
#   make docs       generate pages: state machines, routes
#   make install    install into PREFIX (default /usr/local); DESTDIR is supported
PREFIX ?= /usr/local
# ccache, where it is installed, needs this for the precompiled headers of the test build.
export CCACHE_SLOPPINESS = pch_defines,time_macros
RELEASE = build/release
TESTED = build/test
SEEDS ?= 1..1000
PROGRAMS = src/etlnode/etlnode src/etlctl/etlctl src/etlctl/ais src/kubectl_local/kubectl-local

.PHONY: all packages demo test test-long test-clients test-kubernetes sim bench clang lint tsan valgrind fuzz up down docs install clean

all: packages $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) --quiet $(PROGRAMS)

packages:
	@sh src/demo/packages.sh build

$(RELEASE)/build.ninja:
	@meson setup $(RELEASE) --prefix=$(PREFIX) --buildtype=release -Doptimization=2 >/dev/null

$(TESTED)/build.ninja:
	@meson setup $(TESTED) -Db_sanitize=address,undefined -Doptimization=0 -Db_staticpic=false >/dev/null

demo: all
	@BUILD=$(RELEASE) bash src/demo/demo.sh

# The end-to-end tests wait for deadlines more than they compute, so a core has room for four of them.
TEST_PROCESSES ?= $(shell expr 4 \* $$(nproc))
test:
	@sh src/demo/packages.sh test
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet
	@meson test -C $(TESTED) --no-rebuild --num-processes $(TEST_PROCESSES) --print-errorlogs $(TEST_ARGS)

test-long:
	@sh src/demo/packages.sh test
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet
	@ROUNDS=5000 meson test -C $(TESTED) --no-rebuild --print-errorlogs --timeout-multiplier 30 contract/index_power store/store_crash
	@LONG=1 ROUNDS=200 meson test -C $(TESTED) --no-rebuild --print-errorlogs --timeout-multiplier 12 --suite e2e

# The versions are fixed, so that the tests do not change by themselves: the newest SDK, the one of two years before, and webdataset. A new
# version gets a new environment.
SDK = aistore==2.0.0
OLD_SDK = aistore==1.9.2
WEBDATASET = webdataset==1.0.2
test-clients:
	@sh src/demo/packages.sh clients
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet $(PROGRAMS)
	@for package in $(SDK) $(OLD_SDK) $(WEBDATASET); do \
		home="build/clients/$$package"; with=""; test "$$package" != $(WEBDATASET) || with=$(SDK); \
		test -x "$$home/bin/python" || { rm -rf "$$home" && /usr/bin/python3 -m venv "$$home" && \
			"$$home/bin/pip" install --quiet --disable-pip-version-check "$$package" $$with; } || { rm -rf "$$home"; exit 1; }; done
	@export ETLNODE_BUILD=$(CURDIR)/$(TESTED) UPDATE=$(UPDATE); \
		"build/clients/$(SDK)/bin/python" test/clients/test_sdk.py && \
		"build/clients/$(SDK)/bin/python" test/clients/test_day.py && \
		"build/clients/$(OLD_SDK)/bin/python" test/clients/test_day.py && \
		"build/clients/$(WEBDATASET)/bin/python" test/clients/test_webdataset.py
	@test -z "$(UPDATE)" || python3 test/clients/verdicts.py > docs/CLIENTS.md

test-kubernetes:
	@sh src/demo/packages.sh test
	@$(MAKE) --no-print-directory $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) --quiet $(PROGRAMS)
	@CASE="$(CASE)" ETLNODE_BUILD=$(CURDIR)/$(RELEASE) bash test/e2e/kubernetes.sh

sim:
	@sh src/demo/packages.sh test
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet test/sim/etlnode-sim
	@$(TESTED)/test/sim/etlnode-sim $(if $(SEED),--seed $(SEED) --verbose,--seeds $(SEEDS) --pinned test/sim/pinned.txt --twice 50 --explained test/sim/untaken.txt)

T ?= 60
fuzz:
	@sh src/demo/packages.sh test
	@python3 test/fuzz/run.py --seconds $(T) $(if $(TARGET),--target $(TARGET))

bench:
	@sh src/demo/packages.sh bench
	@$(MAKE) --no-print-directory $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) --quiet $(PROGRAMS) test/bench/load test/bench/echo
	@ETLNODE_BUILD=$(RELEASE) ETLNODE_BASE=$(BASE) python3 test/bench/bench.py $(addprefix --row ,$(ROW)) $(BENCH_ARGS)

build/clang/build.ninja:
	@CC=clang CXX=clang++ meson setup build/clang --buildtype=debug -Doptimization=0 >/dev/null

clang:
	@sh src/demo/packages.sh test
	@$(MAKE) --no-print-directory build/clang/build.ninja
	@ninja -C build/clang --quiet

FOLDERS ?= $(sort $(notdir $(wildcard src/*)))
lint:
	@sh src/demo/packages.sh lint
	@$(MAKE) --no-print-directory build/clang/build.ninja
	@bash test/tidy/lint.sh $(FOLDERS)

# kubectl-local comes from the release build: it has no threads, and the sanitizer's own thread would prevent it from entering a namespace.
# Address randomisation is off because the sanitizer of older compilers does not know the memory layout of newer kernels.
tsan:
	@sh src/demo/packages.sh test
	@test -f build/tsan/build.ninja || meson setup build/tsan -Db_sanitize=thread -Doptimization=1 >/dev/null
	@TSAN_OPTIONS=second_deadlock_stack=1 setarch -R meson test -C build/tsan --print-errorlogs --timeout-multiplier 4 --suite contract
	@$(MAKE) --no-print-directory $(RELEASE)/build.ninja && ninja -C $(RELEASE) --quiet src/kubectl_local/kubectl-local
	@TSAN_OPTIONS=second_deadlock_stack=1 KUBECTL_LOCAL_PROGRAM=$(CURDIR)/$(RELEASE)/src/kubectl_local/kubectl-local \
		setarch -R meson test -C build/tsan --print-errorlogs --timeout-multiplier 4 e2e/document e2e/objects

MEMCHECK = valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 --child-silent-after-fork=yes
valgrind:
	@sh src/demo/packages.sh check
	@test -f build/valgrind/build.ninja || meson setup build/valgrind --buildtype=debug -Doptimization=1 >/dev/null
	@TEST_SLOWER=30 meson test -C build/valgrind --print-errorlogs --timeout-multiplier 10 --suite unit --wrap '$(MEMCHECK)'

up: all
	@BUILD=$(RELEASE) bash src/demo/up.sh

down:
	@bash src/demo/down.sh

docs: packages
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet src/etlnode/etlnode-pages
	@$(TESTED)/src/etlnode/etlnode-pages docs

install: all
	@meson install -C $(RELEASE) --no-rebuild --quiet

clean:
	rm -rf build

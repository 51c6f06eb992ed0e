# Thin front door: every target is one line for meson, ninja or a script.
#   make            build (build/release)
#   make demo       the document's example on this machine, from "create bucket" to "stop"
#   make test       everything that is tested, with sanitizers (build/test)
#   make up / down  a little cluster that stays: one proxy, two targets
#   make docs       generated pages: state machines, routes
#   make install    into PREFIX (default /usr/local), DESTDIR honoured
PREFIX ?= /usr/local
RELEASE = build/release
TESTED = build/test

.PHONY: all packages demo test up down docs install clean

all: packages $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) --quiet

packages:
	@sh src/demo/packages.sh build

$(RELEASE)/build.ninja:
	@meson setup $(RELEASE) --prefix=$(PREFIX) --buildtype=release -Doptimization=2 >/dev/null

$(TESTED)/build.ninja:
	@meson setup $(TESTED) -Db_sanitize=address,undefined -Doptimization=1 >/dev/null

demo: all
	@BUILD=$(RELEASE) bash src/demo/demo.sh

test:
	@sh src/demo/packages.sh test
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet
	@meson test -C $(TESTED) --no-rebuild --print-errorlogs $(TEST_ARGS)

up: all
	@BUILD=$(RELEASE) bash src/demo/up.sh

down:
	@bash src/demo/down.sh

docs: packages
	@$(MAKE) --no-print-directory $(TESTED)/build.ninja
	@ninja -C $(TESTED) --quiet src/app/etlnode-pages
	@$(TESTED)/src/app/etlnode-pages docs

install: all
	@meson install -C $(RELEASE) --no-rebuild --quiet

clean:
	rm -rf build

# make serve   set up everything in this checkout and serve on http://localhost:8080
# make test    set up everything and run all that CI runs
# make help    the other targets

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
SERVE_FLAGS ?=

SYSTEM_BUILD := gcc libc6-dev make python3-dev python3-venv npm
SYSTEM_TEST  := chromium firefox-esr fonts-dejavu-core openssl simple-whip-client \
                gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
                gstreamer1.0-nice nftables iproute2 ethtool postgresql systemd valgrind janus

SOURCES := pyproject.toml setup.py $(wildcard router/_fastpath/*.pyx router/_fastpath/*.pxd router/_fastpath/*.h)

.PHONY: help serve test lint types unit browser acceptance sanitize bench bench-all clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

serve: $(VENV)/.serve signaling/web/bundle/twilio-video.min.js ## serve in development mode
	$(BIN)/parlour serve --dev $(SERVE_FLAGS)

test: lint types unit sanitize browser ## everything that CI runs

lint: $(VENV)/.test ## style, imports, Cython
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint router/_fastpath benchmarks/engine
	$(BIN)/lint-imports

types: $(VENV)/.test ## mypy --strict
	$(BIN)/mypy

unit: $(VENV)/.test tests/interop/node/node_modules ## tests without browsers
	$(BIN)/python -m pytest -m "not browser and not acceptance"

browser: $(VENV)/.test tests/browser/node_modules tests/interop/node/node_modules signaling/web/bundle/twilio-video.min.js ## Chromium and Firefox with the SDK
	$(BIN)/python -m pytest -m "browser and not acceptance"

acceptance: $(VENV)/.test tests/browser/node_modules signaling/web/bundle/twilio-video.min.js ## the long runs
	$(BIN)/python -m pytest -m acceptance -o faulthandler_timeout=1200

sanitize: $(VENV)/.test ## the data plane's tests on an ASan and UBSan build
	$(BIN)/python tests/native/run_sanitized.py

bench: $(VENV)/.test ## nanoseconds per packet of each stage
	$(BIN)/python -m benchmarks micro

bench-all: $(VENV)/.test ## every benchmark, three times in turns: a table of medians
	$(BIN)/python -m benchmarks all --json bench-all.json

clean: ## forget everything that was built
	rm -rf $(VENV) build *.egg-info router/_fastpath/*.so router/_fastpath/*.c benchmarks/engine/*.so signaling/web/bundle tests/browser/node_modules tests/interop/node/node_modules

# Unless the check passes, install the packages where that is possible, or say what to install.
define need
	@{ $(2); } >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	    echo "please install: $(1)" >&2; exit 1; \
	  fi; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(1); \
	}
endef

BUILD_CHECK := command -v gcc && command -v npm && \
  $(PYTHON) -c 'import ensurepip, sysconfig; open(sysconfig.get_path("include") + "/Python.h")'
TEST_CHECK := command -v chromium && command -v firefox-esr && command -v openssl && \
  command -v whip-client && command -v nft && command -v ethtool && command -v ip && \
  gst-inspect-1.0 webrtcbin && gst-inspect-1.0 nicesrc && \
  ls /usr/lib/postgresql/*/bin/initdb && command -v systemd-analyze && command -v valgrind && \
  command -v janus

$(VENV)/.made:
	$(call need,$(SYSTEM_BUILD),$(BUILD_CHECK))
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	$(BIN)/pip install -q --upgrade pip
	@touch $@

$(VENV)/.serve: $(VENV)/.made $(SOURCES)
	$(BIN)/pip install -q "setuptools>=77" "cython>=3.1"  # here they stay, so what is unchanged is not built again
	$(BIN)/pip install -q --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.serve
	$(call need,$(SYSTEM_TEST),$(TEST_CHECK))
	$(BIN)/pip install -q --group dev
	@touch $@

signaling/web/bundle/twilio-video.min.js: | $(VENV)/.serve
	$(BIN)/parlour page install

tests/browser/node_modules tests/interop/node/node_modules: %/node_modules: %/package-lock.json
	cd $* && npm ci --silent
	@touch $@

# make demo        train and show a real example
# make test        every test, small; under 15 minutes on 2 cores
# make test-deep   the same at length
# make sanitize    the native kernels under AddressSanitizer, UBSan, ThreadSanitizer and guard pages; some minutes
# make course      measure every row of docs/course/what-is-so.md; a few minutes on 2 cores
# make lint        ruff, the type checker, the arrow table of the architecture
# make venv        only the environment; the others make it where it is missing
# make lock        write requirements.lock anew from pyproject.toml; torch's version there is kept

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH := $(shell sed -n 's/^torch==//p' requirements.lock)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIP := -m pip --disable-pip-version-check install -q

# Two workers, one thread each: they fill two cores, and small tensors gain nothing from threads.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: demo test test-deep sanitize course lint venv lock
.DELETE_ON_ERROR:

demo: $(READY)
	@$(BIN)/recurra demo

test: $(READY)
	@$(PYTEST)

test-deep: $(READY)
	@RECURRA_DEEP=1 $(PYTEST)

# The kernels are built anew for each kind of sanitizer, and run over random shapes by a Python that has it loaded.
# Addresses stand still for ThreadSanitizer (setarch), which knows no others.
SANITIZED := build/sanitize
SECONDS ?= 60
FUZZ := $(BIN)/python tests/sanitize/fuzz.py --seconds $(SECONDS)
LIBRARY := recurra/engines/native/_recurra_native.library.so
BUILD_WITH = CFLAGS="-fsanitize=$(1) -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g" \
  LDFLAGS="-fsanitize=$(1)" $(BIN)/python setup.py -q build_ext --build-lib $(2) --build-temp $(2)/temp

sanitize: $(READY)
	@mkdir -p $(SANITIZED)
	@gcc -O1 -shared -fPIC -Wall -o $(SANITIZED)/guard.so tests/sanitize/guard.c
	@echo "guard pages"
	@LD_PRELOAD=$(CURDIR)/$(SANITIZED)/guard.so $(FUZZ) --guarded
	@$(call BUILD_WITH,address$(COMMA)undefined,$(SANITIZED)/address)
	@echo "AddressSanitizer and UBSan"
	@ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 LD_PRELOAD=$$(g++ -print-file-name=libasan.so) \
	  $(FUZZ) --library $(SANITIZED)/address/$(LIBRARY)
	@$(call BUILD_WITH,thread,$(SANITIZED)/thread)
	@echo "ThreadSanitizer"
	@TSAN_OPTIONS="exitcode=66 report_signal_unsafe=0" LD_PRELOAD=$$(g++ -print-file-name=libtsan.so) setarch -R \
	  $(FUZZ) --library $(SANITIZED)/thread/$(LIBRARY) --workers 3

COMMA := ,

course: $(READY)
	@$(BIN)/python benchmarks/course.py

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/architecture

venv: $(READY)

# What the native engine's library is built from.
NATIVE := setup.py $(wildcard src/recurra/engines/native/cpp/*)

# A change of the lock, of pyproject.toml or of the C++ sources brings the environment up to date; nothing outside it is touched.
$(READY): requirements.lock pyproject.toml $(NATIVE)
	@$(call need_python)
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing torch $(TORCH), then requirements.lock (some minutes the first time)"
	@$(BIN)/python $(PIP) torch==$(TORCH)
	@$(BIN)/python $(PIP) -r requirements.lock
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

lock:
	@$(call need_python)
	@rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python $(PIP) torch==$(TORCH)
	@$(VENV)/lock/bin/python $(PIP) "setuptools>=77" ".[dev]"
	@{ grep '^#' requirements.lock; \
	   $(VENV)/lock/bin/python -m pip freeze --all --exclude pip --exclude recurra \
	     | grep -v -E '^(nvidia-|cuda-|triton)' | sed 's/^torch==.*/torch==$(TORCH)/'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock && rm -rf $(VENV)/lock

define need_python
test -n "$(PYTHON)" && $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null \
  || { echo "Recurra needs Python 3.11 or newer with its venv module; name one: make PYTHON=/path/to/python3" >&2; exit 2; }
endef

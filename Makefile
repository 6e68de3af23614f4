# SPDX-License-Identifier: Apache-2.0
# Thin verbs over CMake and Ninja. `make help` lists them.
BUILD ?= build
CMAKE ?= cmake
# Passed on to cmake, for example CONFIG="-DCMAKE_C_COMPILER=clang".
CONFIG ?=
# Passed on to ninja, for example NINJAFLAGS=--quiet.
NINJAFLAGS ?=
# Two tests at once: about half of what they take is waiting, and the others keep all cores busy by themselves.
JOBS ?= 2
CTEST = ctest -j $(JOBS) --output-on-failure --no-tests=error --output-junit junit.xml

# configure DIR, FLAGS: once; from then on Ninja sees itself when a CMakeLists.txt has changed.
configure = @test -f $(1)/build.ninja || $(CMAKE) -G Ninja -S . -B $(1) $(2) $(CONFIG) >/dev/null

.PHONY: all
all: ## build everything into build/
	$(call configure,$(BUILD))
	@$(CMAKE) --build $(BUILD) -- $(NINJAFLAGS)

.PHONY: eleanor
eleanor: ## build build/eleanor alone
	$(call configure,$(BUILD))
	@$(CMAKE) --build $(BUILD) --target eleanor -- $(NINJAFLAGS)

.PHONY: test
test: all ## run the tests (unit, checkops, golden, torture, e2e)
	@cd $(BUILD) && $(CTEST) -LE check

.PHONY: check
check: all ## run the checks of the source: format, tidy, cppcheck, headers, layers, ...
	@cd $(BUILD) && $(CTEST:junit.xml=junit-check.xml) -L check

.PHONY: golden
golden: all ## compare with the reference vectors of sentence-transformers
	@cd $(BUILD) && $(CTEST:junit.xml=junit-golden.xml) -L golden

.PHONY: asan
asan: build-asan ## build with clang and the address and undefined behaviour sanitizers into build-asan/, and test
	@cd $(BUILD)-asan && $(CTEST) -LE 'check|slow'

# One build for the tests and for the fuzz targets.
.PHONY: build-asan
build-asan:
	$(call configure,$(BUILD)-asan,-DEL_SANITIZE=address -DEL_FUZZ=ON -DCMAKE_C_COMPILER=clang)
	@$(CMAKE) --build $(BUILD)-asan -- $(NINJAFLAGS)

.PHONY: tsan
tsan: ## build with the thread sanitizer into build-tsan/, and test
	$(call configure,$(BUILD)-tsan,-DEL_SANITIZE=thread)
	@$(CMAKE) --build $(BUILD)-tsan -- $(NINJAFLAGS)
	@cd $(BUILD)-tsan && $(CTEST) -LE 'check|slow|fibers|unthreaded'

.PHONY: clang
clang: ## build with clang into build-clang/, and run the tests whose results hang on the compiler's arithmetic
	$(call configure,$(BUILD)-clang,-DCMAKE_C_COMPILER=clang)
	@$(CMAKE) --build $(BUILD)-clang -- $(NINJAFLAGS)
	@cd $(BUILD)-clang && $(CTEST) -L 'golden|bits'

.PHONY: fuzz
FUZZ_SECONDS ?= 60
fuzz: build-asan ## fuzz each target for FUZZ_SECONDS (60)
	@tools/fuzz $(BUILD)-asan $(FUZZ_SECONDS)

# The peers of the benches: PEER_PYTHON names a Python that has them (bench/requirements.txt), else one is made.
PEER_PYTHON ?= $(BUILD)/venv-bench/bin/python
STS ?= ../shared/data/eval/sts-test.csv
MODEL ?= $(shell $(BUILD)/eleanor models path all-MiniLM-L6-v2)

$(BUILD)/venv-bench/bin/python: bench/requirements.txt
	@tools/make-venv $(BUILD)/venv-bench $<

.PHONY: bench-embed
bench-embed: all $(PEER_PYTHON) ## texts to vectors, beside sentence-transformers and onnxruntime
	@$(PEER_PYTHON) bench/embed.py "$(MODEL)" $(STS) $(BUILD)/bench_embed $(BUILD)/bench_matmul

.PHONY: bench-tokenizer
bench-tokenizer: all $(PEER_PYTHON) ## texts to token ids, beside Hugging Face tokenizers
	@$(PEER_PYTHON) bench/tokenizer.py "$(MODEL)" $(STS) $(BUILD)/bench_tokenizer

.PHONY: bench-search
bench-search: all $(PEER_PYTHON) ## exact search in 1,000,000 vectors, beside faiss-cpu and torch (SEARCH="--rows 100000")
	@$(PEER_PYTHON) bench/search.py $(BUILD)/bench_search $(SEARCH)

.PHONY: bench-postgres
bench-postgres: all $(PEER_PYTHON) ## puts and queries of an index in PostgreSQL, beside the embedded store (POSTGRES="--rows 10000")
	@$(PEER_PYTHON) bench/postgres.py $(BUILD)/eleanor $(POSTGRES)

.PHONY: bench-ndcg
bench-ndcg: all $(PEER_PYTHON) ## how good answers are, by vectors, words and both (NDCG="--cranfield FOLDER")
	@$(PEER_PYTHON) bench/ndcg.py $(BUILD)/eleanor "$(MODEL)" --sts $(STS) $(NDCG)

.PHONY: bench-ivf
bench-ivf: all $(PEER_PYTHON) ## inverted lists in 200,000 vectors, beside faiss-cpu's (IVF="--vectors FILE.f32 --what TEXT")
	@$(PEER_PYTHON) bench/ivf.py $(BUILD)/bench_ivf $(IVF)

.PHONY: bench-files
bench-files: all ## /usr/share/doc into an index, and questions whose file is known (FILES="--max-file 12k --home DIR")
	@python3 bench/files.py $(BUILD)/eleanor "$(MODEL)" $(FILES)

.PHONY: bench-cache
bench-cache: all ## the embedding cache: hits, misses, S3-FIFO beside LRU, and what a hit saves
	@$(BUILD)/bench_cache "$(MODEL)" $(STS)

.PHONY: bench-matmul
bench-matmul: all ## the matrix products of the model, beside oneDNN
	@$(BUILD)/bench_matmul

# A machine with a GPU may lack every library: this needs a C compiler, CMake and clang or nvcc alone; for the golden
# test and the benches, a Python with torch and transformers (PEER), and the folder of all-MiniLM-L6-v2 (GPU_MODEL).
GPU ?= cuda:0
PEER ?= python3
GPU_MODEL ?= $(BUILD)-gpu/all-MiniLM-L6-v2
GPU_RESULT = bench/results/$(1)-$$(date +%Y-%m-%d-%H%M).json --note "$$(git rev-parse --short HEAD 2>/dev/null)"
.PHONY: gpu-check
gpu-check: ## on a machine with a GPU: check operations and a model's vectors on it (GPU=cuda:0), bench them and search beside torch
	@test -f $(BUILD)-gpu/CMakeCache.txt || $(CMAKE) -S . -B $(BUILD)-gpu -DEL_BARE=ON $(CONFIG) >/dev/null
	@$(CMAKE) --build $(BUILD)-gpu -j >/dev/null
	@$(BUILD)-gpu/checkops --device $(GPU)
	@if [ -f $(GPU_MODEL)/model.safetensors ]; then \
		$(PEER) tests/golden/bare/gpu_vectors.py $(BUILD)-gpu/bare_bert $(GPU) $(GPU_MODEL) --out $(call GPU_RESULT,gpu-vectors); \
	else echo "NOT RUN: the golden test of vectors, for no model is in $(GPU_MODEL) (GPU_MODEL=FOLDER names one)"; fi
	@$(PEER) bench/gpu.py $(BUILD)-gpu/bench_gpu $(GPU) --out $(call GPU_RESULT,gpu)

.PHONY: bench-batch
bench-batch: all ## the batcher: single texts against bulk, skewed lengths, a queue of ten million
	@$(BUILD)/bench_batch "$(MODEL)" $(STS)

.PHONY: bench-serve
bench-serve: all ## HTTP at 1, 64 and 1,000 connections
	@$(BUILD)/bench_serve "$(MODEL)" $(STS)

.PHONY: bench-latency
bench-latency: all ## one client over HTTP against the library's call, by size of request
	@$(BUILD)/bench_latency "$(MODEL)" $(STS)

.PHONY: bench-queries
bench-queries: all ## exact search where many ask: connections beside the library's batches (QUERIES="ROWS DIM ROUNDS SECONDS")
	@home=$$(mktemp -d) && $(BUILD)/bench_queries "$(MODEL)" "$$home" $(QUERIES); code=$$?; rm -rf "$$home"; exit $$code

.PHONY: bench-overload
bench-overload: all ## HTTP at ten times what the server can do
	@$(BUILD)/bench_overload "$(MODEL)" $(STS)

.PHONY: format
format: ## format the C files in place
	@git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: install
install: all ## install binary, manual and completions (PREFIX, DESTDIR)
	@$(CMAKE) --install $(BUILD) $(if $(PREFIX),--prefix $(PREFIX))

.PHONY: clean
clean: ## remove what was built
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-clang

.PHONY: help
help: ## list these verbs
	@awk -F':.*## ' '/^[a-z -]+:.*## / { printf "  %-38s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

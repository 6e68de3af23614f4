# SPDX-License-Identifier: Apache-2.0
# Thin verbs over CMake and Ninja. `make help` lists them.
BUILD ?= build
CMAKE ?= cmake
# Passed on to cmake, for example CONFIG="-DCMAKE_C_COMPILER=clang".
CONFIG ?=
CTEST = ctest --output-on-failure --no-tests=error --output-junit junit.xml

# configure DIR, FLAGS: once; from then on Ninja sees itself when a CMakeLists.txt has changed.
configure = @test -f $(1)/build.ninja || $(CMAKE) -G Ninja -S . -B $(1) $(2) $(CONFIG) >/dev/null

.PHONY: all
all: ## build everything into build/
	$(call configure,$(BUILD))
	@$(CMAKE) --build $(BUILD)

.PHONY: eleanor
eleanor: ## build build/eleanor alone
	$(call configure,$(BUILD))
	@$(CMAKE) --build $(BUILD) --target eleanor

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
asan: ## build with the address and undefined behaviour sanitizers into build-asan/, and test
	$(call configure,$(BUILD)-asan,-DEL_SANITIZE=address)
	@$(CMAKE) --build $(BUILD)-asan
	@cd $(BUILD)-asan && $(CTEST) -LE 'check|slow'

.PHONY: tsan
tsan: ## build with the thread sanitizer into build-tsan/, and test
	$(call configure,$(BUILD)-tsan,-DEL_SANITIZE=thread)
	@$(CMAKE) --build $(BUILD)-tsan
	@cd $(BUILD)-tsan && $(CTEST) -LE 'check|slow'

.PHONY: clang
clang: ## build with clang into build-clang/, and test
	$(call configure,$(BUILD)-clang,-DCMAKE_C_COMPILER=clang)
	@$(CMAKE) --build $(BUILD)-clang
	@cd $(BUILD)-clang && $(CTEST) -LE 'check|slow'

.PHONY: fuzz
FUZZ_SECONDS ?= 60
fuzz: ## fuzz each target for FUZZ_SECONDS (60)
	$(call configure,$(BUILD)-fuzz,-DEL_FUZZ=ON -DCMAKE_C_COMPILER=clang)
	@$(CMAKE) --build $(BUILD)-fuzz
	@tools/fuzz $(BUILD)-fuzz $(FUZZ_SECONDS)

.PHONY: bench-embed bench-serve bench-matmul
bench-embed: all ## texts a second, beside sentence-transformers and onnxruntime
	@bench/bench-embed $(BUILD)
bench-serve: all ## requests a second at 1, 64 and 1,000 connections, and overload
	@bench/bench-serve $(BUILD)
bench-matmul: all ## the matrix products of the model, beside oneDNN
	@bench/bench-matmul $(BUILD)

.PHONY: format
format: ## format the C files in place
	@git ls-files '*.c' '*.h' | xargs clang-format -i

.PHONY: install
install: all ## install binary, manual and completions (PREFIX, DESTDIR)
	@$(CMAKE) --install $(BUILD) $(if $(PREFIX),--prefix $(PREFIX))

.PHONY: clean
clean: ## remove what was built
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-clang $(BUILD)-fuzz

.PHONY: help
help: ## list these verbs
	@awk -F':.*## ' '/^[a-z -]+:.*## / { printf "  %-38s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

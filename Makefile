# SPDX-License-Identifier: Apache-2.0
# Thin verbs over CMake and Ninja. `make help` lists them.
BUILD ?= build
CMAKE ?= cmake
CONFIGURE = $(CMAKE) -G Ninja -S .

.PHONY: all
all: ## build everything into build/
	@$(CONFIGURE) -B $(BUILD) >/dev/null
	@$(CMAKE) --build $(BUILD)

# SPDX-License-Identifier: BSD-2-Clause
# A thin front for meson: each target says what it does and can be read in one breath.
MESON ?= meson
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_TIME ?= 60
SOAK_SECONDS ?= 600
BUILD = build/release
# meson says a lot, and its errors on standard output too: show it only when it fails.
SETUP = mkdir -p build && quietly() { "$$@" >build/configure.log || { cat build/configure.log; exit 1; }; } && \
	quietly $(MESON) setup --prefix='$(PREFIX)' $(BUILD)
DEV = [ -d build/dev ] || { mkdir -p build && $(MESON) setup build/dev >build/configure.log; } || cat build/configure.log

all: $(BUILD)/build.ninja ## build the library and the command into build/release (the default)
	@echo "building into $(BUILD)"
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@echo "configuring $(BUILD)"
	@$(SETUP) -Dtests=false

run: ## install what is missing (Debian), build, link two sites on this machine, and be a disk and a NIC that survive kill -9
	@scripts/deps.sh run
	@$(MAKE) --no-print-directory all
	@echo "running examples/two-sites.sh"
	@examples/two-sites.sh
	@echo "running examples/disk.sh"
	@examples/disk.sh
	@echo "running examples/nic.sh"
	@examples/nic.sh

run-vm: ## install what is missing (Debian), build, and in QEMU guests drive a NIC from user space, over uio_msix and VFIO, and be the kernel's disk, over VDUSE
	@scripts/deps.sh vm
	@$(MAKE) --no-print-directory all
	@echo "running examples/guest-msix.sh in a guest without an IOMMU"
	@tests/vm/run.sh 6.12 examples/guest-msix.sh $(BUILD)/src/sluice
	@echo "running examples/guest-nic.sh in a guest with one"
	@tests/vm/run.sh 6.12 examples/guest-nic.sh $(BUILD)/src/sluice
	@echo "running examples/guest-disk.sh in a guest whose kernel has a disk over VDUSE"
	@tests/vm/run.sh 6.12 examples/guest-disk.sh $(BUILD)/src/sluice

check: ## install what is missing (Debian), then everything that CI checks
	@scripts/deps.sh check
	@scripts/check.sh

bench: ## install what is missing (Debian), build, and run every benchmark
	@scripts/deps.sh bench
	@$(MAKE) --no-print-directory all
	@echo "running bench/run.sh"
	@bench/run.sh

fuzz: ## fuzz every parser of outside bytes for FUZZ_TIME seconds each
	@scripts/deps.sh test
	@FUZZ_TIME='$(FUZZ_TIME)' scripts/fuzz.sh

soak: ## ten minutes (SOAK_SECONDS) of tunnel at full rate: new keys, flat memory, every loss counted
	@scripts/deps.sh test
	@$(MAKE) --no-print-directory all
	@echo "running tests/netns/tunnel-soak.sh for $(SOAK_SECONDS) s"
	@SOAK_SECONDS='$(SOAK_SECONDS)' tests/netns/tunnel-soak.sh $(BUILD)/src/sluice

vm: ## boot stock Debian kernels 6.1 and 6.12 in QEMU and test inside them
	@scripts/deps.sh check
	@$(DEV)
	@$(MESON) test -C build/dev --suite vm --suite vm-more

vm-iommufd: ## build kernels with iommufd, which Debian has not, and test driving devices in them
	@scripts/deps.sh kernel
	@$(DEV)
	@tests/vm/kernel-build.sh 6.12-iommufd 6.12-iommufd-cdev
	@$(MESON) test -C build/dev --suite vm-iommufd

check-kasan: ## build a kernel that looks for faults in itself (KASAN, lockdep, kmemleak ...), and test kernel modules in it
	@scripts/deps.sh kernel
	@$(DEV)
	@tests/vm/kernel-build.sh 6.12-kasan
	@$(MESON) test -C build/dev --suite vm-kasan

dkms-%: ## assemble build/dkms/MODULE-VERSION of a kernel module (dkms-uio_msix), for dkms add
	@scripts/dkms.sh '$*'

fmt: ## clang-format every .c and .h file in place
	@echo "formatting .c and .h files"
	@python3 -B tests/build/format.py . --fix

install: all ## install under PREFIX (/usr/local), below DESTDIR when that is set
	@echo "installing into $(DESTDIR)$(PREFIX)"
	@$(SETUP) --reconfigure
	@DESTDIR='$(DESTDIR)' $(MESON) install -C $(BUILD) --quiet

clean: ## remove build/
	@echo "removing build/"
	@rm -rf build

help: ## say what there is
	@sed -n 's/^\([a-z%-]*\):[^#]*## /\1\t/p' Makefile | expand -t 12

.PHONY: all run run-vm check check-kasan bench fuzz soak vm vm-iommufd fmt install clean help

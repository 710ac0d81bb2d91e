# SPDX-License-Identifier: GPL-2.0-or-later
# The front door. Everything is made in build/, which is Meson's build folder too.

ifneq ($(words $(CURDIR))$(findstring :,$(CURDIR)),1)
$(error this checkout is in "$(CURDIR)", but QEMU can't be built where a path has spaces or colons: move it)
endif

BASE ?= 10.0
here := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH = $(here)
PREFIX ?= /usr/local
DESTDIR ?=
TIMES ?= 5
FROM ?= 1
other_base = $(if $(filter 10.0,$(BASE)),10.2,10.0)
work = build/qemu/$(BASE)
python = python3 -B
program = $(python) -P -S
meson = build/venv/bin/meson
began := $(shell date +%s)

# TARGETS= and QEMU_SRC= stay in force until they are given again.
options = -Dbase=$(BASE)
ifdef TARGETS
options += -Dtargets='$(TARGETS)'
endif
ifneq ($(origin QEMU_SRC),undefined)
absolute = import os, sys; print(os.path.abspath(os.path.expanduser(sys.argv[1])))
options += -Dqemu_src="$${QEMU_SRC:+$$($(python) -c '$(absolute)' "$$QEMU_SRC")}"
endif

# ARCH= is Debian's name of the host that the emulator is for; for another one than this it can only be built.
variant = $(if $(filter $(here),$(ARCH)),patched,arm64)
ifneq ($(ARCH),$(here))
ifneq ($(ARCH),arm64)
$(error asked for ARCH=$(ARCH); on $(here), ARCH=$(here) is built$(if $(filter arm64,$(here)),, and ARCH=arm64 cross-built))
endif
ifneq ($(filter-out all build install setup series deb packages-check clean help,$(MAKECMDGOALS)),)
$(error asked for $(MAKECMDGOALS) with ARCH=$(ARCH): this machine can build that emulator, and `make check` tests it here)
endif
endif

.PHONY: all newest build setup series install clean help
.PHONY: check check-all other-base check-nightly series-check checker audit bench matrix storm soak fuzz sanitized suites
.PHONY: arm64-host gh200 deb deb-source packages-check export quilt

of_base = $(if $(filter-out 10.0,$(BASE)), BASE=$(BASE))
not_here = -- no demonstration: this machine's kernel doesn't run programs for $(ARCH) hosts
all: setup
	@ninja -C build $(variant)
	@$(if $(filter patched,$(variant)),ninja -C build demonstrate,echo "$(not_here)")
	@echo "-- the emulator:" $$(find '$(CURDIR)/$(work)/build-$(variant)' -maxdepth 1 -type f -name 'qemu-system-*' | sort)
	@echo "-- to install it: make install$(if $(filter patched,$(variant)),, ARCH=$(ARCH) DESTDIR=FOLDER)$(of_base)"
	@echo "-- it took $$((($$(date +%s) - $(began)) / 60)) min $$((($$(date +%s) - $(began)) % 60)) s"
	@$(python) scripts/newer_release.py --base $(BASE) --work $(work) 'make newest$(of_base)'

# The base's newest release in Debian, in place of the one that was taken first.
newest:
	@rm -f $(work)/newest.stamp; if [ -e $(work)/source.stamp ]; then mv $(work)/source.stamp $(work)/source.before; fi
	@$(MAKE) --no-print-directory all || \
		{ [ -e $(work)/source.stamp ] || mv $(work)/source.before $(work)/source.stamp; exit 1; }

# STRICT=1 fails for a skip that tests/allowed-skips doesn't list.
tested = $(meson) test -C build --no-rebuild --print-errorlogs
results = $(python) scripts/results.py build $(if $(STRICT),--allowed-skips tests/allowed-skips)
check:
	@rm -f build/meson-logs/*.json
	@$(MAKE) --no-print-directory build && ninja -C build for-check && $(tested) --suite check; status=$$?; \
	$(results) && exit $$status

check-all: setup
	@rm -f build/meson-logs/*.json
	@if ! grep -A 1 '"name": "qemu_src"' build/meson-info/intro-buildoptions.json | grep -q '"value": ""'; then \
		echo "-- QEMU_SRC= is in force, so nothing is tested with base $(other_base)"; \
	elif ! $(MAKE) --no-print-directory setup BASE=$(other_base) || ! ninja -C build source; then \
		echo "-- there is no source of base $(other_base), so nothing is tested with it"; \
	else $(MAKE) --no-print-directory other-base BASE=$(other_base); fi; other=$$?; \
	scripts/needs libclang-rt-dev && $(MAKE) --no-print-directory build && \
		ninja -C build for-check for-exhaustive sanitized && \
		$(tested) --suite check --suite exhaustive; status=$$?; \
	$(results) && exit $$((other ? other : status))

# What depends on the base, with the one that the tests aren't of.
other-base: build
	@ninja -C build for-check && $(tested) --logbase base-$(BASE) --suite check suites checker doctor pool revoked

# Hours. Each step says by itself what it found; the first one that fails is the last.
check-nightly: export TARGETS = aarch64-softmmu,x86_64-softmmu
check-nightly: check-all
	@$(foreach base,10.0 10.2,$(MAKE) --no-print-directory series-check BASE=$(base) &&) true
	@$(MAKE) --no-print-directory check BASE=$(other_base)
	@for what in suites matrix 'storm TIMES=50' 'soak TIME=3600' 'fuzz TIME=3600' sanitized arm64-host gh200; do \
		$(MAKE) --no-print-directory $$what BASE=$(BASE) || exit 1; done

# What is checked need not be ours, so nothing of ours is built but the peer.
checker:
	@$(if $(QEMU),,echo "checker: say which emulator, for instance: make checker QEMU=/usr/bin/qemu-system-aarch64" >&2; exit 2)
	@mkdir -p build && scripts/needs python3 gcc libc6-dev ca-certificates >&2
	@$(program) tests/checker/run_checker.py $(ARGS) '$(QEMU)'

arm64-host: setup
	@ninja -C build for-on-request
	@$(tested) --suite on-request
	@ninja -C build arm64-host

gh200: setup
	@ninja -C build gh200

storm: setup
	@RAM_DEVICE_STORM_TIMES=$(TIMES) ninja -C build storm

soak: build
	@PYTHONPATH=tests:scripts $(program) tests/pool/run_soak.py --patched $(work)/build-patched/qemu-system-aarch64 \
		--work $(work)/soak $(if $(TIME),--seconds $(TIME))

fuzz: setup
	@scripts/needs libclang-rt-dev
	@ninja -C build sanitized
	@PYTHONPATH=tests:scripts $(program) tests/sanitized/run_fuzz.py --fuzzer $(work)/build-sanitized/qemu-fuzz-aarch64 \
		--work $(work)/fuzz $(if $(TIME),--seconds $(TIME))

sanitized: setup
	@scripts/needs libclang-rt-dev
	@ninja -C build sanitized-suites

suites: setup
	@ninja -C build suites

audit: setup
	@ninja -C build audit-machine-code
	@ninja -C build audit-traces

# PLOTS=FOLDER wants matplotlib, which nothing else does.
bench matrix: setup
	@$(if $(PLOTS),build/venv/bin/python -I -m pip --quiet --disable-pip-version-check install --require-hashes \
		--only-binary=:all: --requirement tests/tables/requirements.txt)
	@RAM_DEVICE_PLOTS='$(abspath $(PLOTS))' ninja -C build $@

build: setup
	@ninja -C build $(variant)

setup:
	@mkdir -p build
	@scripts/needs
	@$(python) scripts/python_env.py build/venv
	@$(meson) setup $(if $(wildcard build/build.ninja),--reconfigure) build $(options) >build/setup.log || \
		{ cat build/setup.log; exit 1; }

series: setup
	@ninja -C build tree
	@echo "-- the mail-ready series is in $(work)/series"

series-check: series
	@$(python) scripts/python_env.py build/venv
	@$(python) scripts/series_check.py --base $(BASE) --work $(work) --python build/venv/bin/python --from $(FROM)

quilt: series
	@$(python) scripts/quilt.py --base $(BASE) --work $(work)

deb-source: series
	@scripts/needs dpkg-dev
	@$(python) scripts/source_package.py --base $(BASE) --work $(work)

deb: series
	@scripts/needs dpkg-dev mmdebstrap
	@$(python) scripts/binary_packages.py --base $(BASE) --work $(work) --architecture $(ARCH)

# For arm64 hosts: the requests of arm64-host, by the packages' emulator.
packages-check:
	@scripts/needs dpkg-dev mmdebstrap
	@PYTHONPATH=tests:scripts $(program) tests/$(if $(filter $(here),$(ARCH)),packages/run_packages.py,arm64_host/run_arm64_host.py) \
		--packages $(work)/packages-$(ARCH) --work $(work)/packages-check

export:
	@$(python) scripts/export.py --base $(BASE) --work $(work)

install:
	@$(python) scripts/install.py --base $(BASE) --work $(work) --variant $(variant) \
		--prefix '$(PREFIX)' --destdir '$(DESTDIR)'

clean:
	@for made in build/qemu/*/; do [ ! -d $$made ] || $(program) scripts/all_saved.py --work $$made || exit 1; done
	rm -rf build

help:
	@echo "make           build the patched emulator, and show with it what the series mends"
	@echo "make check     the tests that a change must pass; STRICT=1 fails for a test that was skipped unexpectedly"
	@echo "make check-all     that, and the tests that take long: stock builds, QEMU's own qtests, the matrix, more storms"
	@echo "make check-nightly that, and all below that tests, on both bases and for x86-64 guests; it takes hours"
	@echo "make newest    \`make\` with the newest point release of QEMU that Debian has, after \`make\` has told of one"
	@echo "make checker   QEMU=PATH: what any emulator, 10.1 or newer, makes of DMA into a passed-through BAR; ARGS=--json"
	@echo "make matrix    every cache mode, engine, format and device into BARs; stock and patched emulators side by side;"
	@echo "               PLOTS=FOLDER draws heat maps"
	@echo "make audit     the crate's instructions, in the emulator and as each compiler makes them, held against C4; and"
	@echo "               each access that they make to a device, held against C1 to C3"
	@echo "make bench     how fast QEMU's accesses to RAM devices are, stock beside patched, and virtio-blk and virtio-net into a BAR"
	@echo "               beside RAM; PLOTS=FOLDER draws them"
	@echo "make arm64-host    what a GH200's host does: NVIDIA's driver, without a GPU, in VMs; ours and Debian's emulator"
	@echo "make gh200     on such a host: a Linux guest that uses the GPU's memory as system RAM; ours and Debian's emulator"
	@echo "make storm     a BAR is taken away thousands of times while requests are in flight; TIMES=5 says how many"
	@echo "make soak      disks move data to and from a BAR while they are reset, the VM stops and the BAR goes away; TIME=600"
	@echo "make fuzz      requests and operations that libFuzzer makes up, with ASan and UBSan, contents compared; TIME=60"
	@echo "make sanitized the series' qtests, the pool's tests, the revocations and a matrix, with ASan and UBSan"
	@echo "make suites    QEMU's own suites (unit, rust, qtest, functional) on stock and patched builds, side by side"
	@echo "make build     the patched emulator alone"
	@echo "make setup     what tests without an emulator need, pytest, ruff and mypy among it (CONTRIBUTING.md)"
	@echo "make series    the series as it can be mailed, in $(work)/series"
	@echo "make series-check  the series applied mail by mail; each commit built with Rust, tested, and built without. It"
	@echo "               takes more than an hour with two cores; FROM=7 goes on at the 7th commit"
	@echo "make export    commits made in $(work)/tree back to patches/$(BASE) and to the new files"
	@echo "make install   the emulator into DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)"
	@echo "make deb       Debian 13's packages of QEMU with the series in them, built in a chroot, as root"
	@echo "make packages-check    the packages in place of Debian's: features, libvirt's domains, moves, and the way back"
	@echo "make deb-source    the source package alone, for sbuild or a build farm"
	@echo "make quilt     the series as quilt patches, for another distribution's package"
	@echo "make clean     remove build/"
	@echo
	@echo "TARGETS=aarch64-softmmu,x86_64-softmmu  QEMU's targets"
	@echo "QEMU_SRC=PATH                           a source of your own: unpacked release, tarball, git checkout"
	@echo "BASE=$(BASE)                               the QEMU version"
	@echo "ARCH=arm64                              (make, build, install, deb, packages-check) for arm64 hosts, cross-built on amd64"
	@echo "TARGETS= and QEMU_SRC= stay in force until they are given again; an empty QEMU_SRC= gets Debian's source"

# SPDX-License-Identifier: GPL-2.0-or-later
# What the RAM device series needs of a build; debian/rules includes it after debian/control.mk. Rust is turned on by a
# comment in debian/control, as other features are. The builds for Xen and microvm, which disable what they don't name,
# stay without it.

# The headers that bindgen reads are those of the host that is built for.
export BINDGEN_EXTRA_CLANG_ARGS = --target=${DEB_HOST_GNU_TYPE}

# The build profile pkg.qemu.arm-and-x86 leaves out the emulators of other processors, and the package that depends on
# all emulators, by which debian/rules would tell whether there are any.
ifneq (,$(filter pkg.qemu.arm-and-x86,${DEB_BUILD_PROFILES}))
override enable-system := y
system-packages := arm x86
QEMU_CONFIGURE_OPTIONS += --target-list=$(subst \
	${empty} ${empty},$(comma),$(patsubst %,%-softmmu,${system-archlist-arm} ${system-archlist-x86}))
endif

# The crates that QEMU's wrap files name are a component of the source, as nothing may be downloaded.
crates = $(patsubst ram-device-crates/%,subprojects/%,$(wildcard ram-device-crates/*))
b/qemu/configured: ${crates}
subprojects/%: ram-device-crates/%
	cp -a $< $@

clean: remove-crates
remove-crates:
	rm -rf ${crates}
.PHONY: remove-crates

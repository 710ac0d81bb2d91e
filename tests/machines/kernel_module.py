# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules of ours, built from source with the headers that Debian has for a kernel."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from machines.error import MachineError

# What a kernel's configuration says of its compiler, and asks of an older one that doesn't know it.
UNKNOWN_TO_OLDER = ("CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=",)
# Types for BPF, which need pahole and are of no use here.
WITHOUT_BTF = "CONFIG_DEBUG_INFO_BTF_MODULES="


@dataclass(frozen=True)
class Builder:
    """What modules for one kernel are built with.

    `headers` is the folder of the kernel's own ones, in the folder that has the common ones too; the kernel calls the
    architecture so, and the names of the compiler and its programs begin with the prefix. With `any_version` the
    prefix's gcc does where the kernel's own compiler isn't here.
    """

    headers: Path
    architecture: str
    prefix: str = ""
    any_version: bool = False

    @property
    def compiler(self) -> str:
        """The compiler that modules are built with."""
        kernels = self._kernels_compiler()
        return f"{self.prefix}gcc" if self.any_version and shutil.which(kernels) is None else kernels

    def _kernels_compiler(self) -> str:
        named = re.search(r'^CONFIG_CC_VERSION_TEXT="(\S+)', (self.headers / ".config").read_text(), re.MULTILINE)
        if not named:
            raise MachineError(f"{self.headers / '.config'} doesn't say which compiler the kernel was built with")
        return self.prefix + named[1].removeprefix(self.prefix)

    def missing_programs(self) -> list[str]:
        """What isn't here and is needed to build modules."""
        return [program for program in ("make", self.compiler) if shutil.which(program) is None]

    def built(self, source: Path, folder: Path) -> Path:
        """The one module whose source is in that folder, built in a new folder."""
        shutil.copytree(source, folder)
        (common,) = self.headers.parent.glob("linux-headers-*-common")
        command = [
            "make", "-C", str(self.headers), "-f", str(common / "Makefile"), f"M={folder}",
            f"KBUILD_OUTPUT={self.headers}", f"ARCH={self.architecture}", f"CROSS_COMPILE={self.prefix}",
            f"CC={self.compiler}", "W=1", WITHOUT_BTF, "modules",
            *(() if self.compiler == self._kernels_compiler() else UNKNOWN_TO_OLDER),
        ]  # fmt: skip
        # A make that runs this test hands its options on, which aren't meant for this one.
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            failed = f"{shlex.join(command)} failed with status {done.returncode}"
            raise MachineError(f"{failed}:\n{done.stdout}{done.stderr}")
        (module,) = folder.glob("*.ko")
        return module

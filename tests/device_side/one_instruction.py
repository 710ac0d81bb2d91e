# SPDX-License-Identifier: GPL-2.0-or-later
"""One load or store instruction at an address of choice, on x86-64: what an access through the outer CPU looks like."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable

PAGE = 4096
RET = b"\xc3"
# rdi is the first argument, rsi the second, rax the result.
LOADS = {
    1: b"\x0f\xb6\x07",  # movzx eax, byte [rdi]
    2: b"\x0f\xb7\x07",  # movzx eax, word [rdi]
    4: b"\x8b\x07",  # mov eax, [rdi]
    8: b"\x48\x8b\x07",  # mov rax, [rdi]
}
STORES = {
    1: b"\x40\x88\x37",  # mov [rdi], sil
    2: b"\x66\x89\x37",  # mov [rdi], si
    4: b"\x89\x37",  # mov [rdi], esi
    8: b"\x48\x89\x37",  # mov [rdi], rsi
}


class OneInstruction:
    """Loads and stores of each width, each by its one instruction."""

    def __init__(self) -> None:
        self._code = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._begin = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        load, store = (
            ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p),
            ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64),
        )
        self.load: dict[int, Callable[[int], int]] = {
            width: load(self._begin + self._add(code)) for width, code in LOADS.items()
        }
        self.store: dict[int, Callable[[int, int], None]] = {
            width: store(self._begin + self._add(code)) for width, code in STORES.items()
        }

    def _add(self, instruction: bytes) -> int:
        """Put a function of this instruction into the page; its offset there."""
        at = self._code.tell()
        self._code.write(instruction + RET)
        return at

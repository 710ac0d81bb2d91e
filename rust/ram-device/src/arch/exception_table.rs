// SPDX-License-Identifier: GPL-2.0-or-later

//! A bus error in an access to a device is that access's failure (C7).
//!
//! When a device stops decoding its BAR (memory-enable cleared, reset, D3),
//! VFIO takes the pages away, and the next access is a SIGBUS (`vfio_pci_core`'s
//! `vfio_pci_mmap_fault()` returns `VM_FAULT_SIGBUS`).  Real hardware answers such a read
//! with all ones and drops such a write.  So does this crate: each access to a
//! device puts its own address into a table, with the address where execution
//! goes on if it faults.  QEMU's signal handler asks [`fixup()`]; no instruction
//! that isn't in the table may fault.
//!
//! The table is a section of the emulator, made by assembler and linker as
//! Linux's `__ex_table` is; nothing is registered at run time.

use core::ptr::addr_of;

use super::Word;

/// One instruction that may fault, and where to go on.  Both are relative to
/// their own place, so that the table needs no relocation at load time.
type Entry = [i32; 2];

// The linker's names for the bounds of a section whose name is a C identifier.
// They have no length: there need not be an entry at the first, and there is
// none at the second.
extern "C" {
    static __start_ram_device_faults: [Entry; 0];
    static __stop_ram_device_faults: [Entry; 0];
}

/// The address that one number of an entry stands for.
///
/// # Safety
///
/// `field` must be in an entry of the table.
unsafe fn absolute(field: *const i32) -> usize {
    // SAFETY: the caller's; the table is mapped, and never written.
    let relative = unsafe { u32::ram_load(field.cast()) } as i32;
    (field as usize).wrapping_add(relative as usize)
}

/// Where to go on after a fault of the instruction at `pc`, if that is an
/// access to a device by this crate.
///
/// Async-signal-safe: it reads constant memory and nothing else.
pub fn fixup(pc: usize) -> Option<usize> {
    let (mut entry, stop) = bounds();
    while entry != stop {
        let instruction: *const i32 = entry.cast();
        // SAFETY: the two numbers of an entry, which is before the table's end.
        let (at, go_on) = unsafe { (absolute(instruction), absolute(instruction.wrapping_add(1))) };
        if at == pc {
            return Some(go_on);
        }
        entry = entry.wrapping_add(1);
    }
    None
}

/// The first entry, and the end of the table.
// Before Rust 1.82 the address of an extern static is unsafe to take.
#[allow(unused_unsafe)]
#[inline(always)]
fn bounds() -> (*const Entry, *const Entry) {
    // SAFETY: only the addresses are taken.
    unsafe {
        (
            addr_of!(__start_ram_device_faults).cast(),
            addr_of!(__stop_ram_device_faults).cast(),
        )
    }
}

#[cfg(test)]
mod tests;

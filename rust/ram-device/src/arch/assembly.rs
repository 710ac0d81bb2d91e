// SPDX-License-Identifier: GPL-2.0-or-later

//! What the architectures with assembly have in common.

use super::DeviceAddr;

/// The assembly of an access that is in the exception table: `$access` itself,
/// and `$fixup`, which is executed instead when it faults.
#[cfg(target_os = "linux")]
macro_rules! in_exception_table {
    ($access:literal, $($fixup:literal),+) => {
        concat!(
            "2: ", $access, "\n",
            "3:\n",
            ".pushsection .text.ram_device_fault, \"ax\", @progbits\n",
            "4:\n", $($fixup, "\n",)+
            ".popsection\n",
            ".pushsection ram_device_faults, \"aR\", @progbits\n",
            ".balign 4\n",
            ".long 2b - .\n",
            ".long 4b - .\n",
            ".popsection",
        )
    };
}

/// The assembly of an access on hosts without an exception table: the fix-up is
/// a comment.
#[cfg(not(target_os = "linux"))]
macro_rules! in_exception_table {
    ($access:literal, $($fixup:literal),+) => {
        concat!($access, " /* ", $($fixup, "; ",)+ "*/")
    };
}

/// Implements [`Word`](super::Word) with one instruction each way.
///
/// The base register stands alone in the operand: no displacement, no index,
/// no writeback (C4).  A fault executes `ones` if it is a load's, `note` and
/// `go_on`: they are out of the way, and the compiler sees all registers that
/// they change.
macro_rules! words {
    (
        note: $note:literal,
        go_on: $go_on:literal,
        $($word:ty: $register:ident {
            load: $load:literal,
            store: $store:literal,
            ones: $ones:literal,
        })+
    ) => {$(
        // SAFETY: an integer of a register's width or less; each function is
        // the one instruction of that width, with `addr` as its operand.
        unsafe impl super::Word for $word {
            #[inline(always)]
            fn truncated(value: u64) -> Self {
                // Truncation is what is asked for.
                value as Self
            }

            #[inline(always)]
            unsafe fn device_load(addr: DeviceAddr, vanished: &mut u32) -> Self {
                let value: Self;
                // SAFETY: one load; the caller vouches for the address, and a
                // fault is fixed up.
                unsafe {
                    core::arch::asm!(
                        in_exception_table!($load, $ones, $note, $go_on),
                        value = out($register) value,
                        addr = in(reg) addr.0,
                        vanished = inout(reg) *vanished,
                        options(nostack, preserves_flags),
                    );
                }
                value
            }

            #[inline(always)]
            unsafe fn device_store(addr: DeviceAddr, value: Self, vanished: &mut u32) {
                // SAFETY: one store; the caller vouches for the address, and a
                // fault is fixed up.
                unsafe {
                    core::arch::asm!(
                        in_exception_table!($store, $note, $go_on),
                        value = in($register) value,
                        addr = in(reg) addr.0,
                        vanished = inout(reg) *vanished,
                        options(nostack, preserves_flags),
                    );
                }
            }

            #[inline(always)]
            unsafe fn ram_load(addr: *const u8) -> Self {
                let value: Self;
                // SAFETY: one load; the caller vouches for the address, and
                // RAM may be accessed at any.
                unsafe {
                    core::arch::asm!(
                        $load,
                        value = out($register) value,
                        addr = in(reg) addr,
                        options(nostack, preserves_flags),
                    );
                }
                value
            }

            #[inline(always)]
            unsafe fn ram_store(addr: *mut u8, value: Self) {
                // SAFETY: one store; the caller vouches for the address, and
                // RAM may be accessed at any.
                unsafe {
                    core::arch::asm!(
                        $store,
                        value = in($register) value,
                        addr = in(reg) addr,
                        options(nostack, preserves_flags),
                    );
                }
            }
        }
    )+};
}

/// The same addresses, of which the compiler doesn't know what they were
/// computed from.  It computes the addresses near by from these then, each with
/// a plain addition, where it would add up base, offset and displacement for
/// each one (on x86-64 that is a slower instruction, and there are two to a
/// word).
#[inline(always)]
pub fn opaque(mut device: DeviceAddr, mut ram: *mut u8) -> (DeviceAddr, *mut u8) {
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!(
            "/* {device} {ram} */",
            device = inout(reg) device.0,
            ram = inout(reg) ram,
            options(nostack, preserves_flags),
        );
    }
    (device, ram)
}

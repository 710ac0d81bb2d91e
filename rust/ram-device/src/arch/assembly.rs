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

/// The assembly of eight accesses, upwards, that are in the exception table.
///
/// `$access` moves `\value`, which becomes `{v0}` to `{v7}` in turn, and `$next`
/// adds 8 to the address.  A fault of the nth executes `$fixup` for the nth to
/// the last one, then `$end`, so that no further access is made: each one would
/// be another fault, for which a kernel may take half a minute.
#[cfg(target_os = "linux")]
macro_rules! eight_in_exception_table {
    ($access:literal, $next:literal, $fixup:literal, $($end:literal),+) => {
        concat!(
            ".irp value, {v0}, {v1}, {v2}, {v3}, {v4}, {v5}, {v6}, {v7}\n",
            "2: ", $access, "\n",
            $next, "\n",
            ".pushsection .text.ram_device_fault, \"ax\", @progbits\n",
            "4:\n", $fixup, "\n",
            ".popsection\n",
            ".pushsection ram_device_faults, \"aR\", @progbits\n",
            ".balign 4\n",
            ".long 2b - .\n",
            ".long 4b - .\n",
            ".popsection\n",
            ".endr\n",
            "3:\n",
            ".pushsection .text.ram_device_fault, \"ax\", @progbits\n",
            $($end, "\n",)+
            ".popsection",
        )
    };
}

/// The assembly of eight accesses on hosts without an exception table.
#[cfg(not(target_os = "linux"))]
macro_rules! eight_in_exception_table {
    ($access:literal, $next:literal, $fixup:literal, $($end:literal),+) => {
        concat!(
            ".irp value, {v0}, {v1}, {v2}, {v3}, {v4}, {v5}, {v6}, {v7}\n",
            $access, "\n",
            $next, "\n",
            ".endr /* ", $fixup, $("; ", $end,)+ " */",
        )
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

/// Implements the copies of eight words; `load` and `store` move `\value`.
macro_rules! eight_words {
    (
        note: $note:literal,
        go_on: $go_on:literal,
        load: $load:literal,
        store: $store:literal,
        next: $next:literal,
        ones: $ones:literal,
    ) => {
        /// Loads eight words from the device, one after the other, upwards.  If
        /// one faults, it and those after it are all ones, `vanished` becomes 1,
        /// and no further access is made.
        ///
        /// # Safety
        ///
        /// As [`Word::device_load`](super::Word::device_load), for each word.
        #[inline(always)]
        pub unsafe fn device_load_eight(addr: DeviceAddr, vanished: &mut u32) -> [u64; 8] {
            let mut words = [0; 8];
            let [v0, v1, v2, v3, v4, v5, v6, v7] = &mut words;
            // SAFETY: eight loads; the caller vouches for the addresses, and a
            // fault is fixed up.
            unsafe {
                core::arch::asm!(
                    eight_in_exception_table!($load, $next, $ones, $note, $go_on),
                    v0 = out(reg) *v0,
                    v1 = out(reg) *v1,
                    v2 = out(reg) *v2,
                    v3 = out(reg) *v3,
                    v4 = out(reg) *v4,
                    v5 = out(reg) *v5,
                    v6 = out(reg) *v6,
                    v7 = out(reg) *v7,
                    addr = inout(reg) addr.0 => _,
                    vanished = inout(reg) *vanished,
                    options(nostack, preserves_flags),
                );
            }
            words
        }

        /// Stores eight words to the device, one after the other, upwards.  If
        /// one faults, `vanished` becomes 1, and no further access is made.
        ///
        /// # Safety
        ///
        /// As [`Word::device_store`](super::Word::device_store), for each word.
        #[inline(always)]
        pub unsafe fn device_store_eight(addr: DeviceAddr, words: [u64; 8], vanished: &mut u32) {
            let [v0, v1, v2, v3, v4, v5, v6, v7] = words;
            // SAFETY: eight stores; the caller vouches for the addresses, and a
            // fault is fixed up.
            unsafe {
                core::arch::asm!(
                    eight_in_exception_table!($store, $next, "", $note, $go_on),
                    v0 = in(reg) v0,
                    v1 = in(reg) v1,
                    v2 = in(reg) v2,
                    v3 = in(reg) v3,
                    v4 = in(reg) v4,
                    v5 = in(reg) v5,
                    v6 = in(reg) v6,
                    v7 = in(reg) v7,
                    addr = inout(reg) addr.0 => _,
                    vanished = inout(reg) *vanished,
                    options(nostack, preserves_flags),
                );
            }
        }
    };
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

// SPDX-License-Identifier: GPL-2.0-or-later

//! One access of one width (C3, C4).
//!
//! Everything that touches memory passes through [`Port`], so that a test can
//! put a recorder in its place.  The real one, [`Native`], is inline assembly
//! on x86-64 and aarch64: rustc may turn a loop of `write_volatile()` into
//! stores with writeback (rust-lang/rust#131894), which KVM cannot decode when
//! it has to emulate the access.  Linux does the same in
//! `arch/arm64/include/asm/io.h`.
//!
//! Ordering: none beyond program order.  The assembly is taken to read and
//! write all of memory, so the compiler moves no access across it.
//!
//! A device may vanish at any time, and an access to it is a SIGBUS then (C7).
//! So each instruction on the device side has an entry in the table of
//! [`fault`](crate::fault) that says where execution goes on: after the
//! instruction, with all ones for a load and with a note that it has failed.

use crate::plan::Misaligned;

/// An unsigned integer that one access can move.
pub trait Word: Copy + Into<u64> {
    /// The low bytes of `value`.
    fn truncated(value: u64) -> Self;

    /// Loads from the device at `addr` with one instruction.  If that faults,
    /// the value is all ones and `vanished` becomes 1.
    ///
    /// # Safety
    ///
    /// As [`Word::load`], but what is mapped may be a device that has gone.
    unsafe fn device_load(addr: *const u8, vanished: &mut u32) -> Self;

    /// Stores to the device at `addr` with one instruction.  If that faults,
    /// nothing is stored and `vanished` becomes 1.
    ///
    /// # Safety
    ///
    /// As [`Word::store`], but what is mapped may be a device that has gone.
    unsafe fn device_store(addr: *mut u8, value: Self, vanished: &mut u32);

    /// Loads from `addr` with one instruction.
    ///
    /// # Safety
    ///
    /// `addr` must be mapped readable for the width of `Self`, and aligned
    /// unless the host allows a misaligned access to what is mapped there.
    unsafe fn load(addr: *const u8) -> Self;

    /// Stores to `addr` with one instruction.
    ///
    /// # Safety
    ///
    /// `addr` must be mapped writable for the width of `Self`, and aligned
    /// unless the host allows a misaligned access to what is mapped there.  No
    /// Rust reference to that memory may be live.
    unsafe fn store(addr: *mut u8, value: Self);
}

/// The way to the device side of a transfer.
pub trait Port {
    /// What a misaligned transfer of 2, 4 or 8 bytes becomes (C1).
    const MISALIGNED: Misaligned;

    /// Has the device vanished under an access that was made through this port?
    fn has_vanished(&self) -> bool;

    /// One load from the device.
    ///
    /// # Safety
    ///
    /// As [`Word::device_load`].
    unsafe fn load<W: Word>(&mut self, addr: *const u8) -> W;

    /// One store to the device.
    ///
    /// # Safety
    ///
    /// As [`Word::device_store`].
    unsafe fn store<W: Word>(&mut self, addr: *mut u8, value: W);
}

/// The real device, at host virtual addresses.
#[derive(Debug, Default)]
pub struct Native {
    vanished: u32,
}

impl Port for Native {
    const MISALIGNED: Misaligned = if cfg!(target_arch = "x86_64") {
        Misaligned::OneAccess
    } else {
        Misaligned::Split
    };

    #[inline(always)]
    fn has_vanished(&self) -> bool {
        self.vanished != 0
    }

    #[inline(always)]
    unsafe fn load<W: Word>(&mut self, addr: *const u8) -> W {
        // SAFETY: the caller's obligation is the same.
        unsafe { W::device_load(addr, &mut self.vanished) }
    }

    #[inline(always)]
    unsafe fn store<W: Word>(&mut self, addr: *mut u8, value: W) {
        // SAFETY: the caller's obligation is the same.
        unsafe { W::device_store(addr, value, &mut self.vanished) }
    }
}

/// The assembly of an access that is in the table: `$access` itself, and
/// `$on_fault`, which is executed instead when it faults.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
macro_rules! faulting {
    ($access:literal, $jump:literal, $($on_fault:literal),+) => {
        concat!(
            "2: ", $access, "\n",
            "3:\n",
            ".pushsection .text.ram_device_fault, \"ax\", @progbits\n",
            "4:\n", $($on_fault, "\n",)+
            $jump, " 3b\n",
            ".popsection\n",
            ".pushsection ram_device_faults, \"aR\", @progbits\n",
            ".balign 4\n",
            ".long 2b - .\n",
            ".long 4b - .\n",
            ".popsection",
        )
    };
}

/// Implements [`Word`] for `$word` with one instruction each way.
///
/// The base register stands alone in the operand: no displacement, no index,
/// no writeback (C4).  `$jump`, `$ones` and `$note` are what a fault executes:
/// they are out of the way, and the compiler sees all registers that they
/// change.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! asm_word {
    ($word:ty, $register:ident, $load:literal, $store:literal, $jump:literal, $ones:literal, $note:literal) => {
        impl Word for $word {
            fn truncated(value: u64) -> Self {
                // Truncation is what is asked for.
                value as Self
            }

            #[cfg(target_os = "linux")]
            #[inline(always)]
            unsafe fn device_load(addr: *const u8, vanished: &mut u32) -> Self {
                let value: Self;
                // SAFETY: one load; the caller vouches for the address, and a
                // fault is fixed up.
                unsafe {
                    core::arch::asm!(
                        faulting!($load, $jump, $ones, $note),
                        value = out($register) value,
                        addr = in(reg) addr,
                        vanished = inout(reg) *vanished,
                        options(nostack, preserves_flags),
                    );
                }
                value
            }

            #[cfg(target_os = "linux")]
            #[inline(always)]
            unsafe fn device_store(addr: *mut u8, value: Self, vanished: &mut u32) {
                // SAFETY: one store; the caller vouches for the address, and a
                // fault is fixed up.
                unsafe {
                    core::arch::asm!(
                        faulting!($store, $jump, $note),
                        value = in($register) value,
                        addr = in(reg) addr,
                        vanished = inout(reg) *vanished,
                        options(nostack, preserves_flags),
                    );
                }
            }

            #[cfg(not(target_os = "linux"))]
            #[inline(always)]
            unsafe fn device_load(addr: *const u8, _vanished: &mut u32) -> Self {
                // SAFETY: the caller vouches for the address.
                unsafe { Self::load(addr) }
            }

            #[cfg(not(target_os = "linux"))]
            #[inline(always)]
            unsafe fn device_store(addr: *mut u8, value: Self, _vanished: &mut u32) {
                // SAFETY: the caller vouches for the address.
                unsafe { Self::store(addr, value) }
            }

            #[inline(always)]
            unsafe fn load(addr: *const u8) -> Self {
                let value: Self;
                // SAFETY: one load; the caller vouches for the address.
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
            unsafe fn store(addr: *mut u8, value: Self) {
                // SAFETY: one store; the caller vouches for the address.
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
    };
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Word;

    macro_rules! word {
        ($word:ty, $register:ident, $load:literal, $store:literal, $ones:literal) => {
            asm_word!(
                $word,
                $register,
                $load,
                $store,
                "jmp",
                $ones,
                "mov {vanished:e}, 1"
            );
        };
    }

    word!(
        u8,
        reg_byte,
        "mov {value}, byte ptr [{addr}]",
        "mov byte ptr [{addr}], {value}",
        "mov {value}, 0xff"
    );
    word!(
        u16,
        reg,
        "mov {value:x}, word ptr [{addr}]",
        "mov word ptr [{addr}], {value:x}",
        "mov {value:e}, 0xffff"
    );
    word!(
        u32,
        reg,
        "mov {value:e}, dword ptr [{addr}]",
        "mov dword ptr [{addr}], {value:e}",
        "mov {value:e}, 0xffffffff"
    );
    word!(
        u64,
        reg,
        "mov {value:r}, qword ptr [{addr}]",
        "mov qword ptr [{addr}], {value:r}",
        "mov {value:r}, -1"
    );
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::Word;

    macro_rules! word {
        ($word:ty, $load:literal, $store:literal) => {
            asm_word!(
                $word,
                reg,
                $load,
                $store,
                "b",
                "mov {value:x}, #-1",
                "mov {vanished:w}, #1"
            );
        };
    }

    word!(u8, "ldrb {value:w}, [{addr}]", "strb {value:w}, [{addr}]");
    word!(u16, "ldrh {value:w}, [{addr}]", "strh {value:w}, [{addr}]");
    word!(u32, "ldr {value:w}, [{addr}]", "str {value:w}, [{addr}]");
    word!(u64, "ldr {value:x}, [{addr}]", "str {value:x}, [{addr}]");
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod volatile {
    use super::Word;

    /// Implements [`Word`] for `$word` with volatile accesses (C4, "other
    /// hosts").
    macro_rules! volatile_word {
        ($word:ty) => {
            impl Word for $word {
                fn truncated(value: u64) -> Self {
                    // Truncation is what is asked for.
                    value as Self
                }

                #[inline(always)]
                unsafe fn device_load(addr: *const u8, _vanished: &mut u32) -> Self {
                    // SAFETY: the caller vouches for the address.
                    unsafe { Self::load(addr) }
                }

                #[inline(always)]
                unsafe fn device_store(addr: *mut u8, value: Self, _vanished: &mut u32) {
                    // SAFETY: the caller vouches for the address.
                    unsafe { Self::store(addr, value) }
                }

                #[inline(always)]
                unsafe fn load(addr: *const u8) -> Self {
                    // SAFETY: the caller vouches for the address.
                    unsafe { addr.cast::<Self>().read_volatile() }
                }

                #[inline(always)]
                unsafe fn store(addr: *mut u8, value: Self) {
                    // SAFETY: the caller vouches for the address.
                    unsafe { addr.cast::<Self>().write_volatile(value) }
                }
            }
        };
    }

    volatile_word!(u8);
    volatile_word!(u16);
    volatile_word!(u32);
    volatile_word!(u64);
}

/// The same address, of which the compiler doesn't know what it was computed
/// from.  It computes the addresses near by from this one then, each with a
/// plain addition, where it would add up base, offset and displacement for each
/// one (on x86-64 that is a slower instruction, and there are two to a word).
#[inline(always)]
pub fn opaque(addr: *const u8) -> *const u8 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut same = addr;
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!(
                "/* {same} */",
                same = inout(reg) same,
                options(nostack, preserves_flags),
            );
        }
        same
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    addr
}

/// [`opaque`] for an address that is written to.
#[inline(always)]
#[allow(clippy::ptr_cast_constness)] // cast_mut() came with Rust 1.65
pub fn opaque_mut(addr: *mut u8) -> *mut u8 {
    opaque(addr) as *mut u8
}

/// Loads from the RAM side, at any alignment (C5).
///
/// The guest may write there at the same time; on x86-64 and aarch64 the
/// instruction is assembly, so that such a race is the hardware's to define.
///
/// # Safety
///
/// `addr` must be mapped readable for the width of `W`.
#[inline(always)]
pub unsafe fn ram_load<W: Word>(addr: *const u8) -> W {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        // SAFETY: mapped, says the caller; the host allows a misaligned access
        // to RAM.
        unsafe { W::load(addr) }
    } else {
        // SAFETY: mapped, says the caller.
        unsafe { addr.cast::<W>().read_unaligned() }
    }
}

/// Stores to the RAM side, at any alignment (C5).
///
/// # Safety
///
/// `addr` must be mapped writable for the width of `W`.  No Rust reference to
/// that memory may be live.
#[inline(always)]
pub unsafe fn ram_store<W: Word>(addr: *mut u8, value: W) {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        // SAFETY: mapped, says the caller; the host allows a misaligned access
        // to RAM.
        unsafe { W::store(addr, value) }
    } else {
        // SAFETY: mapped, says the caller.
        unsafe { addr.cast::<W>().write_unaligned(value) }
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The accesses of every other host (C4, "other hosts").

use crate::plan::Misaligned;

/// What becomes of a misaligned access to a device (C1).
pub const MISALIGNED: Misaligned = Misaligned::Split;

/// Implements [`Word`](super::Word) for `$word` with volatile accesses.
macro_rules! words {
    ($($word:ty)+) => {$(
        impl crate::arch::Word for $word {
            fn truncated(value: u64) -> Self {
                // Truncation is what is asked for.
                value as Self
            }

            #[inline(always)]
            unsafe fn device_load(addr: *const u8, _vanished: &mut u32) -> Self {
                // SAFETY: mapped and aligned, says the caller.
                unsafe { addr.cast::<Self>().read_volatile() }
            }

            #[inline(always)]
            unsafe fn device_store(addr: *mut u8, value: Self, _vanished: &mut u32) {
                // SAFETY: mapped and aligned, says the caller.
                unsafe { addr.cast::<Self>().write_volatile(value) }
            }

            #[inline(always)]
            unsafe fn ram_load(addr: *const u8) -> Self {
                // SAFETY: mapped, says the caller.
                unsafe { addr.cast::<Self>().read_unaligned() }
            }

            #[inline(always)]
            unsafe fn ram_store(addr: *mut u8, value: Self) {
                // SAFETY: mapped, says the caller.
                unsafe { addr.cast::<Self>().write_unaligned(value) }
            }
        }
    )+};
}

words! { u8 u16 u32 u64 }

/// The same address.
#[inline(always)]
pub fn opaque(addr: *const u8) -> *const u8 {
    addr
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The accesses of every other host (C4, "other hosts").
//!
//! The compiler makes one instruction of each, except where the host has none: a
//! `u64` on a host of 32 bits, and misaligned RAM where only bytes may lie
//! anywhere.  Both are made of narrower ones then.

use core::mem::size_of;

use super::{DeviceAddr, Word};
use crate::plan::Misaligned;

/// What becomes of a misaligned access to a device (C1).
pub const MISALIGNED: Misaligned = Misaligned::Split;

/// Implements [`Word`] for `$word` with volatile accesses.
macro_rules! words {
    ($($word:ty)+) => {$(
        // SAFETY: an integer of 8 bytes or less; each function accesses one at
        // `addr`, and rustc accesses no byte of a volatile one twice.
        unsafe impl Word for $word {
            #[inline(always)]
            fn truncated(value: u64) -> Self {
                // Truncation is what is asked for.
                value as Self
            }

            #[inline(always)]
            unsafe fn device_load(addr: DeviceAddr, _vanished: &mut u32) -> Self {
                // SAFETY: mapped and aligned, says the caller.
                unsafe { (addr.0 as *const Self).read_volatile() }
            }

            #[inline(always)]
            unsafe fn device_store(addr: DeviceAddr, value: Self, _vanished: &mut u32) {
                // SAFETY: mapped and aligned, says the caller.
                unsafe { (addr.0 as *mut Self).write_volatile(value) }
            }

            #[inline(always)]
            unsafe fn ram_load(addr: *const u8) -> Self {
                let addr: *const Self = addr.cast();
                // SAFETY: mapped, says the caller.
                unsafe {
                    if addr as usize % size_of::<Self>() == 0 {
                        addr.read_volatile()
                    } else {
                        addr.read_unaligned()
                    }
                }
            }

            #[inline(always)]
            unsafe fn ram_store(addr: *mut u8, value: Self) {
                let addr: *mut Self = addr.cast();
                // SAFETY: mapped, says the caller.
                unsafe {
                    if addr as usize % size_of::<Self>() == 0 {
                        addr.write_volatile(value)
                    } else {
                        addr.write_unaligned(value)
                    }
                }
            }
        }
    )+};
}

words! { u8 u16 u32 u64 }

/// Loads eight words from the device, one after the other, upwards.
///
/// # Safety
///
/// As [`Word::device_load`], for each word.
#[inline(always)]
pub unsafe fn device_load_eight(addr: DeviceAddr, vanished: &mut u32) -> [u64; 8] {
    let mut words = [0; 8];
    for (i, word) in words.iter_mut().enumerate() {
        // SAFETY: one of the caller's eight.
        *word = unsafe { u64::device_load(addr.offset(i * 8), vanished) };
    }
    words
}

/// Stores eight words to the device, one after the other, upwards.
///
/// # Safety
///
/// As [`Word::device_store`], for each word.
#[inline(always)]
pub unsafe fn device_store_eight(addr: DeviceAddr, words: [u64; 8], vanished: &mut u32) {
    for (i, word) in words.iter().enumerate() {
        // SAFETY: one of the caller's eight.
        unsafe { u64::device_store(addr.offset(i * 8), *word, vanished) }
    }
}

/// The same addresses.
#[inline(always)]
pub fn opaque(device: DeviceAddr, ram: *mut u8) -> (DeviceAddr, *mut u8) {
    (device, ram)
}

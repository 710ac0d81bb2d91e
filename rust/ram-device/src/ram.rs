// SPDX-License-Identifier: GPL-2.0-or-later

//! Ordinary RAM: a DMA of one word is one store.
//!
//! libc's `memmove()` may store a byte more than once (glibc's on aarch64 stores
//! a single byte three times), or a word in parts.  A driver that polls memory
//! while a device model writes there could see what was never written, or
//! overwrite it too early.

use crate::{arch::Word, plan::Width};

/// Moves a `W` from RAM to RAM.
///
/// # Safety
///
/// As [`move_word()`].
#[inline(always)]
unsafe fn one<W: Word>(to: *mut u8, from: *const u8) {
    // SAFETY: the caller vouches for both sides.
    unsafe {
        W::ram_store(to, W::ram_load(from));
    }
}

/// Moves `width` bytes from RAM to RAM by one load and one store, at any
/// alignment.  No ordering beyond program order; only aligned ones are atomic.
///
/// # Safety
///
/// `from` must be mapped readable and `to` writable for `width` bytes, and no
/// Rust reference to the latter may be live.
pub unsafe fn move_word(to: *mut u8, from: *const u8, width: Width) {
    // SAFETY: the caller's obligation is the same.
    unsafe {
        match width {
            Width::One => one::<u8>(to, from),
            Width::Two => one::<u16>(to, from),
            Width::Four => one::<u32>(to, from),
            Width::Eight => one::<u64>(to, from),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::ram_move_word;

    /// Room for 8 bytes at each alignment, with guards on both sides.
    const LEN: usize = 48;
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(align(16))]
    struct Memory([u8; LEN]);

    impl Memory {
        /// Bytes that tell where they stand; `seed` keeps two memories apart.
        fn new(seed: u8) -> Self {
            let mut bytes = [0; LEN];
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = (i as u8).wrapping_mul(37).wrapping_add(seed);
            }
            Self(bytes)
        }
    }

    /// Each pair of alignments: indices into two memories.
    fn at_every_alignment(mut check: impl FnMut(usize, usize)) {
        for to in 16..32 {
            for from in 16..32 {
                check(to, from);
            }
        }
    }

    fn a_word_and_nothing_beside_it_is_moved(width: Width) {
        at_every_alignment(|to, from| {
            let source = Memory::new(1);
            let mut target = Memory::new(101);
            let mut expected = target;
            expected.0[to..to + width.bytes()]
                .copy_from_slice(&source.0[from..from + width.bytes()]);
            // SAFETY: both memories are long enough for the widest word.
            unsafe {
                move_word(
                    target.0[to..].as_mut_ptr(),
                    source.0[from..].as_ptr(),
                    width,
                );
            }
            assert_eq!(target, expected, "to {to}, from {from}");
            assert_eq!(source, Memory::new(1));
        });
    }

    #[test]
    fn one_byte_is_moved_at_every_alignment() {
        a_word_and_nothing_beside_it_is_moved(Width::One);
    }

    #[test]
    fn two_bytes_are_moved_at_every_alignment() {
        a_word_and_nothing_beside_it_is_moved(Width::Two);
    }

    #[test]
    fn four_bytes_are_moved_at_every_alignment() {
        a_word_and_nothing_beside_it_is_moved(Width::Four);
    }

    #[test]
    fn eight_bytes_are_moved_at_every_alignment() {
        a_word_and_nothing_beside_it_is_moved(Width::Eight);
    }

    #[test]
    fn where_both_sides_overlap_the_word_arrives_as_it_was() {
        // It is loaded whole before any of it is stored.
        for width in [Width::One, Width::Two, Width::Four, Width::Eight] {
            at_every_alignment(|to, from| {
                let mut memory = Memory::new(1);
                let mut expected = memory;
                expected.0.copy_within(from..from + width.bytes(), to);
                let start = memory.0.as_mut_ptr();
                // SAFETY: the memory is long enough for the widest word.
                unsafe {
                    move_word(start.wrapping_add(to), start.wrapping_add(from), width);
                }
                assert_eq!(memory, expected, "to {to}, from {from}");
            });
        }
    }

    #[test]
    fn c_moves_words_only_and_is_told_so() {
        let source = Memory::new(1);
        for len in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 0x1_0000_0001, u64::MAX] {
            let mut target = Memory::new(101);
            let mut expected = target;
            let is_word = matches!(len, 1 | 2 | 4 | 8);
            if is_word {
                let end = 16 + len as usize;
                expected.0[16..end].copy_from_slice(&source.0[16..end]);
            }
            let (to, from) = (target.0[16..].as_mut_ptr(), source.0[16..].as_ptr());
            // SAFETY: both memories are long enough for the widest word.
            let is_moved = unsafe { ram_move_word(to.cast(), from.cast(), len) };
            assert_eq!(is_moved, is_word, "{len}");
            assert_eq!(target, expected, "{len}");
        }
    }

    #[test]
    fn a_length_that_is_no_words_touches_neither_side() {
        // Addresses at which any access would fault.
        let (to, from) = (8 as *mut _, 16 as *const _);
        for len in [0, 3, 5, 6, 7, 9, u64::MAX] {
            // SAFETY: nothing is accessed, as the doc says.
            assert!(!unsafe { ram_move_word(to, from, len) }, "{len}");
        }
    }
}

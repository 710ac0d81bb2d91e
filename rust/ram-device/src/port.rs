// SPDX-License-Identifier: GPL-2.0-or-later

//! The way to the device side of a transfer.
//!
//! Every access to a device passes through [`Port`], so that a test can put a
//! recorder in its place.  The real one is [`Native`].

use crate::{
    arch::{self, DeviceAddr, Word},
    plan::Misaligned,
    Error,
};

/// The way to the device side of a transfer.
///
/// # Safety
///
/// The functions must access the device's `size_of::<W>()` bytes at `addr`, or
/// eight times eight bytes, in the direction that their name says, and no other
/// memory that their caller could know of.
pub unsafe trait Port {
    /// What a misaligned transfer of 2, 4 or 8 bytes becomes (C1).
    const MISALIGNED: Misaligned;

    /// Has the device vanished under an access that was made through this port?
    fn has_vanished(&self) -> bool;

    /// What has come of the accesses that were made through this port.
    #[inline(always)]
    fn result(&self) -> Result<(), Error> {
        if self.has_vanished() {
            Err(Error::Vanished)
        } else {
            Ok(())
        }
    }

    /// One load from the device.
    ///
    /// # Safety
    ///
    /// As [`Word::device_load`].
    unsafe fn load<W: Word>(&mut self, addr: DeviceAddr) -> W;

    /// One store to the device.
    ///
    /// # Safety
    ///
    /// As [`Word::device_store`].
    unsafe fn store<W: Word>(&mut self, addr: DeviceAddr, value: W);

    /// Eight loads of eight bytes, upwards, up to the first one under which the
    /// device vanishes.
    ///
    /// # Safety
    ///
    /// As [`Word::device_load`], for each word.
    #[inline(always)]
    unsafe fn load_eight(&mut self, addr: DeviceAddr) -> [u64; 8] {
        let mut words = [u64::MAX; 8];
        for (i, word) in words.iter_mut().enumerate() {
            if !self.has_vanished() {
                // SAFETY: one of the caller's eight.
                *word = unsafe { self.load(addr.offset(i * 8)) };
            }
        }
        words
    }

    /// Eight stores of eight bytes, upwards, up to the first one under which the
    /// device vanishes.
    ///
    /// # Safety
    ///
    /// As [`Word::device_store`], for each word.
    #[inline(always)]
    unsafe fn store_eight(&mut self, addr: DeviceAddr, words: [u64; 8]) {
        for (i, word) in words.iter().enumerate() {
            if !self.has_vanished() {
                // SAFETY: one of the caller's eight.
                unsafe { self.store(addr.offset(i * 8), *word) }
            }
        }
    }
}

/// The real device, at host virtual addresses.
#[derive(Debug, Default)]
pub struct Native {
    vanished: u32,
}

// SAFETY: they are the accesses that the host's `arch` makes.
unsafe impl Port for Native {
    const MISALIGNED: Misaligned = arch::MISALIGNED;

    #[inline(always)]
    fn has_vanished(&self) -> bool {
        self.vanished != 0
    }

    #[inline(always)]
    unsafe fn load<W: Word>(&mut self, addr: DeviceAddr) -> W {
        // SAFETY: the caller's obligation is the same.
        unsafe { W::device_load(addr, &mut self.vanished) }
    }

    #[inline(always)]
    unsafe fn store<W: Word>(&mut self, addr: DeviceAddr, value: W) {
        // SAFETY: the caller's obligation is the same.
        unsafe { W::device_store(addr, value, &mut self.vanished) }
    }

    #[inline(always)]
    unsafe fn load_eight(&mut self, addr: DeviceAddr) -> [u64; 8] {
        // SAFETY: the caller's obligation is the same.
        unsafe { arch::device_load_eight(addr, &mut self.vanished) }
    }

    #[inline(always)]
    unsafe fn store_eight(&mut self, addr: DeviceAddr, words: [u64; 8]) {
        // SAFETY: the caller's obligation is the same.
        unsafe { arch::device_store_eight(addr, words, &mut self.vanished) }
    }
}

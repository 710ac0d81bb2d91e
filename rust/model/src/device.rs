// SPDX-License-Identifier: GPL-2.0-or-later

//! A device that keeps a record of its accesses, and vanishes when it is told.

use std::mem::size_of;

use ram_device::{
    arch::{DeviceAddr, Word},
    plan::Misaligned,
    port::Port,
};

use crate::contract::Access;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
}

pub struct Device<const ONE_ACCESS: bool> {
    /// The address that transfers see of the first byte.  It may be any: nothing
    /// is accessed there.
    start: usize,
    /// Where the bytes really are.
    bytes: *mut u8,
    /// How many accesses it bears until it vanishes.
    lives: usize,
    pub loads: Vec<Access>,
    pub stores: Vec<Access>,
}

impl<const ONE_ACCESS: bool> Device<ONE_ACCESS> {
    /// # Safety
    ///
    /// `bytes` must be valid for what is accessed from `start` on, for as long
    /// as there are accesses.
    pub unsafe fn new(start: usize, bytes: *mut u8, lives: usize) -> Self {
        Self {
            start,
            bytes,
            lives,
            loads: Vec::new(),
            stores: Vec::new(),
        }
    }

    fn accesses(&self) -> usize {
        self.loads.len() + self.stores.len()
    }
}

// SAFETY: both access the bytes that stand for the device's, or none.
unsafe impl<const ONE_ACCESS: bool> Port for Device<ONE_ACCESS> {
    const MISALIGNED: Misaligned = if ONE_ACCESS {
        Misaligned::OneAccess
    } else {
        Misaligned::Split
    };

    fn has_vanished(&self) -> bool {
        self.accesses() > self.lives
    }

    unsafe fn load<W: Word>(&mut self, addr: DeviceAddr) -> W {
        let offset = addr.get().wrapping_sub(self.start);
        self.loads.push((offset, size_of::<W>()));
        if self.has_vanished() {
            return W::truncated(u64::MAX);
        }
        // SAFETY: whoever made the device has vouched for its bytes.
        unsafe { W::ram_load(self.bytes.wrapping_add(offset)) }
    }

    unsafe fn store<W: Word>(&mut self, addr: DeviceAddr, value: W) {
        let offset = addr.get().wrapping_sub(self.start);
        self.stores.push((offset, size_of::<W>()));
        if !self.has_vanished() {
            // SAFETY: whoever made the device has vouched for its bytes.
            unsafe { W::ram_store(self.bytes.wrapping_add(offset), value) }
        }
    }
}

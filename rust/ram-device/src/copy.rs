// SPDX-License-Identifier: GPL-2.0-or-later

//! Transfers: the accesses of a [`Plan`] made through a [`Port`].

use core::ptr::{addr_of, addr_of_mut};

use crate::{
    arch::{opaque, DeviceAddr, Word},
    plan::{Plan, Run, Width},
    port::Port,
    Error,
};

/// Both sides of a transfer, or of a part of it: to the device if `IS_WRITE`,
/// else from it.
#[derive(Clone, Copy)]
struct Sides<const IS_WRITE: bool> {
    device: DeviceAddr,
    /// Only read if `IS_WRITE`.
    ram: *mut u8,
}

impl<const IS_WRITE: bool> Sides<IS_WRITE> {
    /// Both sides `offset` bytes further on.
    #[inline(always)]
    const fn at(self, offset: usize) -> Self {
        Self {
            device: self.device.offset(offset),
            ram: self.ram.wrapping_add(offset),
        }
    }

    /// Does the destination start inside the source?  It would overwrite then
    /// what is still to be read, unless the end goes first (C5).
    fn destination_starts_in_source(self, len: usize) -> bool {
        let (device, ram) = (self.device.get(), self.ram as usize);
        let ahead = if IS_WRITE {
            device.wrapping_sub(ram)
        } else {
            ram.wrapping_sub(device)
        };
        ahead != 0 && ahead < len
    }

    /// Moves one word.
    ///
    /// # Safety
    ///
    /// Both sides must be mapped for it, and the device side must bear an
    /// access of that width, as [`Word`] says.
    #[inline(always)]
    unsafe fn word<W: Word, P: Port>(self, port: &mut P) {
        // SAFETY: the caller vouches for both sides.
        unsafe {
            if IS_WRITE {
                let value = W::ram_load(self.ram);
                port.store(self.device, value);
            } else {
                let value: W = port.load(self.device);
                W::ram_store(self.ram, value);
            }
        }
    }

    /// Moves eight words.
    ///
    /// # Safety
    ///
    /// As [`Sides::word`], for eight words.
    #[inline(always)]
    unsafe fn eight_words<P: Port>(self, port: &mut P) {
        let mut words = [0; 8];
        if IS_WRITE {
            for (i, word) in words.iter_mut().enumerate() {
                // SAFETY: the caller vouches for both sides.
                *word = unsafe { u64::ram_load(self.ram.wrapping_add(i * 8)) };
            }
            // SAFETY: the same.
            unsafe { port.store_eight(self.device, words) }
        } else {
            // SAFETY: the same.
            words = unsafe { port.load_eight(self.device) };
            // By reference: rustc 1.85 leaves a panic in an iterator by value.
            for (i, word) in words.iter().enumerate() {
                // SAFETY: the same.
                unsafe { u64::ram_store(self.ram.wrapping_add(i * 8), *word) }
            }
        }
    }

    /// Moves eight-byte words upwards, eight a turn: with one word a turn the
    /// loop itself would cost as much as the store.  Gives the number of words
    /// moved; they are fewer than `count` if the device has vanished, because
    /// each further access would be another fault.  What a turn hasn't got then
    /// is all ones.
    ///
    /// # Safety
    ///
    /// As [`Sides::word`], for `count` words.
    #[inline(always)]
    unsafe fn words<P: Port>(self, port: &mut P, count: usize) -> usize {
        let mut at = self;
        let mut left = count;
        while left >= 8 && !port.has_vanished() {
            let (device, ram) = opaque(at.device, at.ram);
            // SAFETY: the eight words are among the caller's.
            unsafe {
                Self { device, ram }.eight_words(port);
            }
            at = at.at(64);
            left -= 8;
        }
        while left > 0 && !port.has_vanished() {
            // SAFETY: the word is one of the caller's.
            unsafe {
                at.word::<u64, P>(port);
            }
            at = at.at(8);
            left -= 1;
        }
        count - left
    }

    /// Moves eight-byte words downwards, the last one first.  Gives the number
    /// of words moved, as [`Sides::words`].
    ///
    /// # Safety
    ///
    /// As [`Sides::word`], for `count` words.
    unsafe fn words_down<P: Port>(self, port: &mut P, count: usize) -> usize {
        let mut left = count;
        while left > 0 && !port.has_vanished() {
            left -= 1;
            // SAFETY: the word is one of the caller's.
            unsafe {
                self.at(left * 8).word::<u64, P>(port);
            }
        }
        count - left
    }

    /// Makes the transfer.  If the device vanishes meanwhile, what a read hasn't
    /// got is all ones, and nothing more is written (C7).
    ///
    /// # Safety
    ///
    /// Both sides must be mapped for `len` bytes, and no Rust reference to the
    /// destination may be live.
    #[inline(always)]
    unsafe fn transfer<P: Port>(self, port: &mut P, len: usize) -> Result<(), Error> {
        let mut plan = Plan::new(self.device, len, P::MISALIGNED);
        let is_descending = self.destination_starts_in_source(len);
        let mut done = 0;
        while !port.has_vanished() {
            let next = if is_descending {
                plan.next_back()
            } else {
                plan.next()
            };
            let Run {
                offset,
                width,
                count,
            } = match next {
                Some(run) => run,
                None => return Ok(()),
            };
            let run = self.at(offset);
            // SAFETY: the plan stays within `len`, and cuts by the device
            // address so that each access is aligned, or is the one misaligned
            // access that `P::MISALIGNED` permits.
            let moved = unsafe {
                match width {
                    Width::One => {
                        run.word::<u8, P>(port);
                        1
                    }
                    Width::Two => {
                        run.word::<u16, P>(port);
                        1
                    }
                    Width::Four => {
                        run.word::<u32, P>(port);
                        1
                    }
                    Width::Eight if is_descending => run.words_down(port, count),
                    Width::Eight => run.words(port, count),
                }
            };
            done += moved * width.bytes();
        }
        if !IS_WRITE {
            let rest = if is_descending { 0 } else { done };
            // SAFETY: what is left is within `len`.
            unsafe {
                fill_with_ones(self.ram.wrapping_add(rest), len - done);
            }
        }
        Err(Error::Vanished)
    }
}

/// Writes 0xff to `len` bytes of RAM, which is what a device that isn't there
/// gives.
///
/// # Safety
///
/// `ram` must be mapped writable for `len` bytes, and no Rust reference to it
/// may be live.
pub unsafe fn fill_with_ones(ram: *mut u8, len: usize) {
    let mut at = 0;
    while at < len {
        // SAFETY: one of the caller's bytes.
        unsafe {
            u8::ram_store(ram.wrapping_add(at), u8::MAX);
        }
        at += 1;
    }
}

/// Copies `len` bytes from the device to RAM.  If the device vanishes meanwhile,
/// `ram` has all ones from where it did (C7).
///
/// # Safety
///
/// `device` must be mapped readable and `ram` writable for `len` bytes, and no
/// Rust reference to the latter may be live.
pub unsafe fn read<P: Port>(
    port: &mut P,
    device: DeviceAddr,
    ram: *mut u8,
    len: usize,
) -> Result<(), Error> {
    let sides = Sides::<false> { device, ram };
    // SAFETY: the caller's obligation is the same.
    unsafe { sides.transfer(port, len) }
}

/// Copies `len` bytes from RAM to the device.  If the device vanishes meanwhile,
/// nothing is written to it from then on (C7).
///
/// # Safety
///
/// `device` must be mapped writable and `ram` readable for `len` bytes, and no
/// Rust reference to the former may be live.
#[allow(clippy::ptr_cast_constness)] // cast_mut() came with Rust 1.65
pub unsafe fn write<P: Port>(
    port: &mut P,
    device: DeviceAddr,
    ram: *const u8,
    len: usize,
) -> Result<(), Error> {
    let ram = ram as *mut u8;
    let sides = Sides::<true> { device, ram };
    // SAFETY: the caller's obligation is the same.
    unsafe { sides.transfer(port, len) }
}

/// Loads a `W` from the device: one access, or aligned pieces (C1).
///
/// # Safety
///
/// `device` must be mapped readable for `width`, which is that of `W`.
#[inline(always)]
unsafe fn load_word<W: Word, P: Port>(port: &mut P, device: DeviceAddr, width: Width) -> u64 {
    let mut value = W::truncated(0);
    if Plan::new(device, width.bytes(), P::MISALIGNED).is_one_access() {
        // SAFETY: mapped, says the caller; aligned, or the host allows it.
        value = unsafe { port.load(device) };
    } else {
        let ram = addr_of_mut!(value).cast();
        // SAFETY: `value` is as long as the transfer.  The port remembers what
        // has come of it.
        let _ = unsafe { read(port, device, ram, width.bytes()) };
    }
    value.into()
}

/// Stores a `W` to the device: one access, or aligned pieces (C1).
///
/// # Safety
///
/// `device` must be mapped writable for `width`, which is that of `W`, and no
/// Rust reference to it may be live.
#[inline(always)]
unsafe fn store_word<W: Word, P: Port>(port: &mut P, device: DeviceAddr, width: Width, value: W) {
    if Plan::new(device, width.bytes(), P::MISALIGNED).is_one_access() {
        // SAFETY: mapped, says the caller; aligned, or the host allows it.
        unsafe { port.store(device, value) }
    } else {
        let ram = addr_of!(value).cast();
        // SAFETY: `value` is as long as the transfer.  The port remembers what
        // has come of it.
        let _ = unsafe { write(port, device, ram, width.bytes()) };
    }
}

/// Loads a value of `width` bytes from the device, zero-extended, in host byte
/// order.
///
/// # Safety
///
/// `device` must be mapped readable for `width` bytes.
pub unsafe fn load<P: Port>(port: &mut P, device: DeviceAddr, width: Width) -> Result<u64, Error> {
    // SAFETY: the caller's obligation is the same.
    let value = unsafe {
        match width {
            Width::One => load_word::<u8, P>(port, device, width),
            Width::Two => load_word::<u16, P>(port, device, width),
            Width::Four => load_word::<u32, P>(port, device, width),
            Width::Eight => load_word::<u64, P>(port, device, width),
        }
    };
    port.result().map(|()| value)
}

/// Stores the low `width` bytes of `value`, in host byte order, to the device.
///
/// # Safety
///
/// `device` must be mapped writable for `width` bytes, and no Rust reference to
/// it may be live.
pub unsafe fn store<P: Port>(
    port: &mut P,
    device: DeviceAddr,
    width: Width,
    value: u64,
) -> Result<(), Error> {
    // SAFETY: the caller's obligation is the same.
    unsafe {
        match width {
            Width::One => store_word(port, device, width, u8::truncated(value)),
            Width::Two => store_word(port, device, width, u16::truncated(value)),
            Width::Four => store_word(port, device, width, u32::truncated(value)),
            Width::Eight => store_word(port, device, width, value),
        }
    }
    port.result()
}

#[cfg(test)]
mod tests;

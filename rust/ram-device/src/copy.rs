// SPDX-License-Identifier: GPL-2.0-or-later

//! Transfers: the accesses of a [`Plan`] made through a [`Port`].

use core::{
    mem::size_of,
    ptr::{addr_of, addr_of_mut},
};

use crate::{
    arch::{opaque, Word},
    plan::{Misaligned, Plan, Run, Width},
    port::Port,
};

/// A transfer whose two sides are known, in one of the two directions.
trait Transfer: Sized {
    /// The same transfer from `offset` on.
    fn from(&self, offset: usize) -> Self;

    /// Address of the first byte on the device side.
    fn device(&self) -> usize;

    /// How far the destination is above the source.
    fn lead(&self) -> usize;

    /// Does for `len` bytes from `offset` what a transfer with a device that
    /// has vanished does (C7).
    ///
    /// # Safety
    ///
    /// The RAM side must be mapped there.
    unsafe fn gone(&self, offset: usize, len: usize);

    /// Moves one word, `offset` bytes from the start.
    ///
    /// # Safety
    ///
    /// Both sides must be mapped there, and the device side must bear an access
    /// of that width, as [`Word`] says.
    unsafe fn one<W: Word, P: Port>(&self, port: &mut P, offset: usize);
}

struct Read {
    device: *const u8,
    ram: *mut u8,
}

impl Transfer for Read {
    #[inline(always)]
    #[allow(clippy::ptr_cast_constness)] // cast_mut() came with Rust 1.65
    fn from(&self, offset: usize) -> Self {
        Self {
            device: opaque(self.device.wrapping_add(offset)),
            ram: opaque(self.ram.wrapping_add(offset)) as *mut u8,
        }
    }

    fn device(&self) -> usize {
        self.device as usize
    }

    fn lead(&self) -> usize {
        (self.ram as usize).wrapping_sub(self.device as usize)
    }

    /// Reads all ones.
    unsafe fn gone(&self, offset: usize, len: usize) {
        let mut at = 0;
        while at < len {
            // SAFETY: the caller vouches for the RAM side.
            unsafe {
                u8::ram_store(self.ram.wrapping_add(offset).wrapping_add(at), u8::MAX);
            }
            at = at.wrapping_add(1);
        }
    }

    #[inline(always)]
    unsafe fn one<W: Word, P: Port>(&self, port: &mut P, offset: usize) {
        // SAFETY: the caller vouches for both sides at this offset.
        unsafe {
            let value: W = port.load(self.device.wrapping_add(offset));
            W::ram_store(self.ram.wrapping_add(offset), value);
        }
    }
}

struct Write {
    device: *mut u8,
    ram: *const u8,
}

impl Transfer for Write {
    #[inline(always)]
    #[allow(clippy::ptr_cast_constness)] // cast_mut() came with Rust 1.65
    fn from(&self, offset: usize) -> Self {
        Self {
            device: opaque(self.device.wrapping_add(offset)) as *mut u8,
            ram: opaque(self.ram.wrapping_add(offset)),
        }
    }

    fn device(&self) -> usize {
        self.device as usize
    }

    fn lead(&self) -> usize {
        (self.device as usize).wrapping_sub(self.ram as usize)
    }

    /// Writes nothing.
    unsafe fn gone(&self, _offset: usize, _len: usize) {}

    #[inline(always)]
    unsafe fn one<W: Word, P: Port>(&self, port: &mut P, offset: usize) {
        // SAFETY: the caller vouches for both sides at this offset.
        unsafe {
            let value: W = W::ram_load(self.ram.wrapping_add(offset));
            port.store(self.device.wrapping_add(offset), value);
        }
    }
}

/// Moves eight-byte words upwards from `offset`, eight a turn: with one word a
/// turn the loop itself would cost as much as the store.  Gives the number of
/// words moved; they are fewer than `count` if the device has vanished, because
/// each further access would be another fault.  That is asked once a turn, so up
/// to seven more are tried; each fails by itself, or the device is back.
///
/// # Safety
///
/// As [`Transfer::one`], for `count` words.
#[inline(always)]
unsafe fn words<T: Transfer, P: Port>(
    transfer: &T,
    port: &mut P,
    offset: usize,
    count: usize,
) -> usize {
    let mut at = offset;
    let mut left = count;
    while left >= 8 && !port.has_vanished() {
        let turn = transfer.from(at);
        // SAFETY: the eight words are among the caller's.
        unsafe {
            turn.one::<u64, P>(port, 0);
            turn.one::<u64, P>(port, 8);
            turn.one::<u64, P>(port, 16);
            turn.one::<u64, P>(port, 24);
            turn.one::<u64, P>(port, 32);
            turn.one::<u64, P>(port, 40);
            turn.one::<u64, P>(port, 48);
            turn.one::<u64, P>(port, 56);
        }
        at = at.wrapping_add(64);
        left = left.wrapping_sub(8);
    }
    while left > 0 && !port.has_vanished() {
        // SAFETY: the word is one of the caller's.
        unsafe {
            transfer.one::<u64, P>(port, at);
        }
        at = at.wrapping_add(8);
        left = left.wrapping_sub(1);
    }
    count.wrapping_sub(left)
}

/// Moves eight-byte words downwards: the last one first, `offset` last.  Gives
/// the number of words moved, as [`words()`].
///
/// # Safety
///
/// As [`Transfer::one`], for `count` words.
unsafe fn words_down<T: Transfer, P: Port>(
    transfer: &T,
    port: &mut P,
    offset: usize,
    count: usize,
) -> usize {
    let mut left = count;
    while left > 0 && !port.has_vanished() {
        left = left.wrapping_sub(1);
        // SAFETY: the word is one of the caller's.
        unsafe {
            transfer.one::<u64, P>(port, offset.wrapping_add(left.wrapping_mul(8)));
        }
    }
    count.wrapping_sub(left)
}

/// Makes the transfer, and tells whether it is complete: the device vanished
/// under it otherwise.
///
/// # Safety
///
/// Both sides must be mapped for `len` bytes, and no Rust reference to the
/// destination may be live.
#[inline(always)]
unsafe fn transfer<T: Transfer, P: Port>(transfer: &T, port: &mut P, len: usize) -> bool {
    let mut plan = Plan::new(transfer.device(), len, P::MISALIGNED);
    // C5: a destination that starts inside the source would overwrite what is
    // still to be read, unless the end goes first.
    let overwrites = transfer.lead() != 0 && transfer.lead() < len;
    let mut done: usize = 0;
    while !port.has_vanished() {
        let next = if overwrites {
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
            None => return true,
        };
        // SAFETY: the plan stays within `len`, and cuts by the device address
        // so that each access is aligned, or is the one misaligned access that
        // `P::MISALIGNED` permits.
        let moved = unsafe {
            match width {
                Width::One => {
                    transfer.one::<u8, P>(port, offset);
                    1
                }
                Width::Two => {
                    transfer.one::<u16, P>(port, offset);
                    1
                }
                Width::Four => {
                    transfer.one::<u32, P>(port, offset);
                    1
                }
                Width::Eight if overwrites => words_down(transfer, port, offset, count),
                Width::Eight => words(transfer, port, offset, count),
            }
        };
        done = done.wrapping_add(moved.wrapping_mul(width.bytes()));
    }
    let left = len.wrapping_sub(done);
    // SAFETY: what is left is within `len`.
    unsafe {
        transfer.gone(if overwrites { 0 } else { done }, left);
    }
    false
}

/// Copies `len` bytes from the device to RAM.  Gives false if the device
/// vanished meanwhile; `ram` has all ones then from where it did (C7).
///
/// # Safety
///
/// `device` must be mapped readable and `ram` writable for `len` bytes, and no
/// Rust reference to the latter may be live.
#[must_use]
pub unsafe fn read<P: Port>(port: &mut P, device: *const u8, ram: *mut u8, len: usize) -> bool {
    // SAFETY: the caller's obligation is the same.
    unsafe { transfer(&Read { device, ram }, port, len) }
}

/// Copies `len` bytes from RAM to the device.  Gives false if the device
/// vanished meanwhile; nothing is written to it from then on (C7).
///
/// # Safety
///
/// `device` must be mapped writable and `ram` readable for `len` bytes, and no
/// Rust reference to the former may be live.
#[must_use]
pub unsafe fn write<P: Port>(port: &mut P, device: *mut u8, ram: *const u8, len: usize) -> bool {
    // SAFETY: the caller's obligation is the same.
    unsafe { transfer(&Write { device, ram }, port, len) }
}

/// Is a transfer of one `W` at this device address one access (C1)?
fn is_one_access<W: Word, P: Port>(device: *const u8) -> bool {
    P::MISALIGNED == Misaligned::OneAccess || device as usize % size_of::<W>() == 0
}

/// Loads a `W` from the device: one access, or aligned pieces (C1).
///
/// # Safety
///
/// `device` must be mapped readable for the width of `W`.
#[inline(always)]
unsafe fn load_word<W: Word, P: Port>(port: &mut P, device: *const u8) -> u64 {
    let mut value = W::truncated(0);
    if is_one_access::<W, P>(device) {
        // SAFETY: mapped, says the caller; aligned, or the host allows it.
        value = unsafe { port.load(device) };
    } else {
        let ram = addr_of_mut!(value).cast();
        // SAFETY: `value` is as long as the transfer.  The port remembers what
        // `read()` says.
        let _ = unsafe { read(port, device, ram, size_of::<W>()) };
    }
    value.into()
}

/// Stores a `W` to the device: one access, or aligned pieces (C1).
///
/// # Safety
///
/// `device` must be mapped writable for the width of `W`, and no Rust reference
/// to it may be live.
#[inline(always)]
unsafe fn store_word<W: Word, P: Port>(port: &mut P, device: *mut u8, value: W) {
    if is_one_access::<W, P>(device) {
        // SAFETY: mapped, says the caller; aligned, or the host allows it.
        unsafe { port.store(device, value) }
    } else {
        let ram = addr_of!(value).cast();
        // SAFETY: `value` is as long as the transfer.  The port remembers what
        // `write()` says.
        let _ = unsafe { write(port, device, ram, size_of::<W>()) };
    }
}

/// Loads a value of `width` bytes from the device, zero-extended, in host byte
/// order.  All bytes that a device no longer gave are ones; the port tells
/// whether that is so (C7).
///
/// # Safety
///
/// `device` must be mapped readable for `width` bytes.
pub unsafe fn load<P: Port>(port: &mut P, device: *const u8, width: Width) -> u64 {
    // SAFETY: the caller's obligation is the same.
    unsafe {
        match width {
            Width::One => load_word::<u8, P>(port, device),
            Width::Two => load_word::<u16, P>(port, device),
            Width::Four => load_word::<u32, P>(port, device),
            Width::Eight => load_word::<u64, P>(port, device),
        }
    }
}

/// Stores the low `width` bytes of `value`, in host byte order, to the device.
/// The port tells whether the device has vanished meanwhile (C7).
///
/// # Safety
///
/// `device` must be mapped writable for `width` bytes, and no Rust reference to
/// it may be live.
pub unsafe fn store<P: Port>(port: &mut P, device: *mut u8, width: Width, value: u64) {
    // SAFETY: the caller's obligation is the same.
    unsafe {
        match width {
            Width::One => store_word(port, device, u8::truncated(value)),
            Width::Two => store_word(port, device, u16::truncated(value)),
            Width::Four => store_word(port, device, u32::truncated(value)),
            Width::Eight => store_word(port, device, value),
        }
    }
}

#[cfg(test)]
mod tests;

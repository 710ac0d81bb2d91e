// SPDX-License-Identifier: GPL-2.0-or-later

//! One access of one width (C3, C4), for each architecture.
//!
//! All assembly of the crate is here, and nothing else touches a device.  On
//! x86-64 and aarch64 each access is inline assembly: rustc may turn a loop of
//! `write_volatile()` into stores with writeback (rust-lang/rust#131894), which
//! KVM cannot decode when it has to emulate the access.  Linux does the same in
//! `arch/arm64/include/asm/io.h`.  All other hosts have `volatile`.
//!
//! Ordering: none beyond program order.  The assembly is taken to read and
//! write all of memory, so the compiler moves no access across it.
//!
//! A device may vanish at any time, and an access to it is a SIGBUS then (C7).
//! So each instruction on the device side has an entry in the
//! [`exception_table`] that says where execution goes on: after the
//! instruction, with all ones for a load and with a note that it has failed.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[macro_use]
mod assembly;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod volatile;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{device_load_eight, device_store_eight, MISALIGNED};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub use assembly::opaque;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub use volatile::{device_load_eight, device_store_eight, opaque, MISALIGNED};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{device_load_eight, device_store_eight, MISALIGNED};

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub mod exception_table;

/// Hosts without an exception table: every fault is somebody else's.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub mod exception_table {
    /// Where to go on after a fault at `pc`: unknown.
    pub fn fixup(_pc: usize) -> Option<usize> {
        None
    }
}

/// An address on the device side of a transfer: a number, but to this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAddr(usize);

impl DeviceAddr {
    /// The device address with this number.
    #[inline(always)]
    pub const fn new(addr: usize) -> Self {
        Self(addr)
    }

    /// Its number.
    #[inline(always)]
    pub const fn get(self) -> usize {
        self.0
    }

    /// The address `bytes` further on.
    #[must_use]
    #[inline(always)]
    pub const fn offset(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Is it a multiple of `bytes`, which is a power of two?
    #[inline(always)]
    pub const fn is_aligned_to(self, bytes: usize) -> bool {
        self.0 & (bytes - 1) == 0
    }
}

/// An unsigned integer that one access can move.
///
/// # Safety
///
/// `Self` must be 1, 2, 4 or 8 bytes, and any of their values a valid `Self`.
/// The functions that access memory must access the `size_of::<Self>()` bytes
/// at `addr` and no other memory, in the direction that their name says; those
/// of the device side exactly once, by one access if the host has one of that
/// width.
pub unsafe trait Word: Copy + Into<u64> {
    /// The low bytes of `value`.
    fn truncated(value: u64) -> Self;

    /// Loads from the device at `addr` with one instruction.  If that faults,
    /// the value is all ones and `vanished` becomes 1.
    ///
    /// # Safety
    ///
    /// `addr` must be mapped readable for the width of `Self`, to a device that
    /// may have gone; and aligned unless [`MISALIGNED`] is one access.
    unsafe fn device_load(addr: DeviceAddr, vanished: &mut u32) -> Self;

    /// Stores to the device at `addr` with one instruction.  If that faults,
    /// nothing is stored and `vanished` becomes 1.
    ///
    /// # Safety
    ///
    /// `addr` must be mapped writable for the width of `Self`, to a device that
    /// may have gone; and aligned unless [`MISALIGNED`] is one access.  No Rust
    /// reference to that memory may be live.
    unsafe fn device_store(addr: DeviceAddr, value: Self, vanished: &mut u32);

    /// Loads from the RAM side, at any alignment (C5).
    ///
    /// The guest may write there at the same time; on x86-64 and aarch64 the
    /// instruction is assembly, so that such a race is the hardware's to
    /// define.
    ///
    /// # Safety
    ///
    /// `addr` must be mapped readable for the width of `Self`.
    unsafe fn ram_load(addr: *const u8) -> Self;

    /// Stores to the RAM side, at any alignment (C5).
    ///
    /// # Safety
    ///
    /// `addr` must be mapped writable for the width of `Self`.  No Rust
    /// reference to that memory may be live.
    unsafe fn ram_store(addr: *mut u8, value: Self);
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! Exact, aligned copies to and from RAM device regions.
//!
//! A *RAM device* region is a piece of a real device, usually a PCI BAR, that
//! the host maps into QEMU's address space.  This crate decides what QEMU may
//! do with such a region and makes QEMU's own accesses to it.  The *device
//! side* of a transfer is the pointer into the BAR, the *RAM side* the other
//! one.  The rules, each cited by the code and the tests that keep it:
//!
//! * **C1 exact**: a transfer of 1, 2, 4 or 8 bytes whose device address is
//!   naturally aligned is one load or store of that width.  On x86-64 a
//!   misaligned one is, too; elsewhere it is split by C2.
//! * **C2 aligned pieces**: every other transfer is cut into the widest
//!   naturally aligned pieces of 8, 4, 2 or 1 bytes, by the device address
//!   alone, in ascending order.
//! * **C3 exactly once**: no device byte is touched twice, skipped, read ahead,
//!   or read in order to be written.
//! * **C4 plain instructions**: on x86-64 and aarch64 the device side is one
//!   `mov`, `ldr*` or `str*` with a plain base register.
//! * **C5 RAM side is free**: any alignment.  If it overlaps the device side
//!   the result is that of `memmove()`; only then may the pieces go in
//!   descending order.
//! * **C6 no lock**: nothing here needs QEMU's big lock.
//! * **C7 a vanished device is a bus error**: a SIGBUS in an access to the
//!   device is that access's failure; a read gives all ones then.
//! * **C9 any size**: host memory for buffers is bounded, and what finds it in
//!   use waits.
//!
//! One module for each idea: [`plan`] cuts, [`arch`] accesses, [`port`] is the
//! way there, [`copy`] joins them, [`policy`] decides, [`budget`] and [`pages`]
//! deal out the buffers, [`ram`] is ordinary RAM's one rule, [`ffi`] is what C
//! sees.
//!
//! The crate cannot panic as QEMU builds it, with debug assertions and without
//! overflow checks: there is no indexing, no division by what may be 0, and no
//! raw-pointer method that `core` checks.  Sums of addresses wrap; no other
//! arithmetic overflows, whatever the guest asks for; with overflow checks, which
//! the tests have on, it would panic.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod arch;
pub mod budget;
pub mod copy;
pub mod ffi;
pub mod pages;
pub mod plan;
pub mod policy;
pub mod port;
pub mod ram;

/// Why a transfer wasn't made, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The region doesn't admit it; the device hasn't been touched.
    Refused,
    /// The device vanished (C7).
    Vanished,
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! A PCI device like a GPU, served over vfio-user: `-device vfio-user-pci` of
//! QEMU 10.1 or newer is its client.
//!
//! * BAR 0 has [`registers`]; every access to it is a message.
//! * BAR 2 shows the beginning of the memory.  The emulator may map it, and
//!   read it; it can't be written.
//! * BAR 4 is memory, 64-bit and prefetchable.  The emulator maps what
//!   [`layout`] lets it map; an access to the rest, the holes, is a message.
//!   Its [`memory`] is ordinary, or [`secret`], which the kernel pins for nobody.
//! * An [`engine`] copies, fills and checksums, in BAR 4 and in the guest's RAM
//!   ([`guest_memory`]), and can raise an MSI when it is done ([`interrupts`]).
//!
//! The crate `vfio_user` speaks the protocol, [`device`] is what it serves.
//! That crate trusts its client, so a [`gate`] stands between the two which
//! lets pass what is right by [`protocol`], and ends the connection otherwise.
//! [`service`] accepts clients one after the other.

#![deny(unsafe_op_in_unsafe_fn)]
// vfio_user's dependencies bring two versions of some crates.
#![allow(clippy::multiple_crate_versions)]

pub mod arguments;
pub mod config;
pub mod device;
pub mod engine;
pub mod gate;
pub mod guest_memory;
pub mod interrupts;
pub mod layout;
pub mod memory;
pub mod protocol;
pub mod record;
pub mod registers;
pub mod secret;
pub mod service;
pub mod waiter;

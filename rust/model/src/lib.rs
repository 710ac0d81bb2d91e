// SPDX-License-Identifier: GPL-2.0-or-later

//! `ram_device` beside a slow, obvious model of its contract, on inputs that
//! proptest makes up.
//!
//! What `ram_device` is made of, as far as tools like Miri and model checkers
//! are concerned:
//!
//! * `plan` and `policy` are pure: no `unsafe`, no memory, no assembly.  Such
//!   tools can run them as they are, and with them [`plan`] and [`policy`].
//! * `copy` is generic over the port.  With the [`device`] of these tests it is
//!   raw-pointer code without a device; but on x86-64 and aarch64 its RAM side
//!   is assembly, which Miri doesn't interpret.  On other targets, which Miri
//!   can interpret on any host, it is `read_unaligned()` and
//!   `write_unaligned()`.
//! * `arch` and `ffi` are assembly or call it.  Tests that need the
//!   real machine are in the crate itself.
//!
//! [`exhaustive`] draws nothing: it goes through all that is within its bounds.

#![cfg(test)]
#![deny(unsafe_op_in_unsafe_fn)]

mod contract;
mod copy;
mod device;
mod exhaustive;
mod ffi;
mod plan;
mod policy;

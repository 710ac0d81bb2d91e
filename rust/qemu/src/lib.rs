// SPDX-License-Identifier: GPL-2.0-or-later

//! Outside QEMU's tree this crate stands for the one there that has QEMU's own
//! bindings of C: `qemu_api` in QEMU 10.0, `system` since 10.2.
//!
//! `rust/ram-device` takes from it the types and declarations of
//! `include/system/ram-device*.h`.

// Where nothing but core is to be had; QEMU's crates have std.
#![cfg_attr(core_only, no_std)]

#[allow(non_camel_case_types)]
mod c_types {
    pub use core::ffi::c_void;

    pub type c_uint = u32;
}

#[allow(
    non_camel_case_types,
    clippy::undocumented_unsafe_blocks,
    clippy::type_repetition_in_bounds
)]
pub mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

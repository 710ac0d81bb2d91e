// SPDX-License-Identifier: GPL-2.0-or-later

//! `include/system/ram-device.h`, its neighbours and `ram_device::ffi` say
//! the same thing twice, once for each language.  Here bindgen reads the one,
//! and the tests hold it against the other.

#![cfg(test)]

use std::{
    any::type_name,
    mem::{size_of, MaybeUninit},
    ptr::addr_of,
};

use ram_device::{budget, ffi, pages};

#[allow(non_camel_case_types, non_upper_case_globals, dead_code)]
mod header {
    include!(concat!(env!("OUT_DIR"), "/header.rs"));
}

/// The type of a function pointer, without the modules of its types.
fn signature<F>(_: F) -> String {
    type_name::<F>()
        .replace("ram_device::ffi::", "")
        .replace("ram_device::budget::", "")
        .replace("ram_device::pages::", "")
        .replace("ram_device_abi_check::header::", "")
        .replace("core::ffi::c_void", "c_void")
        .replace("std::os::raw::c_void", "c_void")
        .replace("unsafe ", "")
}

/// Checks `$function`, of as many arguments as there are `$any`, on both sides.
macro_rules! same_signature {
    ($($function:ident($($any:tt)*);)*) => {
        [$({
            assert_eq!(
                signature(ffi::$function as unsafe extern "C" fn($($any,)*) -> _),
                signature(header::$function as unsafe extern "C" fn($($any,)*) -> _),
                stringify!($function),
            );
            stringify!($function)
        },)*]
    };
}

#[test]
fn every_function_has_the_signature_that_the_header_declares() {
    let checked = same_signature! {
        ram_device_gives_pointer(_ _);
        ram_device_load(_ _ _ _);
        ram_device_store(_ _ _ _);
        ram_device_read(_ _ _ _);
        ram_device_write(_ _ _ _);
        ram_device_fixup(_);
        ram_device_budget_ask(_ _ _ _);
        ram_device_pages_take(_ _);
        ram_device_pages_give(_ _ _);
    };
    let declared = include_str!(concat!(env!("OUT_DIR"), "/header.rs"))
        .matches("pub fn ram_device_")
        .count();
    let exported = include_str!("../../ram-device/src/ffi.rs")
        .matches("#[no_mangle]")
        .count();
    assert_eq!(checked.len(), declared);
    assert_eq!(checked.len(), exported);
}

#[test]
fn the_structs_have_the_layout_that_the_header_declares() {
    macro_rules! same_offset {
        ($module:ident::$name:ident: $($field:ident)*) => {$({
            let ours = MaybeUninit::<$module::$name>::uninit();
            let theirs = MaybeUninit::<header::$name>::uninit();
            // SAFETY: addresses are computed within the values, nothing is
            // read.
            let (our, their) = unsafe {
                (
                    addr_of!((*ours.as_ptr()).$field) as usize - ours.as_ptr() as usize,
                    addr_of!((*theirs.as_ptr()).$field) as usize - theirs.as_ptr() as usize,
                )
            };
            assert_eq!(our, their, stringify!($field));
        })*};
    }
    same_offset!(ffi::RamDevice: host size readonly direct);
    assert_eq!(size_of::<ffi::RamDevice>(), size_of::<header::RamDevice>());
    same_offset!(budget::RamDeviceAccount: limit used is_awaited);
    assert_eq!(
        size_of::<budget::RamDeviceAccount>(),
        size_of::<header::RamDeviceAccount>()
    );
    assert_eq!(
        size_of::<pages::RamDevicePages>(),
        size_of::<header::RamDevicePages>()
    );
    assert_eq!(pages::PAGES, header::RAM_DEVICE_CHUNK_PAGES as usize);
}

#[test]
fn the_enum_has_the_values_that_the_header_declares() {
    use budget::Answer;
    assert_eq!(
        Answer::Granted as u32,
        header::RamDeviceAnswer_RAM_DEVICE_GRANTED
    );
    assert_eq!(
        Answer::Later as u32,
        header::RamDeviceAnswer_RAM_DEVICE_LATER
    );
    assert_eq!(
        Answer::Never as u32,
        header::RamDeviceAnswer_RAM_DEVICE_NEVER
    );
}

#[test]
fn a_c_program_can_call_them_all() {
    extern "C" {
        fn ram_device_call_all() -> std::os::raw::c_int;
    }
    // SAFETY: caller.c defines it, without preconditions.
    let failed_line = unsafe { ram_device_call_all() };
    assert_eq!(failed_line, 0, "the check at this line of caller.c failed");
}

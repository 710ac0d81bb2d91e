// SPDX-License-Identifier: GPL-2.0-or-later

//! What C sees: the functions that `include/system/ram-device.h` and its
//! neighbours declare and document.
//!
//! The only exported symbols of the crate.  Types come from QEMU's bindings of
//! these headers.  A transfer that is not wholly inside the region is refused
//! before anything is touched.

use core::ffi::c_void;

use qemu::bindings::{
    self, RamDevice, RamDeviceAccount, RamDevicePages, RAM_DEVICE_CHUNK_PAGES, RAM_DEVICE_NEVER,
};

use crate::{
    arch::{exception_table, DeviceAddr, Word},
    budget, copy, pages,
    plan::Width,
    policy,
    port::Native,
    ram, Error,
};

/// Compiles if each function is of the type that C's header declares; `_` is an
/// argument.
macro_rules! declared_in_c {
    ($($name:ident($($argument:tt)*);)*) => {
        $(const _: () = {
            let _: [unsafe extern "C" fn($($argument)*) -> _; 2] = [$name, bindings::$name];
        };)*
    };
}

declared_in_c! {
    ram_device_gives_pointer(_, _);
    ram_device_load(_, _, _, _);
    ram_device_store(_, _, _, _);
    ram_device_read(_, _, _, _);
    ram_device_write(_, _, _, _);
    ram_device_fixup(_);
    ram_move_word(_, _, _);
    ram_device_budget_ask(_, _, _, _);
    ram_device_pages_take(_, _);
    ram_device_pages_give(_, _, _);
}

/// The device address and the length of a transfer, if the region admits it.
///
/// As everywhere here `as_ref()` does what `&*` would, but that rustc guards the
/// latter by a panic.
///
/// # Safety
///
/// `rd` must be null or point to a valid [`RamDevice`].
unsafe fn admit(
    rd: *const RamDevice,
    offset: u64,
    len: u64,
    is_write: bool,
) -> Result<(DeviceAddr, usize), Error> {
    // SAFETY: null or valid, says the caller.
    let rd = unsafe { rd.as_ref() }.ok_or(Error::Refused)?;
    if !policy::may_access(rd.readonly, is_write) || !policy::is_inside(rd.size, offset, len) {
        return Err(Error::Refused);
    }
    // A mapped region is no longer than the address space; the conversions fail
    // for a `size` that is a lie only.
    match (usize::try_from(offset), usize::try_from(len)) {
        (Ok(offset), Ok(len)) => Ok((DeviceAddr::new(rd.host as usize).offset(offset), len)),
        _ => Err(Error::Refused),
    }
}

/// As [`admit`], for one access of `size` bytes.
///
/// # Safety
///
/// As [`admit`].
unsafe fn admit_one(
    rd: *const RamDevice,
    offset: u64,
    size: u32,
    is_write: bool,
) -> Result<(DeviceAddr, Width), Error> {
    // SAFETY: the caller's obligation is the same.
    let (device, len) = unsafe { admit(rd, offset, u64::from(size), is_write) }?;
    Ok((device, Width::from_bytes(len).ok_or(Error::Refused)?))
}

/// May a pointer into the region be handed out?
///
/// # Safety
///
/// `rd` must point to a valid [`RamDevice`].
#[no_mangle]
pub unsafe extern "C" fn ram_device_gives_pointer(rd: *const RamDevice, is_write: bool) -> bool {
    // SAFETY: valid, says the caller.
    match unsafe { rd.as_ref() } {
        Some(rd) => policy::gives_pointer(rd.direct, rd.readonly, is_write),
        None => false,
    }
}

/// One load of 1, 2, 4 or 8 bytes.
///
/// # Safety
///
/// `rd` must point to a valid [`RamDevice`] whose memory stays mapped, and
/// `value` to a `u64` that may be written.
#[no_mangle]
pub unsafe extern "C" fn ram_device_load(
    rd: *const RamDevice,
    offset: u64,
    size: u32,
    value: *mut u64,
) -> bool {
    // SAFETY: valid, says the caller.
    let loaded = match unsafe { admit_one(rd, offset, size, false) } {
        // SAFETY: admitted, hence inside the mapped region.
        Ok((device, width)) => unsafe { copy::load(&mut Native::default(), device, width) },
        Err(refused) => Err(refused),
    };
    // SAFETY: writable, says the caller.
    unsafe {
        u64::ram_store(value.cast(), loaded.unwrap_or(u64::MAX));
    }
    loaded.is_ok()
}

/// One store of 1, 2, 4 or 8 bytes.
///
/// # Safety
///
/// `rd` must point to a valid [`RamDevice`] whose memory stays mapped.
#[no_mangle]
pub unsafe extern "C" fn ram_device_store(
    rd: *const RamDevice,
    offset: u64,
    size: u32,
    value: u64,
) -> bool {
    // SAFETY: valid, says the caller.
    let stored = match unsafe { admit_one(rd, offset, size, true) } {
        // SAFETY: admitted, hence inside the mapped region and writable.
        Ok((device, width)) => unsafe { copy::store(&mut Native::default(), device, width, value) },
        Err(refused) => Err(refused),
    };
    stored.is_ok()
}

/// Copies from the device to RAM.
///
/// # Safety
///
/// `rd` must point to a valid [`RamDevice`] whose memory stays mapped, and
/// `ram` to `len` bytes that may be written.
#[no_mangle]
pub unsafe extern "C" fn ram_device_read(
    rd: *const RamDevice,
    offset: u64,
    ram: *mut c_void,
    len: u64,
) -> bool {
    let ram: *mut u8 = ram.cast();
    // SAFETY: valid, says the caller.
    match unsafe { admit(rd, offset, len, false) } {
        // SAFETY: admitted, hence inside the mapped region; the caller vouches
        // for `ram`.
        Ok((device, len)) => unsafe {
            copy::read(&mut Native::default(), device, ram, len).is_ok()
        },
        Err(_) => {
            // SAFETY: the caller vouches for `len` bytes, which a `usize` can
            // count.
            unsafe {
                copy::fill_with_ones(ram, len as usize);
            }
            false
        }
    }
}

/// Copies from RAM to the device.
///
/// # Safety
///
/// `rd` must point to a valid [`RamDevice`] whose memory stays mapped, and
/// `ram` to `len` bytes that may be read.
#[no_mangle]
pub unsafe extern "C" fn ram_device_write(
    rd: *const RamDevice,
    offset: u64,
    ram: *const c_void,
    len: u64,
) -> bool {
    // SAFETY: valid, says the caller.
    match unsafe { admit(rd, offset, len, true) } {
        // SAFETY: admitted, hence inside the mapped region and writable; the
        // caller vouches for `ram`.
        Ok((device, len)) => unsafe {
            copy::write(&mut Native::default(), device, ram.cast(), len).is_ok()
        },
        Err(_) => false,
    }
}

/// Where to go on after a SIGBUS at `pc`, or 0 if that is no access of ours.
#[no_mangle]
pub extern "C" fn ram_device_fixup(pc: usize) -> usize {
    exception_table::fixup(pc).unwrap_or(0)
}

/// Moves 1, 2, 4 or 8 bytes from RAM to RAM by one store; or does nothing.
///
/// # Safety
///
/// `from` must point to `len` bytes that may be read, and `to` to as many that
/// may be written.
#[no_mangle]
pub unsafe extern "C" fn ram_move_word(to: *mut c_void, from: *const c_void, len: u64) -> bool {
    match usize::try_from(len).ok().and_then(Width::from_bytes) {
        Some(width) => {
            // SAFETY: the caller vouches for both sides.
            unsafe {
                ram::move_word(to.cast(), from.cast(), width);
            }
            true
        }
        None => false,
    }
}

/// May a request that holds `held` bytes of the pool have `size` more?
///
/// # Safety
///
/// `account` must point to a valid [`RamDeviceAccount`].
#[no_mangle]
pub unsafe extern "C" fn ram_device_budget_ask(
    account: *const RamDeviceAccount,
    held: u64,
    size: u64,
    overdraw: bool,
) -> u32 {
    // SAFETY: valid, says the caller.
    unsafe { account.as_ref() }.map_or(RAM_DEVICE_NEVER, |account| {
        budget::ask(account, held, size, overdraw)
    })
}

/// Takes `count` pages of a chunk; the first one, or the number of pages in a
/// chunk if there is no such run.
///
/// # Safety
///
/// `pages` must point to valid [`RamDevicePages`] that nobody else uses meanwhile.
#[no_mangle]
pub unsafe extern "C" fn ram_device_pages_take(pages: *mut RamDevicePages, count: usize) -> usize {
    // SAFETY: valid and ours, says the caller.
    unsafe { pages.as_mut() }
        .and_then(|pages| pages::take(pages, count))
        .unwrap_or(RAM_DEVICE_CHUNK_PAGES as usize)
}

/// Gives back `count` pages from `first` on; is the chunk empty now?
///
/// # Safety
///
/// As [`ram_device_pages_take()`].
#[no_mangle]
pub unsafe extern "C" fn ram_device_pages_give(
    pages: *mut RamDevicePages,
    first: usize,
    count: usize,
) -> bool {
    // SAFETY: valid and ours, says the caller.
    match unsafe { pages.as_mut() } {
        Some(pages) => {
            pages::give(pages, first, count);
            pages::is_empty(pages)
        }
        None => false,
    }
}

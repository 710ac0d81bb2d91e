// SPDX-License-Identifier: GPL-2.0-or-later

//! The routines as C calls them, beside libc's `memmove()`.
//!
//! The device is ordinary memory, shared and mapped as a BAR would be: what is
//! measured is what the contract costs in the CPU.  A real BAR is slower by
//! far, for either of the two.  The profile is QEMU's (`[profile.bench]`):
//! optimized, with debug assertions.

// Not QEMU's code: it may use what QEMU's oldest compiler hasn't got.
#![allow(clippy::incompatible_msrv)]

mod thread_time;

use std::{ffi::c_void, hint::black_box, ptr::null_mut, time::Duration};

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use qemu::bindings::RamDevice;
use ram_device::ffi::{ram_device_load, ram_device_read, ram_device_store, ram_device_write};
use thread_time::ThreadTime;

const KIB: usize = 1024;
const LENGTHS: [usize; 5] = [4 * KIB, 16 * KIB, 64 * KIB, 1024 * KIB, 64 * 1024 * KIB];
const WIDTHS: [usize; 4] = [1, 2, 4, 8];
const SIZE: usize = LENGTHS[LENGTHS.len() - 1];

type Memmove = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void;

/// libc's.  The compiler must not know that, or it puts something else in its
/// place.
fn memmove() -> Memmove {
    black_box(libc::memmove)
}

/// Memory of [`SIZE`] bytes that stays mapped.
fn map(sharing: i32) -> *mut u8 {
    // SAFETY: a new mapping where the kernel likes.
    let address = unsafe {
        libc::mmap(
            null_mut(),
            SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            sharing | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
            -1,
            0,
        )
    };
    assert_ne!(address, libc::MAP_FAILED, "no memory for the device");
    address.cast()
}

fn device() -> RamDevice {
    RamDevice {
        host: map(libc::MAP_SHARED),
        size: SIZE as u64,
        readonly: false,
        direct: false,
    }
}

/// Measures both routines, one right after the other.
fn compare(
    criterion: &mut Criterion<ThreadTime>,
    name: &str,
    len: usize,
    mut theirs: impl FnMut(usize),
    mut ours: impl FnMut(usize),
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(BenchmarkId::new("memmove", len), |bencher| {
        bencher.iter(|| theirs(black_box(len)));
    });
    group.bench_function(BenchmarkId::new("ram_device", len), |bencher| {
        bencher.iter(|| ours(black_box(len)));
    });
    group.finish();
}

fn copies(criterion: &mut Criterion<ThreadTime>) {
    let (rd, ram, memmove) = (device(), map(libc::MAP_PRIVATE), memmove());
    let (device, ram) = (rd.host.cast::<c_void>(), ram.cast::<c_void>());
    for len in LENGTHS {
        compare(
            criterion,
            "read",
            len,
            // SAFETY: both sides are mapped for `SIZE` bytes.
            |len| unsafe {
                memmove(ram, device, len);
            },
            // SAFETY: as above.
            |len| unsafe {
                assert!(ram_device_read(&rd, 0, ram, len as u64));
            },
        );
        compare(
            criterion,
            "write",
            len,
            // SAFETY: as above.
            |len| unsafe {
                memmove(device, ram, len);
            },
            // SAFETY: as above.
            |len| unsafe {
                assert!(ram_device_write(&rd, 0, ram, len as u64));
            },
        );
    }
}

fn accessors(criterion: &mut Criterion<ThreadTime>) {
    let (rd, memmove) = (device(), memmove());
    let device = rd.host.cast::<c_void>();
    for width in WIDTHS {
        let mut value = 0_u64;
        let ram: *mut u64 = &mut value;
        compare(
            criterion,
            "load",
            width,
            // SAFETY: the device is mapped, and the value is as long.
            |len| unsafe {
                memmove(ram.cast(), device, len);
            },
            // SAFETY: as above.
            |len| unsafe {
                assert!(ram_device_load(&rd, 0, len as u32, ram));
            },
        );
        compare(
            criterion,
            "store",
            width,
            // SAFETY: as above.
            |len| unsafe {
                memmove(device, ram.cast(), len);
            },
            // SAFETY: as above.
            |len| unsafe {
                assert!(ram_device_store(&rd, 0, len as u32, *ram));
            },
        );
    }
}

criterion_group! {
    name = routines;
    config = Criterion::default()
        .with_measurement(ThreadTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300));
    targets = copies, accessors
}
criterion_main!(routines);

// SPDX-License-Identifier: GPL-2.0-or-later

//! Transfers over a recorded device: which accesses, and which bytes.

use std::mem::size_of;

use super::*;
use crate::{plan::Misaligned, port::Native};

/// One access to the device, as an offset from where the transfer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Load { offset: usize, width: usize },
    Store { offset: usize, width: usize },
}

/// A device that keeps a record.  Its memory is ordinary.
struct Recorder<const ONE_ACCESS: bool> {
    start: usize,
    accesses: Vec<Access>,
}

impl<const ONE_ACCESS: bool> Recorder<ONE_ACCESS> {
    fn at(start: DeviceAddr) -> Self {
        Self {
            start: start.get(),
            accesses: Vec::new(),
        }
    }
}

// SAFETY: both make the access that they are asked for.
unsafe impl<const ONE_ACCESS: bool> Port for Recorder<ONE_ACCESS> {
    const MISALIGNED: Misaligned = if ONE_ACCESS {
        Misaligned::OneAccess
    } else {
        Misaligned::Split
    };

    fn has_vanished(&self) -> bool {
        false
    }

    unsafe fn load<W: Word>(&mut self, addr: DeviceAddr) -> W {
        self.accesses.push(Access::Load {
            offset: addr.get() - self.start,
            width: size_of::<W>(),
        });
        // SAFETY: the caller vouches for the address; it is RAM.
        unsafe { W::ram_load(addr.get() as *const u8) }
    }

    unsafe fn store<W: Word>(&mut self, addr: DeviceAddr, value: W) {
        self.accesses.push(Access::Store {
            offset: addr.get() - self.start,
            width: size_of::<W>(),
        });
        // SAFETY: the caller vouches for the address; it is RAM.
        unsafe { W::ram_store(addr.get() as *mut u8, value) }
    }
}

/// Eight-byte aligned memory, so that an index tells the alignment.
const LEN: usize = 320;
#[repr(align(64))]
struct Memory([u8; LEN]);

impl Memory {
    /// Bytes that tell where they stand; `seed` keeps two memories apart.
    fn new(seed: u8) -> Self {
        let mut bytes = [0; LEN];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (i as u8).wrapping_mul(37).wrapping_add(seed);
        }
        Self(bytes)
    }
}

/// The accesses that C1 and C2 prescribe.
fn planned<P: Port>(
    addr: DeviceAddr,
    len: usize,
    access: impl Fn(usize, usize) -> Access,
) -> Vec<Access> {
    let mut accesses = Vec::new();
    for run in Plan::new(addr, len, P::MISALIGNED) {
        for i in 0..run.count {
            accesses.push(access(
                run.offset + i * run.width.bytes(),
                run.width.bytes(),
            ));
        }
    }
    accesses
}

/// Every length from 0 to 257 at every alignment of both sides.
fn every_length_and_alignment(mut check: impl FnMut(usize, usize, usize)) {
    for len in 0..=257 {
        for device in 0..8 {
            for ram in 0..8 {
                check(len, 16 + device, 16 + ram);
            }
        }
    }
}

fn read_makes_the_planned_loads<const ONE_ACCESS: bool>() {
    every_length_and_alignment(|len, device, ram| {
        let source = Memory::new(1);
        let mut target = Memory::new(101);
        let mut expected = Memory::new(101);
        expected.0[ram..ram + len].copy_from_slice(&source.0[device..device + len]);

        let from = DeviceAddr::new(source.0[device..].as_ptr() as usize);
        let mut recorder = Recorder::<ONE_ACCESS>::at(from);
        // SAFETY: both memories are long enough for the longest transfer.
        unsafe {
            assert_eq!(
                read(&mut recorder, from, target.0[ram..].as_mut_ptr(), len),
                Ok(())
            );
        }

        assert_eq!(target.0, expected.0, "len {len} {device} -> {ram}");
        let loads = planned::<Recorder<ONE_ACCESS>>(from, len, |offset, width| Access::Load {
            offset,
            width,
        });
        assert_eq!(recorder.accesses, loads, "len {len} {device} -> {ram}");
    });
}

#[test]
fn c1_c2_c3_a_read_makes_the_planned_loads_and_no_store() {
    read_makes_the_planned_loads::<true>();
    read_makes_the_planned_loads::<false>();
}

fn write_makes_the_planned_stores<const ONE_ACCESS: bool>() {
    every_length_and_alignment(|len, device, ram| {
        let source = Memory::new(1);
        let mut target = Memory::new(101);
        let mut expected = Memory::new(101);
        expected.0[device..device + len].copy_from_slice(&source.0[ram..ram + len]);

        let to = DeviceAddr::new(target.0[device..].as_mut_ptr() as usize);
        let mut recorder = Recorder::<ONE_ACCESS>::at(to);
        // SAFETY: both memories are long enough for the longest transfer.
        unsafe {
            assert_eq!(
                write(&mut recorder, to, source.0[ram..].as_ptr(), len),
                Ok(())
            );
        }

        assert_eq!(target.0, expected.0, "len {len} {ram} -> {device}");
        let stores = planned::<Recorder<ONE_ACCESS>>(to, len, |offset, width| Access::Store {
            offset,
            width,
        });
        assert_eq!(recorder.accesses, stores, "len {len} {ram} -> {device}");
    });
}

#[test]
fn c1_c2_c3_a_write_makes_the_planned_stores_and_no_load() {
    write_makes_the_planned_stores::<true>();
    write_makes_the_planned_stores::<false>();
}

/// Moves `len` bytes within one memory, by `copy(from, to)`, and checks them
/// against `copy_within()`.
fn moves_like_memmove(len: usize, source: usize, target: usize, copy: impl Fn(*mut u8, *mut u8)) {
    let mut expected = Memory::new(1);
    expected.0.copy_within(source..source + len, target);

    let mut memory = Memory::new(1);
    let base = memory.0.as_mut_ptr();
    copy(base.wrapping_add(source), base.wrapping_add(target));
    assert_eq!(memory.0, expected.0, "len {len} {source} -> {target}");
}

#[test]
fn c5_overlapping_sides_give_the_result_of_memmove() {
    for len in 0..=64 {
        for source in 0..32 {
            for target in 0..32 {
                moves_like_memmove(len, source, target, |from, to| {
                    // SAFETY: 32 + 64 bytes are within the memory.
                    let copied = unsafe {
                        read(
                            &mut Native::default(),
                            DeviceAddr::new(from as usize),
                            to,
                            len,
                        )
                    };
                    assert_eq!(copied, Ok(()));
                });
                moves_like_memmove(len, source, target, |from, to| {
                    // SAFETY: 32 + 64 bytes are within the memory.
                    let copied = unsafe {
                        write(
                            &mut Native::default(),
                            DeviceAddr::new(to as usize),
                            from,
                            len,
                        )
                    };
                    assert_eq!(copied, Ok(()));
                });
            }
        }
    }
}

#[test]
fn c5_an_overlapping_transfer_still_makes_each_access_once() {
    for len in 9..=64 {
        for source in 0..16 {
            for lead in 1..len {
                let mut memory = Memory::new(1);
                let base = memory.0.as_mut_ptr();
                let to = DeviceAddr::new(base.wrapping_add(source + lead) as usize);
                let mut recorder = Recorder::<true>::at(to);
                // SAFETY: 16 + 64 + 64 bytes are within the memory.
                unsafe {
                    assert_eq!(
                        write(&mut recorder, to, base.wrapping_add(source), len),
                        Ok(())
                    );
                }

                let mut accesses = planned::<Recorder<true>>(to, len, |offset, width| {
                    Access::Store { offset, width }
                });
                accesses.reverse();
                assert_eq!(recorder.accesses, accesses);
            }
        }
    }
}

#[test]
fn c1_load_and_store_move_a_value_in_host_byte_order() {
    for width in [Width::One, Width::Two, Width::Four, Width::Eight] {
        for at in 16..24 {
            let mut memory = Memory::new(7);
            let mut expected = Memory::new(7);
            let value = 0x8877_6655_4433_2211_u64;
            let kept = value & (u64::MAX >> (64 - 8 * width.bytes()));
            let bytes = if cfg!(target_endian = "little") {
                kept.to_le_bytes()[..width.bytes()].to_vec()
            } else {
                kept.to_be_bytes()[8 - width.bytes()..].to_vec()
            };
            expected.0[at..at + width.bytes()].copy_from_slice(&bytes);

            let device = DeviceAddr::new(memory.0[at..].as_mut_ptr() as usize);
            // SAFETY: the device address has 8 bytes and more behind it.
            unsafe {
                store(&mut Native::default(), device, width, value).unwrap();
            }
            assert_eq!(memory.0, expected.0);
            // SAFETY: as before.
            let loaded = unsafe { load(&mut Native::default(), device, width) };
            assert_eq!(loaded, Ok(kept));
        }
    }
}

fn load_and_store_make_the_planned_accesses<const ONE_ACCESS: bool>() {
    for size in [Width::One, Width::Two, Width::Four, Width::Eight] {
        for at in 16..24 {
            let mut memory = Memory::new(7);
            let device = DeviceAddr::new(memory.0[at..].as_mut_ptr() as usize);
            let mut recorder = Recorder::<ONE_ACCESS>::at(device);
            // SAFETY: the device address has 8 bytes and more behind it.
            unsafe {
                let value = load(&mut recorder, device, size).unwrap();
                store(&mut recorder, device, size, value).unwrap();
            }

            let (addr, len) = (device, size.bytes());
            let mut accesses = planned::<Recorder<ONE_ACCESS>>(addr, len, |offset, width| {
                Access::Load { offset, width }
            });
            accesses.extend(planned::<Recorder<ONE_ACCESS>>(
                addr,
                len,
                |offset, width| Access::Store { offset, width },
            ));
            assert_eq!(recorder.accesses, accesses);
            assert_eq!(memory.0, Memory::new(7).0);
        }
    }
}

#[test]
fn c1_c2_load_and_store_make_the_planned_accesses() {
    load_and_store_make_the_planned_accesses::<true>();
    load_and_store_make_the_planned_accesses::<false>();
}

/// A page that may be accessed between two that may not.
struct LonePage {
    mapping: *mut libc::c_void,
}

const PAGE: usize = 4096;

impl LonePage {
    fn new() -> Self {
        // SAFETY: a new anonymous mapping, then protections within it.
        let mapping = unsafe {
            let mapping = libc::mmap(
                std::ptr::null_mut(),
                3 * PAGE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(mapping, libc::MAP_FAILED);
            let middle = mapping.cast::<u8>().wrapping_add(PAGE).cast();
            assert_eq!(
                libc::mprotect(middle, PAGE, libc::PROT_READ | libc::PROT_WRITE),
                0
            );
            mapping
        };
        Self { mapping }
    }

    fn start(&self) -> *mut u8 {
        self.mapping.cast::<u8>().wrapping_add(PAGE)
    }

    fn end(&self) -> *mut u8 {
        self.start().wrapping_add(PAGE)
    }
}

impl Drop for LonePage {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own.
        unsafe {
            libc::munmap(self.mapping, 3 * PAGE);
        }
    }
}

#[test]
fn c3_nothing_is_read_ahead_or_beyond_either_side() {
    let page = LonePage::new();
    let ram = LonePage::new();
    for len in 0..=257 {
        for (dev, mem) in [
            (page.start(), ram.start()),
            (page.end().wrapping_sub(len), ram.end().wrapping_sub(len)),
        ] {
            let device = DeviceAddr::new(dev as usize);
            // SAFETY: both sides lie in their page; beyond it an access would
            // be a SIGSEGV, which is what this test is about.
            unsafe {
                assert_eq!(read(&mut Native::default(), device, mem, len), Ok(()));
                assert_eq!(write(&mut Native::default(), device, mem, len), Ok(()));
            }
        }
    }
}

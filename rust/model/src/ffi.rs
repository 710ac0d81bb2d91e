// SPDX-License-Identifier: GPL-2.0-or-later

//! `ram_device::ffi` beside the model: what C asks for and cannot have is
//! refused before anything is touched.

use proptest::prelude::*;
use qemu::bindings::RamDevice;
use ram_device::ffi::{
    ram_device_gives_pointer, ram_device_load, ram_device_read, ram_device_store, ram_device_write,
};

use crate::contract::config;

const SIZE: usize = 96;
/// Bytes before and behind the region, which are nobody's.
const MARGIN: usize = 16;

#[derive(Clone, Debug)]
struct Region {
    memory: Vec<u8>,
    size: usize,
    readonly: bool,
    direct: bool,
}

impl Region {
    /// As C describes it; `memory` is its memory with the margins.
    fn description(&self, memory: &mut [u8]) -> RamDevice {
        RamDevice {
            host: memory.as_mut_ptr().wrapping_add(MARGIN),
            size: self.size as u64,
            readonly: self.readonly,
            direct: self.direct,
        }
    }

    /// Where in the memory the transfer is, if the region admits it.
    fn admits(&self, offset: u64, len: u64, is_write: bool) -> Option<std::ops::Range<usize>> {
        let end = u128::from(offset) + u128::from(len);
        if end > self.size as u128 || self.readonly && is_write {
            return None;
        }
        Some(MARGIN + offset as usize..MARGIN + end as usize)
    }
}

fn any_region() -> impl Strategy<Value = Region> {
    (
        prop::collection::vec(any::<u8>(), SIZE + 2 * MARGIN),
        0..=SIZE,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(memory, size, readonly, direct)| Region {
            memory,
            size,
            readonly,
            direct,
        })
}

fn any_offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..100_u64,
        any::<u64>(),
        (0..100_u64).prop_map(|below| u64::MAX - below)
    ]
}

/// Few bytes, or so many that only the low bits of the number look like few.
fn any_size() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..10_u32,
        any::<u32>(),
        (0..10_u32, 4..32_u32).prop_map(|(low, bit)| low | (1_u32 << bit)),
    ]
}

/// The value that the bytes are, zero-extended.
fn value_of(bytes: &[u8]) -> u64 {
    let number = |value, &byte| (value << 8) | u64::from(byte);
    if cfg!(target_endian = "little") {
        bytes.iter().rev().fold(0, number)
    } else {
        bytes.iter().fold(0, number)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_read_is_of_the_region_s_bytes_or_of_ones(
        region in any_region(),
        offset in any_offset(),
        len in 0..120_usize,
    ) {
        let mut memory = region.memory.clone();
        let rd = region.description(&mut memory);
        let mut ram = vec![0x5a; len + 1];
        // SAFETY: the region is within the memory, and `ram` is long enough.
        let done = unsafe { ram_device_read(&rd, offset, ram.as_mut_ptr().cast(), len as u64) };
        let mut expected = match region.admits(offset, len as u64, false) {
            Some(range) => region.memory[range].to_vec(),
            None => vec![0xff; len],
        };
        expected.push(0x5a);
        prop_assert_eq!(ram, expected);
        prop_assert_eq!(done, region.admits(offset, len as u64, false).is_some());
        prop_assert_eq!(memory, region.memory);
    }

    #[test]
    fn a_write_is_of_the_region_s_bytes_or_of_none(
        region in any_region(),
        offset in any_offset(),
        ram in prop::collection::vec(any::<u8>(), 0..120),
        huge in prop::option::of(SIZE as u64 + 1..),
    ) {
        let mut memory = region.memory.clone();
        let rd = region.description(&mut memory);
        // A length that no region has is refused before RAM is read.
        let len = huge.unwrap_or(ram.len() as u64);
        // SAFETY: the region is within the memory, and `ram` is as long as what
        // is admitted.
        let done = unsafe { ram_device_write(&rd, offset, ram.as_ptr().cast(), len) };
        let mut expected = region.memory.clone();
        if let Some(range) = region.admits(offset, len, true) {
            expected[range].copy_from_slice(&ram);
        }
        prop_assert_eq!(done, region.admits(offset, len, true).is_some());
        prop_assert_eq!(memory, expected);
    }

    #[test]
    fn a_load_is_of_1_2_4_or_8_bytes_of_the_region_or_of_ones(
        region in any_region(),
        offset in any_offset(),
        size in any_size(),
    ) {
        let mut memory = region.memory.clone();
        let rd = region.description(&mut memory);
        let mut value = 0x5a5a;
        // SAFETY: the region is within the memory.
        let done = unsafe { ram_device_load(&rd, offset, size, &mut value) };
        let range = region
            .admits(offset, u64::from(size), false)
            .filter(|_| [1, 2, 4, 8].contains(&size));
        let expected = range.clone().map_or(u64::MAX, |range| value_of(&region.memory[range]));
        prop_assert_eq!(value, expected);
        prop_assert_eq!(done, range.is_some());
        prop_assert_eq!(memory, region.memory);
    }

    #[test]
    fn a_store_is_of_1_2_4_or_8_bytes_of_the_region_or_of_none(
        region in any_region(),
        offset in any_offset(),
        size in any_size(),
        value: u64,
    ) {
        let mut memory = region.memory.clone();
        let rd = region.description(&mut memory);
        // SAFETY: the region is within the memory.
        let done = unsafe { ram_device_store(&rd, offset, size, value) };
        let range = region
            .admits(offset, u64::from(size), true)
            .filter(|_| [1, 2, 4, 8].contains(&size));
        prop_assert_eq!(done, range.is_some());
        let touched = range.unwrap_or(0..0);
        for (at, (&is, &was)) in memory.iter().zip(&region.memory).enumerate() {
            prop_assert!(touched.contains(&at) || is == was, "byte {}", at);
        }
        if done {
            let kept = u64::MAX >> (64 - 8 * size);
            prop_assert_eq!(value_of(&memory[touched]), value & kept);
        }
    }

    #[test]
    fn a_pointer_is_handed_out_into_direct_regions_only(
        region in any_region(),
        is_write: bool,
    ) {
        let rd = region.description(&mut region.memory.clone());
        // SAFETY: nothing but the description is looked at.
        let gives = unsafe { ram_device_gives_pointer(&rd, is_write) };
        prop_assert_eq!(gives, region.direct && !(region.readonly && is_write));
    }
}

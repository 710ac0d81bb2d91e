// SPDX-License-Identifier: GPL-2.0-or-later

//! `ram_device::policy` beside the model: who may access, and who may have a
//! pointer.

use std::cell::Cell;

use proptest::prelude::*;
use ram_device::policy::{is_inside, kind, may_access, may_map, Direct, Kind};

use crate::contract::config;

/// Lengths and offsets about the size of a region, about each other, and any.
fn about(number: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..10_u64,
        (0..10_u64).prop_map(move |more| number.wrapping_add(more)),
        (0..10_u64).prop_map(move |less| number.wrapping_sub(less)),
    ]
}

fn any_transfer() -> impl Strategy<Value = (u64, u64, u64)> {
    any::<u64>()
        .prop_flat_map(about)
        .prop_flat_map(|size| (Just(size), about(size)))
        .prop_flat_map(|(size, offset)| {
            (Just(size), Just(offset), about(size.wrapping_sub(offset)))
        })
}

/// The numbers of an enum of C's, and those that it hasn't got.
fn any_raw() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, any::<u32>()]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_transfer_is_inside_if_its_end_is((size, offset, len) in any_transfer()) {
        let end = u128::from(offset) + u128::from(len);
        prop_assert_eq!(is_inside(size, offset, len), end <= u128::from(size));
    }

    #[test]
    fn only_one_number_means_memory_like(raw in any_raw()) {
        prop_assert_eq!(Kind::from_raw(raw) == Kind::MemoryLike, raw == 1);
        prop_assert_eq!(Kind::from_raw(raw) == Kind::RegisterLike, raw != 1);
    }

    #[test]
    fn what_the_operator_cannot_have_meant_is_auto(raw in any_raw()) {
        let meant = match raw {
            1 => Direct::On,
            2 => Direct::Off,
            _ => Direct::Auto,
        };
        prop_assert_eq!(Direct::from_raw(raw), meant);
    }

    #[test]
    fn a_pointer_is_for_memory_like_regions_and_a_write_for_those_that_bear_it(
        raw in any_raw(),
        readonly: bool,
        is_write: bool,
    ) {
        let bears = !is_write || !readonly;
        prop_assert_eq!(may_access(readonly, is_write), bears);
        prop_assert_eq!(may_map(Kind::from_raw(raw), readonly, is_write), bears && raw == 1);
    }

    #[test]
    fn a_region_is_memory_like_if_the_operator_says_so_or_the_bar_and_its_mapping_do(
        prefetchable: bool,
        tolerates: bool,
        raw in any_raw(),
    ) {
        let asked = Cell::new(0);
        let got = kind(prefetchable, Direct::from_raw(raw), || {
            asked.set(asked.get() + 1);
            tolerates
        });
        let auto = !matches!(raw, 1 | 2);
        let memory_like = raw == 1 || auto && prefetchable && tolerates;
        prop_assert_eq!(got == Kind::MemoryLike, memory_like);
        // The question touches the device.
        prop_assert_eq!(asked.get(), u32::from(auto && prefetchable));
    }
}

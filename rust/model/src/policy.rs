// SPDX-License-Identifier: GPL-2.0-or-later

//! `ram_device::policy` beside the model: who may access, and who may have a
//! pointer.

use proptest::prelude::*;
use ram_device::policy::{gives_pointer, is_inside, may_access};

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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_transfer_is_inside_if_its_end_is((size, offset, len) in any_transfer()) {
        let end = u128::from(offset) + u128::from(len);
        prop_assert_eq!(is_inside(size, offset, len), end <= u128::from(size));
    }

    #[test]
    fn a_pointer_is_for_direct_regions_and_a_write_for_those_that_tolerate_it(
        direct: bool,
        readonly: bool,
        is_write: bool,
    ) {
        let tolerates = !is_write || !readonly;
        prop_assert_eq!(may_access(readonly, is_write), tolerates);
        prop_assert_eq!(gives_pointer(direct, readonly, is_write), direct && tolerates);
    }
}

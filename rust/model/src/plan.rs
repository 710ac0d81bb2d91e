// SPDX-License-Identifier: GPL-2.0-or-later

//! `ram_device::plan` beside the model (C1, C2, C3).

use proptest::prelude::*;
use ram_device::{
    arch::DeviceAddr,
    plan::{Misaligned, Plan, Run, Width},
};

use crate::contract::{accesses, any_address, any_misaligned, config, widest, Access};

/// Of 1, 2, 4, many times 8, 4, 2 and 1 bytes.
const MOST_RUNS: usize = 7;

/// The accesses of some runs, one by one.
fn one_by_one(runs: impl Iterator<Item = Run>) -> Vec<Access> {
    runs.flat_map(|run| {
        let width = run.width.bytes();
        (0..run.count).map(move |i| (run.offset + i * width, width))
    })
    .collect()
}

/// A transfer that ends within the address space, of at most `longest` bytes.
fn transfers(longest: usize) -> impl Strategy<Value = (usize, usize)> {
    any_address().prop_flat_map(move |addr| {
        let room = (usize::MAX - addr).saturating_add(1).min(longest);
        let len = prop_oneof![0..=room, 0..=room.min(40), room.saturating_sub(40)..=room];
        (Just(addr), len)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_accesses_are_those_of_the_model(
        (addr, len) in transfers(3000),
        misaligned in any_misaligned(),
    ) {
        let plan = Plan::new(DeviceAddr::new(addr), len, misaligned);
        prop_assert_eq!(one_by_one(plan), accesses(addr, len, misaligned));
    }

    /// Too many accesses to list: what makes a list of runs the model's one is
    /// asked instead.
    #[test]
    fn the_runs_of_a_transfer_of_any_length_are_side_by_side_and_as_wide_as_can_be(
        (addr, len) in transfers(usize::MAX),
        misaligned in any_misaligned(),
    ) {
        let one_access = misaligned == Misaligned::OneAccess && [1, 2, 4, 8].contains(&len);
        let mut end = 0_u128;
        let mut runs = 0;
        for Run { offset, width, count } in Plan::new(DeviceAddr::new(addr), len, misaligned) {
            prop_assert_eq!(offset as u128, end, "neither a gap nor twice");
            prop_assert!(count >= 1);
            let last = offset + (count - 1) * width.bytes();
            if one_access {
                prop_assert_eq!((width.bytes(), count), (len, 1));
            } else {
                prop_assert_eq!(width.bytes(), widest(addr, len, offset), "the first of the run");
                prop_assert_eq!(width.bytes(), widest(addr, len, last), "the last of the run");
            }
            end += count as u128 * width.bytes() as u128;
            runs += 1;
            prop_assert!(runs <= MOST_RUNS);
        }
        prop_assert_eq!(end, len as u128, "all of it");
    }

    #[test]
    fn from_the_back_the_runs_are_the_same_in_reverse(
        (addr, len) in transfers(usize::MAX),
        misaligned in any_misaligned(),
    ) {
        let plan = Plan::new(DeviceAddr::new(addr), len, misaligned);
        let mut backwards: Vec<Run> = plan.clone().rev().take(MOST_RUNS + 1).collect();
        backwards.reverse();
        prop_assert_eq!(backwards, plan.take(MOST_RUNS + 1).collect::<Vec<_>>());
    }

    /// As an iterator with two ends has to.
    #[test]
    fn taken_from_both_ends_every_byte_is_in_exactly_one_access(
        (addr, len) in transfers(3000),
        misaligned in any_misaligned(),
        ends in prop::collection::vec(any::<bool>(), 20),
    ) {
        let mut plan = Plan::new(DeviceAddr::new(addr), len, misaligned);
        let (mut front, mut back) = (Vec::new(), Vec::new());
        for from_front in ends {
            let taken = if from_front { plan.next() } else { plan.next_back() };
            match taken {
                Some(run) if from_front => front.push(run),
                Some(run) => back.push(run),
                None => break,
            }
        }
        prop_assert_eq!(plan.next(), None, "20 steps are enough");
        back.reverse();
        front.append(&mut back);
        let mut touched = vec![0; len];
        for (offset, width) in one_by_one(front.into_iter()) {
            touched[offset..offset + width].iter_mut().for_each(|times| *times += 1);
        }
        prop_assert!(touched.iter().all(|&times| times == 1), "{:?}", touched);
    }

    #[test]
    fn a_width_is_of_1_2_4_or_8_bytes(bytes in prop_oneof![0..20_usize, any::<usize>()]) {
        let width = Width::from_bytes(bytes);
        prop_assert_eq!(width.is_some(), [1, 2, 4, 8].contains(&bytes));
        prop_assert!(width.map_or(true, |width| width.bytes() == bytes));
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The contract, said again as plainly as possible.

use proptest::{prelude::*, test_runner::Config};
use ram_device::plan::Misaligned;

/// One access: bytes from the transfer's start, and width in bytes.
pub type Access = (usize, usize);

/// C1 and C2: the accesses of a transfer, in ascending order.
pub fn accesses(addr: usize, len: usize, misaligned: Misaligned) -> Vec<Access> {
    if misaligned == Misaligned::OneAccess && [1, 2, 4, 8].contains(&len) {
        return vec![(0, len)];
    }
    let mut accesses = Vec::new();
    let mut offset = 0;
    while offset < len {
        let width = widest(addr, len, offset);
        accesses.push((offset, width));
        offset += width;
    }
    accesses
}

/// The width of the access at `offset` by C2 alone.
pub fn widest(addr: usize, len: usize, offset: usize) -> usize {
    let address = addr as u128 + offset as u128;
    let left = len - offset;
    [8, 4, 2, 1]
        .into_iter()
        .find(|&width| address % width as u128 == 0 && left >= width)
        .expect("a byte is always aligned, and there is one left")
}

/// C5: must a copy of `len` bytes begin at the end?  It must if its destination
/// starts inside its source.
pub fn begins_at_the_end(source: usize, destination: usize, len: usize) -> bool {
    (1..len).any(|inside| source.wrapping_add(inside) == destination)
}

/// How the tests are run.  A case that fails is printed, and not kept in a file
/// beside the source.
pub fn config() -> Config {
    Config {
        cases: if cfg!(miri) { 5 } else { 1000 },
        failure_persistence: None,
        ..Config::default()
    }
}

pub fn any_misaligned() -> impl Strategy<Value = Misaligned> {
    prop_oneof![Just(Misaligned::OneAccess), Just(Misaligned::Split)]
}

/// Addresses at both ends of the address space, and anywhere.
pub fn any_address() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..64_usize,
        any::<usize>(),
        any::<u32>().prop_map(|low| low as usize),
        (0..64_usize).prop_map(|below| usize::MAX - below),
    ]
}

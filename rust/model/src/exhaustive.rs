// SPDX-License-Identifier: GPL-2.0-or-later

//! Not drawn but counted: every transfer of up to 4096 bytes, at every address
//! of both sides within a cache line (C1, C2, C3, C5, C7).
//!
//! What is in bounds is stated by the constants.  Without optimization these
//! would take an hour, so they are ignored unless they are asked for:
//! `cargo test --release --package ram_device_model -- --ignored`.

use std::{fmt::Debug, mem::size_of};

use ram_device::{
    arch::{DeviceAddr, Word},
    copy,
    plan::{Misaligned, Plan, Run},
    port::Port,
};

use crate::{
    contract::{accesses, Access},
    device::Direction,
};

/// Addresses modulo this are told apart.  The contract itself tells them apart
/// modulo 8.
const LINE: usize = 64;
/// The longest transfer.
const LONGEST: usize = 4096;
/// Bytes on both sides of a transfer that must stay as they are.
const GUARD: usize = LINE;
const ROOM: usize = GUARD + LINE + LONGEST + GUARD;

const DIRECTIONS: [Direction; 2] = [Direction::Read, Direction::Write];
const BOTH: [Misaligned; 2] = [Misaligned::OneAccess, Misaligned::Split];

/// Each address within a line with each length.
fn addresses_and_lengths() -> impl Iterator<Item = (usize, usize)> {
    (0..LINE).flat_map(|addr| (0..=LONGEST).map(move |len| (addr, len)))
}

/// How many `check` has counted in all, for those who read the test's output.
fn count<T: Debug>(all: impl Iterator<Item = T>, what: &str, mut check: impl FnMut(T) -> usize) {
    let mut cases = 0_usize;
    let counted: usize = all
        .map(|one| {
            cases += 1;
            check(one)
        })
        .sum();
    println!("exhaustive: {cases} {what}, {counted} accesses");
}

/// Holds a list of runs against the accesses that the model lists: the same
/// ones, in the same order.
fn assert_same(runs: impl Iterator<Item = Run>, model: &[Access], what: impl Debug) {
    let mut listed = model.iter();
    for Run {
        offset,
        width,
        count,
    } in runs
    {
        assert!(count >= 1, "{what:?}");
        for number in 0..count {
            let access = (offset + number * width.bytes(), width.bytes());
            assert_eq!(listed.next(), Some(&access), "{what:?}");
        }
    }
    assert_eq!(listed.next(), None, "{what:?}");
}

/// What the contract says of accesses, without the model's way to find them:
/// each is natural and aligned, unless the transfer is that one, and they are
/// ascending, side by side, and exactly the transfer.
fn assert_contract(model: &[Access], addr: usize, len: usize, misaligned: Misaligned) {
    let is_word = [1, 2, 4, 8].contains(&len);
    let mut end = 0;
    for &(offset, width) in model {
        assert_eq!(offset, end, "ascending, exactly once");
        assert!([1, 2, 4, 8].contains(&width), "natural");
        let is_exact = is_word && width == len;
        assert!(
            (addr + offset) % width == 0 || (is_exact && misaligned == Misaligned::OneAccess),
            "aligned"
        );
        let wider = 2 * width;
        assert!(
            wider > 8 || (addr + offset) % wider != 0 || offset + wider > len || is_exact,
            "as wide as can be"
        );
        end += width;
    }
    assert_eq!(end, len, "none outside, none left out");
}

#[test]
#[ignore = "takes minutes without optimization"]
fn c1_c2_c3_every_plan_is_the_models() {
    for misaligned in BOTH {
        count(addresses_and_lengths(), "plans", |(low, len)| {
            // At both ends of the address space, and where mappings are.
            for base in [0, 1 << 40, (LONGEST + LINE).wrapping_neg()] {
                let addr = base + low;
                let model = accesses(addr, len, misaligned);
                assert_contract(&model, addr, len, misaligned);
                let plan = Plan::new(DeviceAddr::new(addr), len, misaligned);
                assert_same(plan.clone(), &model, (addr, len, misaligned));
                let mut backwards: Vec<Run> = plan.rev().collect();
                backwards.reverse();
                assert_same(
                    backwards.into_iter(),
                    &model,
                    (addr, len, misaligned, "rev"),
                );
            }
            accesses(low, len, misaligned).len()
        });
    }
}

/// A device whose accesses are held against a list one by one, as they are made.
struct Listed<'a, const ONE_ACCESS: bool> {
    start: usize,
    /// Where the bytes really are: at `start`, but a pointer.
    bytes: *mut u8,
    direction: Direction,
    listed: std::slice::Iter<'a, Access>,
    /// Accesses that it bears until it vanishes.
    lives: usize,
    made: usize,
}

impl<const ONE_ACCESS: bool> Listed<'_, ONE_ACCESS> {
    /// One more access: where it is, if the device is still there.
    fn next(&mut self, direction: Direction, addr: DeviceAddr, width: usize) -> Option<*mut u8> {
        let offset = addr.get().wrapping_sub(self.start);
        assert_eq!(self.direction, direction, "a read stores, or a write loads");
        assert_eq!(self.listed.next(), Some(&(offset, width)));
        self.made += 1;
        (self.made <= self.lives).then(|| self.bytes.wrapping_add(offset))
    }
}

// SAFETY: both access the bytes that stand for the device's, or none.
unsafe impl<const ONE_ACCESS: bool> Port for Listed<'_, ONE_ACCESS> {
    const MISALIGNED: Misaligned = if ONE_ACCESS {
        Misaligned::OneAccess
    } else {
        Misaligned::Split
    };

    fn has_vanished(&self) -> bool {
        self.made > self.lives
    }

    unsafe fn load<W: Word>(&mut self, addr: DeviceAddr) -> W {
        match self.next(Direction::Read, addr, size_of::<W>()) {
            // SAFETY: the access is one of the list, which is of the transfer.
            Some(bytes) => unsafe { W::ram_load(bytes) },
            None => W::truncated(u64::MAX),
        }
    }

    unsafe fn store<W: Word>(&mut self, addr: DeviceAddr, value: W) {
        if let Some(bytes) = self.next(Direction::Write, addr, size_of::<W>()) {
            // SAFETY: the access is one of the list, which is of the transfer.
            unsafe { W::ram_store(bytes, value) }
        }
    }
}

/// Memory whose indices tell the address modulo a line.
#[derive(Clone)]
#[repr(align(64))]
struct Memory([u8; ROOM]);

impl Memory {
    /// Bytes none of which can be taken for one near by, nor for one of another
    /// seed's.
    fn new(seed: u64) -> Box<Self> {
        let mut memory = Box::new(Self([0; ROOM]));
        let mut state = seed;
        for byte in &mut memory.0 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        memory
    }
}

/// The two sides of transfers, as they are before each one.
struct Sides {
    source: Box<Memory>,
    destination: Box<Memory>,
    fresh: Box<Memory>,
}

impl Sides {
    fn new() -> Self {
        let fresh = Memory::new(2);
        Self {
            source: Memory::new(1),
            destination: fresh.clone(),
            fresh,
        }
    }

    /// Makes one transfer with the accesses `listed`, of which the device bears
    /// `lives`, and looks at all that it may have changed.
    fn transfer<const ONE_ACCESS: bool>(
        &mut self,
        direction: Direction,
        (device, ram): (usize, usize),
        len: usize,
        listed: &[Access],
        lives: usize,
    ) {
        let (from, to) = match direction {
            Direction::Read => (device, ram),
            Direction::Write => (ram, device),
        };
        let (from, to) = (GUARD + from, GUARD + to);
        let source = self.source.0[from..].as_mut_ptr();
        let destination = self.destination.0[to..].as_mut_ptr();
        let bytes = match direction {
            Direction::Read => source,
            Direction::Write => destination,
        };
        let mut port = Listed::<ONE_ACCESS> {
            start: bytes as usize,
            bytes,
            direction,
            listed: listed.iter(),
            lives,
            made: 0,
        };
        let device_side = DeviceAddr::new(port.start);
        // SAFETY: there is room for the longest transfer on both sides.
        let done = unsafe {
            match direction {
                Direction::Read => copy::read(&mut port, device_side, destination, len),
                Direction::Write => copy::write(&mut port, device_side, source, len),
            }
        };

        let what = (direction, device, ram, len, lives);
        let arrived = listed.get(lives).map_or(len, |&(offset, _)| offset);
        assert_eq!(done.is_ok(), lives >= listed.len(), "{what:?}");
        assert_eq!(
            port.made,
            listed.len().min(lives.saturating_add(1)),
            "{what:?}"
        );
        let (before, rest) = self.destination.0.split_at(to);
        let (moved, after) = rest.split_at(len);
        let untouched = (
            &self.fresh.0[to - GUARD..to],
            &self.fresh.0[to + len..][..GUARD],
        );
        assert!(
            moved[..arrived] == self.source.0[from..][..arrived],
            "{what:?}"
        );
        match direction {
            Direction::Read => assert!(moved[arrived..].iter().all(|&b| b == u8::MAX), "{what:?}"),
            Direction::Write => {
                let old = &self.fresh.0[to + arrived..to + len];
                assert!(moved[arrived..] == *old, "{what:?}");
            }
        }
        assert!(
            (&before[to - GUARD..], &after[..GUARD]) == untouched,
            "{what:?}"
        );
        self.destination.0[to..to + len].copy_from_slice(&self.fresh.0[to..to + len]);
    }

    fn transfer_as(
        &mut self,
        misaligned: Misaligned,
        direction: Direction,
        sides: (usize, usize),
        len: usize,
        listed: &[Access],
        lives: usize,
    ) {
        match misaligned {
            Misaligned::OneAccess => {
                self.transfer::<true>(direction, sides, len, listed, lives);
            }
            Misaligned::Split => self.transfer::<false>(direction, sides, len, listed, lives),
        }
    }
}

/// Both sides within a line, all lengths.  Each access is looked at as it is
/// made, and all bytes of both sides that the transfer could have reached.
fn every_transfer(misaligned: Misaligned) {
    let mut sides = Sides::new();
    count(
        addresses_and_lengths(),
        "devices and lengths",
        |(device, len)| {
            let listed = accesses(device, len, misaligned);
            for ram in 0..LINE {
                for direction in DIRECTIONS {
                    let at = (device, ram);
                    sides.transfer_as(misaligned, direction, at, len, &listed, usize::MAX);
                }
            }
            LINE * DIRECTIONS.len() * listed.len()
        },
    );
}

#[test]
#[ignore = "takes minutes without optimization"]
fn c1_c2_c3_c5_every_transfer_is_the_models_if_one_may_be_misaligned() {
    every_transfer(Misaligned::OneAccess);
}

#[test]
#[ignore = "takes minutes without optimization"]
fn c1_c2_c3_c5_every_transfer_is_the_models_if_none_may_be() {
    every_transfer(Misaligned::Split);
}

/// As long as a few turns of the loop that moves eight words.
const LONGEST_THAT_ENDS: usize = 3 * LINE + 7;

#[test]
#[ignore = "takes minutes without optimization"]
fn c7_whichever_access_is_the_last_what_follows_is_ones_or_nothing() {
    let mut sides = Sides::new();
    let all = addresses_and_lengths().filter(|&(_, len)| len <= LONGEST_THAT_ENDS);
    count(all, "devices and lengths", |(device, len)| {
        let mut made = 0;
        for misaligned in BOTH {
            let listed = accesses(device, len, misaligned);
            for lives in 0..=listed.len() {
                for (ram, direction) in (0..8).flat_map(|ram| DIRECTIONS.map(|d| (ram, d))) {
                    let at = (device, ram);
                    sides.transfer_as(misaligned, direction, at, len, &listed, lives);
                    made += listed.len().min(lives + 1);
                }
            }
        }
        made
    });
}

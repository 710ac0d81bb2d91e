// SPDX-License-Identifier: GPL-2.0-or-later

//! `ram_device::copy` beside the model (C1, C2, C3, C5, C7).

use proptest::prelude::*;
use ram_device::{
    arch::DeviceAddr,
    copy,
    plan::{Misaligned, Width},
    Error,
};

use crate::{
    contract::{accesses, any_address, begins_at_the_end, config, Access},
    device::{Device, Direction},
};

/// What a transfer has done.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    /// All of the memory.
    memory: Vec<u8>,
    /// Where in it accesses to the device were made, in their order.
    accesses: Vec<Access>,
    complete: bool,
}

/// A transfer within one memory: both sides are offsets into it, and may
/// overlap.  To the transfer the device is at another address if
/// `device_address` says so.
#[derive(Clone, Debug)]
struct Transfer {
    memory: Vec<u64>,
    direction: Direction,
    device: usize,
    ram: usize,
    len: usize,
    device_address: Option<usize>,
    misaligned: Misaligned,
    /// How many accesses the device bears until it vanishes.
    lives: usize,
}

/// Words of memory, which hold a transfer at any offset below 200 and as long.
const WORDS: usize = 50;
const FOREVER: usize = usize::MAX;
/// Words are moved eight at a time; only then is the device looked after.
const TURN: usize = 8;

impl Transfer {
    fn bytes(&self) -> Vec<u8> {
        self.memory
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect()
    }

    /// By the crate.
    fn carried_out(&self) -> Done {
        match self.misaligned {
            Misaligned::OneAccess => self.carried_out_through::<true>(),
            Misaligned::Split => self.carried_out_through::<false>(),
        }
    }

    fn carried_out_through<const ONE_ACCESS: bool>(&self) -> Done {
        let mut memory = self.memory.clone();
        let base: *mut u8 = memory.as_mut_ptr().cast();
        let ram = base.wrapping_add(self.ram);
        let bytes = base.wrapping_add(self.device);
        let start = self.device_address.unwrap_or(bytes as usize);
        // SAFETY: the transfer is within the memory, which outlives it.
        let mut device = unsafe { Device::<ONE_ACCESS>::new(start, bytes, self.lives) };
        // SAFETY: the RAM side is within the memory; the device side is no
        // memory but the double's.
        let complete = unsafe {
            match self.direction {
                Direction::Read => copy::read(&mut device, DeviceAddr::new(start), ram, self.len),
                Direction::Write => copy::write(&mut device, DeviceAddr::new(start), ram, self.len),
            }
        };
        let (accesses, others) = match self.direction {
            Direction::Read => (device.loads, device.stores),
            Direction::Write => (device.stores, device.loads),
        };
        assert_eq!(others, [], "a read stores nothing, a write loads nothing");
        Done {
            memory: memory.iter().flat_map(|word| word.to_ne_bytes()).collect(),
            accesses,
            complete: complete.is_ok(),
        }
    }

    /// The accesses that the contract prescribes, in their order, if the device
    /// stays.
    fn prescribed(&self, base: usize) -> Vec<Access> {
        let device = self.device_address.unwrap_or(base + self.device);
        let (source, destination) = match self.direction {
            Direction::Read => (device, base + self.ram),
            Direction::Write => (base + self.ram, device),
        };
        let mut prescribed = accesses(device, self.len, self.misaligned);
        if begins_at_the_end(source, destination, self.len) {
            prescribed.reverse();
        }
        prescribed
    }

    /// By the contract, byte by byte, with the accesses `prescribed`.
    fn expected_memory(&self, prescribed: &[Access]) -> Vec<u8> {
        let before = self.bytes();
        let mut after = before.clone();
        for (number, &(offset, width)) in prescribed.iter().enumerate() {
            for at in offset..offset + width {
                match self.direction {
                    Direction::Read if number < self.lives => {
                        after[self.ram + at] = before[self.device + at];
                    }
                    Direction::Read => after[self.ram + at] = 0xff,
                    Direction::Write if number < self.lives => {
                        after[self.device + at] = before[self.ram + at];
                    }
                    Direction::Write => {}
                }
            }
        }
        after
    }
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    (
        prop::collection::vec(any::<u64>(), WORDS),
        prop_oneof![Just(Direction::Read), Just(Direction::Write)],
        (0..200_usize, 0..200_usize, 0..=200_usize),
        prop_oneof![Just(Misaligned::OneAccess), Just(Misaligned::Split)],
    )
        .prop_map(
            |(memory, direction, (device, ram, len), misaligned)| Transfer {
                memory,
                direction,
                device,
                ram,
                len,
                device_address: None,
                misaligned,
                lives: FOREVER,
            },
        )
}

/// Both sides apart, and the device anywhere in the address space.
fn any_transfer_to_a_far_device() -> impl Strategy<Value = Transfer> {
    (any_transfer(), any_address(), 0..=150_usize).prop_map(|(mut transfer, address, len)| {
        transfer.len = len;
        transfer.ram %= 50;
        transfer.device = 200 + transfer.device % 50;
        // The end of the address space is as far as a mapping goes.
        transfer.device_address = Some(address.min(usize::MAX - len));
        transfer
    })
}

/// The memory's alignment is a word's; where it lies otherwise doesn't matter
/// to the contract.
const BASE: usize = 1 << 40;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn c1_c2_c3_a_transfer_with_a_device_anywhere_makes_the_prescribed_accesses(
        transfer in any_transfer_to_a_far_device(),
    ) {
        let prescribed = transfer.prescribed(BASE);
        let done = transfer.carried_out();
        prop_assert_eq!(&done.accesses, &prescribed);
        prop_assert_eq!(done.memory, transfer.expected_memory(&prescribed));
        prop_assert!(done.complete);
    }

    #[test]
    fn c5_whatever_the_overlap_the_result_is_that_of_memmove(transfer in any_transfer()) {
        let Transfer { direction, device, ram, len, .. } = transfer;
        let (source, destination) = match direction {
            Direction::Read => (device, ram),
            Direction::Write => (ram, device),
        };
        let mut moved = transfer.bytes();
        moved.copy_within(source..source + len, destination);
        let done = transfer.carried_out();
        prop_assert_eq!(done.memory, moved);
        prop_assert_eq!(&done.accesses, &transfer.prescribed(BASE));
        prop_assert!(done.complete);
    }

    #[test]
    fn c7_a_device_that_vanishes_gives_ones_and_takes_nothing_from_there_on(
        mut transfer in prop_oneof![any_transfer(), any_transfer_to_a_far_device()],
        lives in 0..60_usize,
    ) {
        transfer.lives = lives;
        let prescribed = transfer.prescribed(BASE);
        let done = transfer.carried_out();
        prop_assert_eq!(&done.memory, &transfer.expected_memory(&prescribed));
        prop_assert_eq!(done.complete, prescribed.len() <= lives);
        // The one that failed is the last, but for words of the same turn.
        let made = done.accesses.len();
        prop_assert_eq!(&done.accesses, &prescribed[..made]);
        prop_assert!(made >= prescribed.len().min(lives + 1));
        prop_assert!(made <= lives + TURN, "{} accesses, {} were answered", made, lives);
        if made > lives + 1 {
            prop_assert!(prescribed[lives..made].iter().all(|&(_, width)| width == 8));
        }
    }

    #[test]
    fn c1_c7_a_load_or_store_of_any_width_anywhere_is_a_transfer_of_that_length(
        mut transfer in any_transfer_to_a_far_device(),
        width in prop_oneof![
            Just(Width::One),
            Just(Width::Two),
            Just(Width::Four),
            Just(Width::Eight),
        ],
        value: u64,
        lives in prop_oneof![Just(FOREVER), 0..9_usize],
    ) {
        transfer.len = width.bytes();
        transfer.lives = lives;
        let mut as_bytes = transfer.clone();
        // Where the value is: in the low bytes, wherever the host has them.
        let low = if cfg!(target_endian = "little") { 0 } else { 8 - width.bytes() };
        as_bytes.ram = low;
        as_bytes.memory[0] = if transfer.direction == Direction::Read { 0 } else { value };

        let prescribed = as_bytes.prescribed(BASE);
        let expected = as_bytes.expected_memory(&prescribed);
        let (got, memory, accesses) = match transfer.misaligned {
            Misaligned::OneAccess => load_or_store::<true>(&as_bytes, width, value),
            Misaligned::Split => load_or_store::<false>(&as_bytes, width, value),
        };
        prop_assert_eq!(got.is_err(), prescribed.len() > lives);
        if let (Direction::Read, Ok(got)) = (transfer.direction, got) {
            prop_assert_eq!(&got.to_ne_bytes()[..], &expected[..8]);
        }
        prop_assert_eq!(&memory[8..], &expected[8..]);
        let made = prescribed.len().min(lives.saturating_add(1));
        prop_assert_eq!(&accesses, &prescribed[..made]);
    }
}

/// Carries out a transfer of `width` by [`copy::load()`] or [`copy::store()`]:
/// the value loaded, the memory and the accesses.
fn load_or_store<const ONE_ACCESS: bool>(
    transfer: &Transfer,
    width: Width,
    value: u64,
) -> (Result<u64, Error>, Vec<u8>, Vec<Access>) {
    let mut memory = transfer.memory.clone();
    let bytes = memory
        .as_mut_ptr()
        .cast::<u8>()
        .wrapping_add(transfer.device);
    let start = transfer.device_address.expect("a far device");
    // SAFETY: the transfer is within the memory, which outlives it.
    let mut device = unsafe { Device::<ONE_ACCESS>::new(start, bytes, transfer.lives) };
    // SAFETY: the device side is no memory but the double's.
    let got = unsafe {
        match transfer.direction {
            Direction::Read => copy::load(&mut device, DeviceAddr::new(start), width),
            Direction::Write => {
                copy::store(&mut device, DeviceAddr::new(start), width, value).map(|()| value)
            }
        }
    };
    let accesses = [device.loads, device.stores].concat();
    let memory = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
    (got, memory, accesses)
}

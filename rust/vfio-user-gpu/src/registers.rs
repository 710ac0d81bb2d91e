// SPDX-License-Identifier: GPL-2.0-or-later

//! The registers in BAR 0, little-endian.  They may be accessed at any width; a
//! command runs when the first byte of `COMMAND` is written, and is done when
//! that write is answered.
//!
//! | offset | size | |
//! |---|---|---|
//! | 0x00 | 4 | `ID`: "RDGP" |
//! | 0x04 | 4 | `VERSION` |
//! | 0x08 | 8 | `MEMORY_SIZE` |
//! | 0x10 | 8 | `SOURCE`: an offset in BAR 4, or an address of the guest |
//! | 0x18 | 8 | `DESTINATION`: the same |
//! | 0x20 | 8 | `LENGTH` in bytes |
//! | 0x28 | 4 | `FILL`: the byte that is filled with |
//! | 0x2c | 4 | `COMMAND`: 1 copy, 2 fill, 3 checksum; + 0x100 if the source, + 0x200 if the destination is in BAR 4; + 0x400 for an interrupt |
//! | 0x30 | 4 | `STATUS`: 0 nothing asked yet, 1 done, 2 no such command, 3 too long, 4 outside BAR 4, 5 DMA failed |
//! | 0x34 | 4 | `INTERRUPTS`: how many were raised |
//! | 0x38 | 8 | `RESULT`: the CRC-32 of a checksum command |

use crate::engine::{Command, Status};

/// What `ID` says.
pub const IDENTITY: u32 = u32::from_le_bytes(*b"RDGP");
/// What `VERSION` says.
pub const CURRENT_VERSION: u32 = 1;

const ID: usize = 0x00;
const VERSION: usize = 0x04;
const MEMORY_SIZE: usize = 0x08;
/// The first that can be written: where commands read from.
pub const SOURCE: usize = 0x10;
/// Where commands write to.
pub const DESTINATION: usize = 0x18;
/// How many bytes.
pub const LENGTH: usize = 0x20;
/// What a fill command fills with.
pub const FILL: usize = 0x28;
/// The last that can be written: a write to it is a command.
pub const COMMAND: usize = 0x2c;
/// What came of the last command.
pub const STATUS: usize = 0x30;
/// How many interrupts were raised.
pub const INTERRUPTS: usize = 0x34;
/// What the last checksum was.
pub const RESULT: usize = 0x38;
const END: usize = 0x40;

/// Their contents; the BAR behind them reads as zeroes.
pub struct Registers {
    bytes: [u8; END],
}

impl Registers {
    /// As after a reset.
    #[must_use]
    pub fn new(memory_size: u64) -> Self {
        let mut registers = Self { bytes: [0; END] };
        registers.set32(ID, IDENTITY);
        registers.set32(VERSION, CURRENT_VERSION);
        registers.set64(MEMORY_SIZE, memory_size);
        registers
    }

    /// Reads from an offset in the BAR on.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// Writes those that can be written; whether that is a command.
    pub fn write(&mut self, offset: usize, data: &[u8]) -> bool {
        for (at, byte) in (offset..).zip(data) {
            if (SOURCE..STATUS).contains(&at) {
                self.bytes[at] = *byte;
            }
        }
        (offset..offset + data.len()).contains(&COMMAND)
    }

    /// What is asked of the engine.
    #[must_use]
    pub fn command(&self) -> Command {
        Command {
            code: self.get32(COMMAND),
            source: self.get64(SOURCE),
            destination: self.get64(DESTINATION),
            length: self.get64(LENGTH),
            fill: self.bytes[FILL],
        }
    }

    /// What came of it.
    pub fn finish(&mut self, status: Status, result: u32, was_interrupt_raised: bool) {
        self.set32(STATUS, status as u32);
        self.set64(RESULT, result.into());
        let raised = self.get32(INTERRUPTS);
        self.set32(INTERRUPTS, raised + u32::from(was_interrupt_raised));
    }

    fn get32(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(bytes)
    }

    fn get64(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    fn set32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn set64(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The engine: it copies, fills and checksums, in BAR 4 and in the guest's RAM.

use std::fmt;

use crate::{
    guest_memory::{DmaError, GuestMemory},
    memory::Memory,
};

/// The longest transfer.
pub const LONGEST: u64 = 16 << 20;

/// Code: from the source to the destination.
pub const COPY: u32 = 1;
/// Code: one byte, to the destination.
pub const FILL: u32 = 2;
/// Code: the CRC-32 of the source.
pub const CHECKSUM: u32 = 3;
/// Added to a code: the source is an offset in BAR 4.
pub const SOURCE_IN_MEMORY: u32 = 0x100;
/// Added to a code: the destination is an offset in BAR 4.
pub const DESTINATION_IN_MEMORY: u32 = 0x200;
/// Added to a code: an interrupt is wanted.
pub const INTERRUPT: u32 = 0x400;
const FLAGS: u32 = SOURCE_IN_MEMORY | DESTINATION_IN_MEMORY | INTERRUPT;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// One of the codes, with flags.
    pub code: u32,
    /// Where from.
    pub source: u64,
    /// Where to.
    pub destination: u64,
    /// How much.
    pub length: u64,
    /// What to fill with.
    pub fill: u8,
}

/// What came of it, as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// It is done.
    Done = 1,
    /// There is no such command.
    NoSuchCommand = 2,
    /// It is longer than [`LONGEST`].
    TooLong = 3,
    /// It isn't within BAR 4.
    OutsideMemory = 4,
    /// The guest's RAM can't be reached.
    DmaFailed = 5,
}

/// Why it isn't done.
#[derive(Debug)]
pub enum Failure {
    /// A status that says all.
    Refused(Status),
    /// The guest's RAM can't be reached.
    Dma(DmaError),
    /// The host refused the device its own memory.
    Memory(std::io::Error),
}

impl Failure {
    /// What the guest is told.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Refused(status) => *status,
            Self::Dma(_) | Self::Memory(_) => Status::DmaFailed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(to, "{status:?}"),
            Self::Dma(error) => write!(to, "{error}"),
            Self::Memory(error) => write!(to, "{error}"),
        }
    }
}

/// What the engine can reach.
pub struct Engine<'a> {
    /// BAR 4.
    pub memory: &'a Memory,
    /// The guest's RAM.
    pub guest: &'a GuestMemory,
}

impl Engine<'_> {
    /// Carries a command out; the checksum, or 0.  A source is read whole before
    /// anything is written, so the two may overlap.
    pub fn run(&self, command: &Command) -> Result<u32, Failure> {
        if command.length > LONGEST {
            return Err(Failure::Refused(Status::TooLong));
        }
        match command.code & !FLAGS {
            COPY => self.put(command, &self.get(command)?),
            FILL => self.put(command, &vec![command.fill; command.length as usize]),
            CHECKSUM => return Ok(crc32(&self.get(command)?)),
            _ => Err(Failure::Refused(Status::NoSuchCommand)),
        }
        .map(|()| 0)
    }

    fn get(&self, command: &Command) -> Result<Vec<u8>, Failure> {
        let mut data = vec![0; command.length as usize];
        if command.code & SOURCE_IN_MEMORY == 0 {
            let read = self.guest.read(command.source, &mut data);
            read.map_err(Failure::Dma)?;
        } else {
            self.within(command.source, command.length)?;
            let read = self.memory.read(command.source, &mut data);
            read.map_err(Failure::Memory)?;
        }
        Ok(data)
    }

    fn put(&self, command: &Command, data: &[u8]) -> Result<(), Failure> {
        if command.code & DESTINATION_IN_MEMORY == 0 {
            let written = self.guest.write(command.destination, data);
            written.map_err(Failure::Dma)
        } else {
            self.within(command.destination, command.length)?;
            let written = self.memory.write(command.destination, data);
            written.map_err(Failure::Memory)
        }
    }

    fn within(&self, offset: u64, length: u64) -> Result<(), Failure> {
        if self.memory.has(offset, length) {
            Ok(())
        } else {
            Err(Failure::Refused(Status::OutsideMemory))
        }
    }
}

/// The CRC-32 that zlib and Ethernet have.
#[must_use]
pub fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0-or-later

//! The PCI configuration space: BARs that can be sized, INTA, and one MSI.

use crate::layout::{Layout, CONFIG_SIZE, READ_ONLY_BAR_SIZE, REGISTER_BAR_SIZE};

/// The vendor that QEMU's own test devices have.
pub const VENDOR: u16 = 0x1234;
/// Ours among its devices.
pub const DEVICE: u16 = 0x6770;

const STATUS_HAS_CAPABILITIES: u8 = 0x10;
const CLASS_PROCESSING_ACCELERATOR: u8 = 0x12;
const BAR_64_BIT_PREFETCHABLE: u32 = 0xc;
const CAPABILITY_MSI: u8 = 0x05;
const MSI_64_BIT: u8 = 0x80;
// Offsets.
const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const REVISION: usize = 0x08;
const BASE_CLASS: usize = 0x0b;
const BARS: usize = 0x10;
const FIRST_CAPABILITY: usize = 0x34;
const INTERRUPT_LINE: usize = 0x3c;
const INTERRUPT_PIN: usize = 0x3d;
const MSI: usize = 0x40;

/// What it holds, and which of its bits can be written.
pub struct Config {
    bytes: [u8; CONFIG_SIZE],
    writable: [u8; CONFIG_SIZE],
}

impl Config {
    /// As after a reset.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let mut config = Self {
            bytes: [0; CONFIG_SIZE],
            writable: [0; CONFIG_SIZE],
        };
        config.set(0, &VENDOR.to_le_bytes(), &[0; 2]);
        config.set(2, &DEVICE.to_le_bytes(), &[0; 2]);
        // Memory, bus master, and interrupt disable.
        config.set(COMMAND, &[0; 2], &0x0406_u16.to_le_bytes());
        config.set(STATUS, &[STATUS_HAS_CAPABILITIES], &[0]);
        config.set(REVISION, &[1], &[0]);
        config.set(BASE_CLASS, &[CLASS_PROCESSING_ACCELERATOR], &[0]);
        let registers = !(REGISTER_BAR_SIZE as u32 - 1);
        config.set(BARS, &[0; 4], &registers.to_le_bytes());
        let read_only = !(READ_ONLY_BAR_SIZE as u32 - 1);
        config.set(BARS + 2 * 4, &[0; 4], &read_only.to_le_bytes());
        let memory = !(layout.memory_size - 1);
        config.set(BARS + 4 * 4, &[0; 8], &memory.to_le_bytes());
        config.set(
            BARS + 4 * 4,
            &BAR_64_BIT_PREFETCHABLE.to_le_bytes(),
            &(memory as u32).to_le_bytes(),
        );
        config.set(FIRST_CAPABILITY, &[MSI as u8], &[0]);
        config.set(INTERRUPT_LINE, &[0], &[0xff]);
        config.set(INTERRUPT_PIN, &[1], &[0]);
        // Identity and control; the address, and the data.
        config.set(MSI, &[CAPABILITY_MSI, 0, MSI_64_BIT, 0], &[0, 0, 1, 0]);
        config.set(MSI + 4, &[0; 8], &[0xfc, 255, 255, 255, 255, 255, 255, 255]);
        config.set(MSI + 12, &[0; 2], &[0xff; 2]);
        config
    }

    fn set(&mut self, at: usize, bytes: &[u8], writable: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.writable[at..at + writable.len()].copy_from_slice(writable);
    }

    /// Reads what lies within.
    ///
    /// # Panics
    ///
    /// If the range isn't within the configuration space.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        data.copy_from_slice(&self.bytes[offset..offset + data.len()]);
    }

    /// Writes those bits that can be written.
    ///
    /// # Panics
    ///
    /// If the range isn't within the configuration space.
    pub fn write(&mut self, offset: usize, data: &[u8]) {
        for (at, new) in (offset..).zip(data) {
            self.bytes[at] = (self.bytes[at] & !self.writable[at]) | (new & self.writable[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Pinnable, Sparse};

    fn sized(bar: usize) -> u32 {
        let mut config = Config::new(&Layout {
            memory_size: 8 << 30,
            sparse: Sparse::Whole,
            pinnable: Pinnable::Yes,
        });
        config.write(BARS + 4 * bar, &[0xff; 4]);
        let mut found = [0; 4];
        config.read(BARS + 4 * bar, &mut found);
        u32::from_le_bytes(found)
    }

    #[test]
    fn a_bar_that_is_sized_answers_with_its_size_and_its_kind() {
        assert_eq!(sized(0), 0xffff_c000);
        assert_eq!(sized(1), 0);
        assert_eq!((sized(2), sized(3)), (0xfff0_0000, 0));
        assert_eq!((sized(4), sized(5)), (0x0000_000c, 0xffff_fffe));
    }

    #[test]
    fn identity_and_capabilities_cannot_be_written() {
        let mut config = Config::new(&Layout {
            memory_size: 1 << 20,
            sparse: Sparse::Whole,
            pinnable: Pinnable::Yes,
        });
        for at in [0, STATUS, FIRST_CAPABILITY, MSI] {
            let (mut before, mut after) = ([0; 2], [0; 2]);
            config.read(at, &mut before);
            config.write(at, &[0x5a; 2]);
            config.read(at, &mut after);
            assert_eq!(before, after, "{at:#x}");
        }
    }
}

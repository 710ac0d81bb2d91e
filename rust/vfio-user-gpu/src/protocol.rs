// SPDX-License-Identifier: GPL-2.0-or-later

//! What a client's messages must be like.  `vfio_user` relies on it: a message of
//! another size, or one that it refuses before it has read all of it, would make
//! it take one message's rest for the next message, or panic.

use std::fmt;

use vfio_bindings::bindings::vfio::VFIO_PCI_NUM_REGIONS;

/// The size of a message's header.
pub const HEADER_SIZE: usize = 16;
/// The most data in one message, as `vfio_user` tells clients.
pub const MOST_DATA: u32 = 1 << 20;
const MOST_VERSION_DATA: usize = 4096;

const KIND_BITS: u32 = 0xf;
const NO_REPLY_FLAG: u32 = 0x10;
const ERROR_FLAG: u32 = 0x20;

const VERSION: u16 = 1;
const DMA_MAP: u16 = 2;
const DMA_UNMAP: u16 = 3;
const SET_IRQS: u16 = 8;
const REGION_READ: u16 = 9;
const REGION_WRITE: u16 = 10;
const RESET: u16 = 13;
/// The header, an offset, a region and a count.
const REGION_ACCESS_SIZE: usize = HEADER_SIZE + 16;
/// The header, and the numbers of a version.
const VERSION_SIZE: usize = HEADER_SIZE + 4;

/// How a client has broken the protocol.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        write!(to, "{}", self.0)
    }
}

fn broken<T>(how: String) -> Result<T, Broken> {
    Err(Broken(how))
}

/// A message's header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// What is asked.
    pub command: u16,
    /// Of the whole message.
    pub size: usize,
    flags: u32,
}

/// The field of 32 bits there.
fn field(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(value)
}

impl Header {
    /// The header in these bytes, if a client may send it.
    pub fn parse(bytes: &[u8; HEADER_SIZE], is_first: bool) -> Result<Self, Broken> {
        let header = Self {
            command: u16::from_ne_bytes([bytes[2], bytes[3]]),
            size: field(bytes, 4) as usize,
            flags: field(bytes, 8),
        };
        header.check(is_first)?;
        Ok(header)
    }

    fn check(&self, is_first: bool) -> Result<(), Broken> {
        let Some((name, least, most)) = self.sizes() else {
            return broken(format!(
                "message with command {}, there is none",
                self.command
            ));
        };
        if self.flags & (KIND_BITS | ERROR_FLAG) != 0 {
            return broken(format!("{name} with flags {:#x}: no command", self.flags));
        }
        if self.flags & NO_REPLY_FLAG != 0 && !self.may_go_without_reply() {
            return broken(format!("{name} that wants no reply"));
        }
        if is_first != (self.command == VERSION) {
            let wanted = if is_first {
                "VERSION first"
            } else {
                "VERSION but once"
            };
            return broken(format!("{name}, but a client must send {wanted}"));
        }
        if !(least..=most).contains(&self.size) {
            let wanted = if least == most {
                format!("{least}")
            } else {
                format!("{least} to {most}")
            };
            let size = self.size;
            return broken(format!("{name} of {size} bytes, it must be of {wanted}"));
        }
        Ok(())
    }

    /// The command's name, and the least and most bytes of its message.
    const fn sizes(&self) -> Option<(&'static str, usize, usize)> {
        let most = REGION_ACCESS_SIZE + MOST_DATA as usize;
        Some(match self.command {
            VERSION => (
                "VERSION",
                VERSION_SIZE + 1,
                VERSION_SIZE + MOST_VERSION_DATA,
            ),
            DMA_MAP => ("DMA_MAP", 48, 48),
            DMA_UNMAP => ("DMA_UNMAP", 40, 40),
            4 => ("DEVICE_GET_INFO", 32, 32),
            5 => ("DEVICE_GET_REGION_INFO", 48, 48),
            6 => ("DEVICE_GET_REGION_IO_FDS", HEADER_SIZE, most),
            7 => ("DEVICE_GET_IRQ_INFO", 32, 32),
            SET_IRQS => ("DEVICE_SET_IRQS", 36, 36),
            REGION_READ => ("REGION_READ", REGION_ACCESS_SIZE, REGION_ACCESS_SIZE),
            REGION_WRITE => ("REGION_WRITE", REGION_ACCESS_SIZE, most),
            11 => ("DMA_READ", HEADER_SIZE, most),
            12 => ("DMA_WRITE", HEADER_SIZE, most),
            RESET => ("DEVICE_RESET", HEADER_SIZE, HEADER_SIZE),
            14 => ("USER_DIRTY_PAGES", HEADER_SIZE, most),
            _ => return None,
        })
    }

    /// Whether `vfio_user` does the command for a client that wants no reply.  It
    /// refuses all others before it has read the rest of them.
    const fn may_go_without_reply(&self) -> bool {
        matches!(
            self.command,
            DMA_MAP | DMA_UNMAP | SET_IRQS | REGION_WRITE | RESET
        )
    }

    /// Whether `vfio_user` refuses the command without reading the rest of it.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(self.command, 6 | 11 | 12 | 14)
    }

    /// Checks the whole message, whose first bytes are the header.
    pub fn check_message(&self, message: &[u8]) -> Result<(), Broken> {
        match self.command {
            VERSION => check_version(&message[VERSION_SIZE..]),
            REGION_READ | REGION_WRITE => self.check_access(message),
            _ => Ok(()),
        }
    }

    /// The region must be one, and the count that of the data.
    fn check_access(&self, message: &[u8]) -> Result<(), Broken> {
        let (region, count) = (field(message, 24), field(message, 28));
        let data = message.len() - REGION_ACCESS_SIZE;
        if region >= VFIO_PCI_NUM_REGIONS {
            return broken(format!(
                "an access to region {region}, there are {VFIO_PCI_NUM_REGIONS}"
            ));
        }
        if self.command == REGION_WRITE && count as usize != data {
            return broken(format!("REGION_WRITE of {count} bytes with {data}"));
        }
        if count > MOST_DATA {
            return broken(format!(
                "REGION_READ of {count} bytes, {MOST_DATA} are most"
            ));
        }
        Ok(())
    }
}

/// The capabilities must be JSON that ends with the message's only NUL.
fn check_version(data: &[u8]) -> Result<(), Broken> {
    let text = match data.split_last() {
        Some((0, text)) if !text.contains(&0) => text,
        _ => return broken("VERSION whose data isn't one C string".into()),
    };
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(value) if value.is_object() => Ok(()),
        _ => broken("VERSION whose data isn't a JSON object".into()),
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's memory, as far as a client has given it for DMA.

use std::{fmt, fs::File, io, os::unix::fs::FileExt};

use vfio_user::DmaMapFlags;

/// Why DMA can't be done.
#[derive(Debug)]
pub enum DmaError {
    /// Nothing was mapped at this address.
    NotMapped(u64),
    /// It was mapped without a file.
    NoFile(u64),
    /// It was mapped, but not for this direction.
    Forbidden(u64),
    /// The host refused it.
    Host(io::Error),
}

impl fmt::Display for DmaError {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NotMapped(at) => write!(to, "the client has mapped nothing at {at:#x}"),
            Self::NoFile(at) => write!(
                to,
                "the client has mapped {at:#x} without a file; give the guest RAM that is shared \
                 (-object memory-backend-memfd,share=on)"
            ),
            Self::Forbidden(at) => write!(to, "the mapping at {at:#x} isn't for this direction"),
            Self::Host(error) => write!(to, "{error}"),
        }
    }
}

struct Mapping {
    address: u64,
    size: u64,
    flags: DmaMapFlags,
    file: Option<File>,
    offset: u64,
}

impl Mapping {
    const fn end(&self) -> u64 {
        self.address + self.size
    }
}

/// All mappings of one client; they don't overlap.
#[derive(Default)]
pub struct GuestMemory {
    mappings: Vec<Mapping>,
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl GuestMemory {
    /// Adds a mapping.
    pub fn map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        let end = address.checked_add(size).filter(|_| size != 0);
        let Some(end) = end else {
            return Err(refused(format!(
                "DMA_MAP of {size:#x} bytes at {address:#x}"
            )));
        };
        if let Some(other) = self
            .mappings
            .iter()
            .find(|other| address < other.end() && other.address < end)
        {
            return Err(refused(format!(
                "DMA_MAP of {address:#x}..{end:#x}, but {:#x}..{:#x} is mapped",
                other.address,
                other.end()
            )));
        }
        if let Some(file) = &file {
            let has = file.metadata()?.len();
            if offset.checked_add(size).map_or(true, |wanted| wanted > has) {
                return Err(refused(format!(
                    "DMA_MAP of {size:#x} bytes at {offset:#x} of a file of {has:#x} bytes"
                )));
            }
        }
        self.mappings.push(Mapping {
            address,
            size,
            flags,
            file,
            offset,
        });
        Ok(())
    }

    /// Drops the mappings that are within.
    pub fn unmap(&mut self, address: u64, size: u64) -> io::Result<()> {
        let before = self.mappings.len();
        let end = address.saturating_add(size);
        self.mappings
            .retain(|mapping| mapping.address < address || end < mapping.end());
        if self.mappings.len() == before {
            return Err(refused(format!(
                "DMA_UNMAP of {address:#x}..{end:#x}, where no mapping is"
            )));
        }
        Ok(())
    }

    /// Drops all mappings.
    pub fn clear(&mut self) {
        self.mappings.clear();
    }

    /// Reads the guest's memory; it may lie in several mappings.
    pub fn read(&self, mut address: u64, mut data: &mut [u8]) -> Result<(), DmaError> {
        while !data.is_empty() {
            let (file, offset, size) = self.piece(address, data.len(), DmaMapFlags::READ)?;
            let (now, later) = data.split_at_mut(size);
            file.read_exact_at(now, offset).map_err(DmaError::Host)?;
            data = later;
            address += size as u64;
        }
        Ok(())
    }

    /// Writes the guest's memory.
    pub fn write(&self, mut address: u64, mut data: &[u8]) -> Result<(), DmaError> {
        while !data.is_empty() {
            let (file, offset, size) = self.piece(address, data.len(), DmaMapFlags::WRITE)?;
            let (now, later) = data.split_at(size);
            file.write_all_at(now, offset).map_err(DmaError::Host)?;
            data = later;
            address += size as u64;
        }
        Ok(())
    }

    /// Where the first of these bytes are: a file, an offset, and how many.
    fn piece(
        &self,
        address: u64,
        size: usize,
        wanted: DmaMapFlags,
    ) -> Result<(&File, u64, usize), DmaError> {
        let mapping = self
            .mappings
            .iter()
            .find(|mapping| mapping.address <= address && address < mapping.end())
            .ok_or(DmaError::NotMapped(address))?;
        if !mapping.flags.contains(wanted) {
            return Err(DmaError::Forbidden(address));
        }
        let file = mapping.file.as_ref().ok_or(DmaError::NoFile(address))?;
        let left = usize::try_from(mapping.end() - address).unwrap_or(usize::MAX);
        let offset = mapping.offset + (address - mapping.address);
        Ok((file, offset, size.min(left)))
    }
}

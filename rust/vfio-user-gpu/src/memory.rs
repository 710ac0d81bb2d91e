// SPDX-License-Identifier: GPL-2.0-or-later

//! The memory behind BAR 4: a memfd, shared with each client.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, RawFd},
        unix::fs::FileExt,
    },
};

use crate::{
    layout::Pinnable,
    secret::{NoMemory, Secret},
};

const NAME: &CStr = c"vfio-user-gpu";

/// Memory of a fixed size, which a client may write at any time.  So it is
/// accessed by system calls or as atomic bytes, never by references to bytes.
#[derive(Debug)]
pub struct Memory {
    backing: Backing,
    size: u64,
}

#[derive(Debug)]
enum Backing {
    /// Of `memfd_create(2)`: the kernel pins its pages for whoever has it mapped.
    File(File),
    /// Of `memfd_secret(2)`: it pins none of them.
    Secret(Secret),
}

impl Memory {
    /// Zeroed memory; pages are taken when they are written.
    pub fn new(size: u64, pinnable: Pinnable) -> Result<Self, NoMemory> {
        let backing = match pinnable {
            Pinnable::Yes => Backing::File(memfd(size).map_err(NoMemory::Host)?),
            Pinnable::No => Backing::Secret(Secret::new(size)?),
        };
        Ok(Self { backing, size })
    }

    /// What a client maps it from.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        match &self.backing {
            Backing::File(file) => file.as_raw_fd(),
            Backing::Secret(secret) => secret.fd(),
        }
    }

    /// Whether these bytes are within.
    #[must_use]
    pub fn has(&self, offset: u64, length: u64) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.size)
    }

    /// Reads what lies within; the caller has looked that it does.
    pub fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        debug_assert!(self.has(offset, data.len() as u64));
        match &self.backing {
            Backing::File(file) => file.read_exact_at(data, offset),
            Backing::Secret(secret) => {
                secret.read(offset as usize, data);
                Ok(())
            }
        }
    }

    /// Writes within; the caller has looked that it is.
    pub fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        debug_assert!(self.has(offset, data.len() as u64));
        match &self.backing {
            Backing::File(file) => file.write_all_at(data, offset),
            Backing::Secret(secret) => {
                secret.write(offset as usize, data);
                Ok(())
            }
        }
    }
}

fn memfd(size: u64) -> io::Result<File> {
    // SAFETY: the name is a C string that lives for ever; memfd_create()
    // keeps no pointer.
    let fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened right above, nobody else has it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(size)?;
    Ok(file)
}

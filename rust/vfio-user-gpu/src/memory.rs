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

const NAME: &CStr = c"vfio-user-gpu";

/// Memory of a fixed size, which a client may write at any time.  So it is
/// accessed by system calls, never by references.
#[derive(Debug)]
pub struct Memory {
    file: File,
    size: u64,
}

impl Memory {
    /// Zeroed memory; pages are taken when they are written.
    pub fn new(size: u64) -> io::Result<Self> {
        // SAFETY: the name is a C string that lives for ever; memfd_create()
        // keeps no pointer.
        let fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened right above, nobody else has it.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(size)?;
        Ok(Self { file, size })
    }

    /// What a client maps it from.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Whether these bytes are within.
    #[must_use]
    pub fn has(&self, offset: u64, length: u64) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.size)
    }

    /// Reads what lies within.
    pub fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(data, offset)
    }

    /// Writes within; the caller has looked that it is.
    pub fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        debug_assert!(self.has(offset, data.len() as u64));
        self.file.write_all_at(data, offset)
    }
}

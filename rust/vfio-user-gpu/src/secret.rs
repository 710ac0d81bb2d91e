// SPDX-License-Identifier: GPL-2.0-or-later

//! Memory of `memfd_secret(2)`.  Like a BAR of the kernel's vfio-pci it can be
//! mapped, and copied to and from by whoever has it mapped, but the kernel
//! pins none of its pages: I/O with `O_DIRECT` into it ends with `EFAULT`.

use std::{
    fmt,
    fs::File,
    io, iter,
    os::fd::{AsRawFd, FromRawFd, RawFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU8, Ordering},
};

/// Why there is no memory.
#[derive(Debug)]
pub enum NoMemory {
    /// The kernel has no `memfd_secret(2)`, or was told not to.
    NoSystemCall,
    /// So many bytes can't be locked, as all of it that is mapped must be.
    Locked(u64),
    /// The host refuses it.
    Host(io::Error),
}

impl fmt::Display for NoMemory {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NoSystemCall => write!(
                to,
                "--pinnable no needs memfd_secret(2), which this kernel hasn't: Linux has it from \
                 5.14 on, and before 6.5 only if it was booted with secretmem.enable=1"
            ),
            Self::Locked(size) => write!(
                to,
                "--pinnable no locks all of it, and {size} bytes are more than RLIMIT_MEMLOCK \
                 allows: raise that (ulimit -l), or take less by --memory-size"
            ),
            Self::Host(error) => write!(to, "{error}"),
        }
    }
}

/// Its file, and where it is mapped.
#[derive(Debug)]
pub struct Secret {
    file: File,
    mapped: NonNull<AtomicU8>,
    size: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and lives until
// the value is dropped.
unsafe impl Send for Secret {}

impl Secret {
    /// Zeroed memory; pages are taken when they are first accessed.
    pub fn new(size: u64) -> Result<Self, NoMemory> {
        // SAFETY: the system call has no argument but its flags.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::ENOSYS) => NoMemory::NoSystemCall,
                _ => NoMemory::Host(error),
            });
        }
        // SAFETY: the descriptor was opened right above, nobody else has it.
        let file = unsafe { File::from_raw_fd(fd as RawFd) };
        file.set_len(size).map_err(NoMemory::Host)?;
        Self::map(file, size)
    }

    /// That of such a file, which has this size.
    fn map(file: File, size: u64) -> Result<Self, NoMemory> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let mapped = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size as usize,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        let is_mapped = mapped != libc::MAP_FAILED;
        let Some(mapped) = NonNull::new(mapped).filter(|_| is_mapped) else {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::EAGAIN) => NoMemory::Locked(size),
                _ => NoMemory::Host(error),
            });
        };
        Ok(Self {
            file,
            mapped: mapped.cast(),
            size: size as usize,
        })
    }

    /// What a client maps it from.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    const fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: so many bytes are mapped for reading and writing until the
        // value is dropped; the file can't be cut short, as the kernel refuses
        // to give such a file another size.  Whoever else has it mapped may
        // write it at any time, as atomic bytes may be.
        unsafe { slice::from_raw_parts(self.mapped.as_ptr(), self.size) }
    }

    /// Reads so much from there on.
    ///
    /// # Panics
    ///
    /// If it isn't within.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        let bytes = &self.bytes()[offset..offset + data.len()];
        for (to, from) in iter::zip(data, bytes) {
            *to = from.load(Ordering::Relaxed);
        }
    }

    /// Writes so much from there on.
    ///
    /// # Panics
    ///
    /// If it isn't within.
    pub fn write(&self, offset: usize, data: &[u8]) {
        let bytes = &self.bytes()[offset..offset + data.len()];
        for (to, from) in iter::zip(bytes, data) {
            to.store(*from, Ordering::Relaxed);
        }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // SAFETY: it was mapped by new(), with this size, and nobody has a
        // reference into it any more.
        unsafe {
            libc::munmap(self.mapped.as_ptr().cast(), self.size);
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The value, or nothing where the host has no such memory: then the test
    /// says so, and tests/crate reports it as skipped.
    ///
    /// # Panics
    ///
    /// If there is another reason.
    pub fn available<T>(made: Result<T, NoMemory>) -> Option<T> {
        match made {
            Err(why @ (NoMemory::NoSystemCall | NoMemory::Locked(_))) => {
                println!("skipped: {why}");
                None
            }
            made => Some(made.unwrap()),
        }
    }

    /// The memory as a client maps it.
    pub fn mapped(file: File, size: u64) -> Secret {
        Secret::map(file, size).unwrap()
    }

    /// Whether the kernel refuses to pin a page of it.
    pub fn is_refused(secret: &Secret, offset: usize) -> bool {
        let copied = copy_pinned(&secret.bytes()[offset], &mut [0; 8]);
        copied.is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
    }

    /// Copies out of this process's memory as the kernel does for another one:
    /// it pins the pages.
    fn copy_pinned(from: *const AtomicU8, to: &mut [u8]) -> io::Result<usize> {
        let remote = libc::iovec {
            iov_base: from.cast_mut().cast(),
            iov_len: to.len(),
        };
        let local = libc::iovec {
            iov_base: to.as_mut_ptr().cast(),
            iov_len: to.len(),
        };
        // SAFETY: the kernel writes to `to`, which is ours, as far as it goes;
        // it checks what it reads.
        let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
        usize::try_from(copied).map_err(|_| io::Error::last_os_error())
    }

    #[test]
    fn what_is_written_is_read_again_but_for_whoever_pins_the_pages() {
        let Some(secret) = available(Secret::new(1 << 20)) else {
            return;
        };
        secret.write(4093, b"across pages");
        let mut found = [0; 14];
        secret.read(4092, &mut found);
        assert_eq!(&found, b"\0across pages\0");
        assert!(is_refused(&secret, 4092));
        let ordinary = [b'a', b'b'].map(AtomicU8::new);
        assert_eq!(copy_pinned(&ordinary[0], &mut found[..2]).unwrap(), 2);
        assert_eq!(&found[..2], b"ab");
    }

    #[test]
    fn its_size_is_fixed() {
        let Some(secret) = available(Secret::new(1 << 20)) else {
            return;
        };
        for size in [0, 2 << 20] {
            let refused = secret.file.set_len(size).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EINVAL), "{size}");
        }
    }

    #[test]
    fn the_reason_why_there_is_none_names_what_would_do() {
        for (why, named) in [
            (NoMemory::NoSystemCall, ["secretmem.enable=1", "5.14"]),
            (NoMemory::Locked(4096), ["RLIMIT_MEMLOCK", "4096"]),
        ] {
            assert!(named.iter().all(|name| why.to_string().contains(name)));
        }
    }
}

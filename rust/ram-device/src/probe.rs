// SPDX-License-Identifier: GPL-2.0-or-later

//! Does this host mapping tolerate an unaligned access?
//!
//! Whoever is given a pointer will use it with libc's `memcpy()`, whose
//! accesses are as they happen to be.  On arm64 that is a bus error where the
//! mapping is Device memory (Arm Architecture Reference Manual for A-profile,
//! "Device memory"; Linux's `do_alignment_fault()` sends `BUS_ADRALN`), as
//! `vfio-pci` maps every BAR (`pgprot_noncached()` in
//! `vfio_pci_core_mmap()`); other drivers, `nvgrace-gpu` for one, map memory as
//! Normal.  No system call tells: the kernel's own copies hide the fault.  So
//! one load is made, and what becomes of it is the machinery of
//! [`fault`](crate::fault)'s to say.

use crate::{plan::Misaligned, port::Port};

/// Number of bytes that [`tolerates_unaligned()`] may touch.
pub const BYTES: u64 = 8;

/// Does the mapping at `device` tolerate unaligned accesses?  Where the
/// architecture says so for all memory, the device is not touched; elsewhere it
/// sees an aligned load of one byte and, if it is there at all, an unaligned
/// one of four.  The answer for a device that has vanished is no.
///
/// # Safety
///
/// `device` must be mapped readable for [`BYTES`] bytes, reading them must have
/// no side effects, and the handler of SIGBUS must ask
/// [`fault::fixup()`](crate::fault::fixup).
pub unsafe fn tolerates_unaligned<P: Port>(port: &mut P, device: *const u8) -> bool {
    if P::MISALIGNED == Misaligned::OneAccess {
        return true;
    }
    let odd = device.wrapping_add(1 & !(device as usize));
    // SAFETY: the byte is the first or the second one.
    unsafe {
        port.load::<u8>(odd);
    }
    if port.has_vanished() {
        return false;
    }
    // SAFETY: the last byte is at most the sixth.  That the access is unaligned
    // is the question; a fault is fixed up.
    unsafe {
        port.load::<u32>(odd);
    }
    !port.has_vanished()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Word;

    /// A mapping that refuses what isn't aligned, or everything.
    struct Mapping {
        device_memory: bool,
        gone: bool,
        vanished: bool,
        loads: Vec<(usize, usize)>,
    }

    impl Port for Mapping {
        const MISALIGNED: Misaligned = Misaligned::Split;

        fn has_vanished(&self) -> bool {
            self.vanished
        }

        unsafe fn load<W: Word>(&mut self, addr: *const u8) -> W {
            let width = std::mem::size_of::<W>();
            self.loads.push((addr as usize, width));
            self.vanished |= self.gone || self.device_memory && addr as usize % width != 0;
            W::truncated(0)
        }

        unsafe fn store<W: Word>(&mut self, _addr: *mut u8, _value: W) {
            panic!("a probe doesn't write");
        }
    }

    fn probe(address: usize, device_memory: bool, gone: bool) -> (bool, Vec<(usize, usize)>) {
        let mut mapping = Mapping {
            device_memory,
            gone,
            vanished: false,
            loads: Vec::new(),
        };
        // SAFETY: the port touches nothing.
        let tolerates = unsafe { tolerates_unaligned(&mut mapping, address as *const u8) };
        (tolerates, mapping.loads)
    }

    #[test]
    fn normal_memory_tolerates_unaligned_accesses_and_device_memory_does_not() {
        for address in 0x4000..0x4008 {
            let odd = address | 1;
            let loads = vec![(odd, 1), (odd, 4)];
            assert_eq!(probe(address, false, false), (true, loads.clone()));
            assert_eq!(probe(address, true, false), (false, loads));
            assert!(odd + 4 <= address + BYTES as usize);
        }
    }

    #[test]
    fn a_device_that_is_not_there_tolerates_nothing() {
        assert_eq!(probe(0x4000, false, true), (false, vec![(0x4001, 1)]));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn on_x86_64_the_device_is_not_asked() {
        let mut port = crate::port::Native::default();
        // SAFETY: nothing is touched, else this were a crash.
        assert!(unsafe { tolerates_unaligned(&mut port, 0x10 as *const u8) });
    }
}

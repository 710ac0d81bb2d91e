// SPDX-License-Identifier: GPL-2.0-or-later

//! Devices that vanish: a mapped file, cut short, under the real port and a
//! signal handler like QEMU's.

use std::{
    cell::Cell,
    ffi::CString,
    mem::{size_of, zeroed},
    ptr::null_mut,
    sync::{
        atomic::{AtomicBool, Ordering},
        Once,
    },
    thread,
};

use super::{bounds, fixup, Entry};
use crate::{arch::DeviceAddr, copy, plan::Width, port::Native, Error};

const PAGE: usize = 4096;
const SIZE: usize = 16 * PAGE;

#[cfg(target_arch = "x86_64")]
fn program_counter(context: &mut libc::ucontext_t) -> (usize, impl FnOnce(usize) + '_) {
    let pc = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    (*pc as usize, move |to| *pc = to as i64)
}

#[cfg(target_arch = "aarch64")]
fn program_counter(context: &mut libc::ucontext_t) -> (usize, impl FnOnce(usize) + '_) {
    let pc = &mut context.uc_mcontext.pc;
    (*pc as usize, move |to| *pc = to as u64)
}

thread_local! {
    /// How many accesses of this thread have faulted.
    static FAULTS: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn on_sigbus(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: SA_SIGINFO: the kernel passes a context, which is ours for now.
    let (pc, go_to) = program_counter(unsafe { &mut *context.cast() });
    match fixup(pc) {
        Some(fixup) => {
            FAULTS.with(|faults| faults.set(faults.get() + 1));
            go_to(fixup);
        }
        // SAFETY: not ours: the second time it is the process's end.
        None => unsafe {
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
        },
    }
}

fn handle_sigbus() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a zeroed action is one; the handler is async-signal-safe.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGBUS, &action, null_mut()), 0);
        }
    });
}

/// A device: a file in memory, mapped.  Without its pages it has vanished.
struct Device {
    file: i32,
    address: *mut u8,
}

// SAFETY: threads share the address and the file only.
unsafe impl Sync for Device {}

impl Device {
    fn new() -> Self {
        handle_sigbus();
        let name = CString::new("device").unwrap();
        // SAFETY: a new file, and a new mapping where the kernel likes.
        unsafe {
            let file = libc::memfd_create(name.as_ptr(), 0);
            assert!(file >= 0);
            assert_eq!(libc::ftruncate(file, SIZE as libc::off_t), 0);
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let address = libc::mmap(null_mut(), SIZE, protection, libc::MAP_SHARED, file, 0);
            assert_ne!(address, libc::MAP_FAILED);
            Self {
                file,
                address: address.cast(),
            }
        }
    }

    /// The device address of a byte.
    fn at(&self, offset: usize) -> DeviceAddr {
        DeviceAddr::new(self.address as usize).offset(offset)
    }

    /// Leaves the first `len` bytes, whole pages, and takes the others away; or
    /// brings them back, as zeroes.
    fn set_len(&self, len: usize) {
        // SAFETY: nobody has a reference into the mapping.
        assert_eq!(unsafe { libc::ftruncate(self.file, len as libc::off_t) }, 0);
    }

    fn contents(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        // SAFETY: reads into a vector of that length.
        let read = unsafe {
            libc::pread(
                self.file,
                bytes.as_mut_ptr().cast(),
                len,
                offset as libc::off_t,
            )
        };
        assert_eq!(read, len as isize);
        bytes
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: both are this device's own.
        unsafe {
            libc::munmap(self.address.cast(), SIZE);
            libc::close(self.file);
        }
    }
}

const WIDTHS: [Width; 4] = [Width::One, Width::Two, Width::Four, Width::Eight];

#[test]
fn every_width_has_its_entries_in_the_table() {
    // A load and a store of each width at least; bulk copies are unrolled.
    let (start, stop) = bounds();
    let entries = (stop as usize - start as usize) / size_of::<Entry>();
    assert!(entries >= 8, "{entries}");
}

#[test]
fn no_other_instruction_is_ours() {
    for pc in [
        0,
        1,
        usize::MAX,
        fixup as *const () as usize,
        on_sigbus as *const () as usize,
    ] {
        assert_eq!(fixup(pc), None);
    }
}

#[test]
fn a_load_from_a_vanished_device_fails() {
    let device = Device::new();
    for width in WIDTHS {
        for offset in [0, 8, 1] {
            let address = device.at(offset);
            device.set_len(0);
            let load = || {
                // SAFETY: mapped, to a device that may have vanished.
                unsafe { copy::load(&mut Native::default(), address, width) }
            };
            assert_eq!(load(), Err(Error::Vanished));

            device.set_len(SIZE);
            assert_eq!(load(), Ok(0));
        }
    }
}

#[test]
fn a_store_to_a_vanished_device_is_dropped_and_says_so() {
    let device = Device::new();
    for width in WIDTHS {
        for offset in [0, 8, 1] {
            let address = device.at(offset);
            device.set_len(0);
            let store = || {
                // SAFETY: mapped, to a device that may have vanished.
                unsafe { copy::store(&mut Native::default(), address, width, u64::MAX) }
            };
            assert_eq!(store(), Err(Error::Vanished));
            device.set_len(SIZE);
            assert_eq!(device.contents(0, 64), [0; 64]);

            assert_eq!(store(), Ok(()));
            let mut kept = [0; 64];
            kept[offset..offset + width.bytes()].fill(0xff);
            assert_eq!(device.contents(0, 64), kept);
            device.set_len(0);
        }
    }
}

/// Where the device ends under a copy of (offset, length) in a device of one
/// page.
const RUNS_OFF: [(usize, usize); 7] = [
    (PAGE, 1),
    (PAGE - 1, 2),
    (PAGE - 3, 8),
    (PAGE - 8, 4096),
    (PAGE - 61, 2 * PAGE),
    (PAGE - 64, 64 * 3 + 7),
    (1, SIZE - 1),
];

#[test]
fn a_copy_from_a_device_that_ends_is_right_up_to_there_and_ones_from_there() {
    let device = Device::new();
    for (offset, len) in RUNS_OFF {
        device.set_len(PAGE);
        let there = PAGE - offset;
        let mut ram = vec![0x5a; len + 2];
        let (from, to) = (device.at(offset), ram[1..].as_mut_ptr());
        // SAFETY: both are mapped for `len` bytes; the device may have gone.
        let copied = unsafe { copy::read(&mut Native::default(), from, to, len) };
        assert_eq!(copied, Err(Error::Vanished));
        // A misaligned access that runs off the end is one fault, all ones.
        let sure = there / 8 * 8;
        assert!(ram[1..][..sure.min(len)].iter().all(|&byte| byte == 0));
        assert!(ram[1 + there..][..len - there]
            .iter()
            .all(|&byte| byte == 0xff));
        assert_eq!((ram[0], ram[len + 1]), (0x5a, 0x5a));
    }
}

#[test]
fn a_copy_to_a_device_that_ends_stops_there() {
    let device = Device::new();
    for (offset, len) in RUNS_OFF {
        device.set_len(0);
        device.set_len(PAGE);
        let ram = vec![0xa5; len];
        let to = device.at(offset);
        // SAFETY: both are mapped for `len` bytes; the device may have gone.
        let copied = unsafe { copy::write(&mut Native::default(), to, ram.as_ptr(), len) };
        assert_eq!(copied, Err(Error::Vanished));
        let there = PAGE - offset;
        let sure = there / 8 * 8;
        assert!(device
            .contents(offset, sure)
            .iter()
            .all(|&byte| byte == 0xa5));
        device.set_len(SIZE);
        assert!(device
            .contents(PAGE, SIZE - PAGE)
            .iter()
            .all(|&byte| byte == 0));
    }
}

#[test]
fn a_copy_faults_once_however_much_of_the_device_is_gone() {
    let device = Device::new();
    device.set_len(PAGE);
    let mut ram = vec![0; SIZE];
    for (offset, len) in RUNS_OFF {
        let (at, ram) = (device.at(offset), ram.as_mut_ptr());
        let before = FAULTS.with(Cell::get);
        // SAFETY: both are mapped for `len` bytes; the device may have gone.
        let read = unsafe { copy::read(&mut Native::default(), at, ram, len) };
        assert_eq!(read, Err(Error::Vanished));
        assert_eq!(FAULTS.with(Cell::get), before + 1, "{len} from {offset}");
        // SAFETY: the same.
        let written = unsafe { copy::write(&mut Native::default(), at, ram, len) };
        assert_eq!(written, Err(Error::Vanished));
        assert_eq!(FAULTS.with(Cell::get), before + 2, "{len} to {offset}");
    }
}

#[test]
fn a_copy_downwards_stops_at_once_where_the_device_is_not() {
    // The destination starts inside the source, so the end goes first; it has
    // vanished.
    let device = Device::new();
    device.set_len(PAGE);
    let source = [0xa5; 64];
    // SAFETY: both are mapped.
    let copied = unsafe {
        copy::write(
            &mut Native::default(),
            device.at(PAGE - 64),
            source.as_ptr(),
            32,
        )
    };
    assert_eq!(copied, Ok(()));
    let within = device.address.wrapping_add(PAGE - 64);
    // SAFETY: the source is mapped; the destination may have gone.
    let moved = unsafe { copy::write(&mut Native::default(), device.at(PAGE - 32), within, 64) };
    assert_eq!(moved, Err(Error::Vanished));
    assert_eq!(device.contents(PAGE - 32, 32), [0; 32]);
}

#[test]
fn devices_that_come_and_go_under_copies_in_several_threads_are_survived() {
    let device = Device::new();
    let done = AtomicBool::new(false);
    let (mut complete, mut broken) = (0_u64, 0_u64);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let (device, done) = (&device, &done);
                scope.spawn(move || {
                    let mut ram = vec![0; SIZE];
                    let mut count = [0_u64; 2];
                    while !done.load(Ordering::Relaxed) || count.contains(&0) {
                        let mut port = Native::default();
                        // SAFETY: both are mapped for that many bytes.
                        let whole = unsafe {
                            if worker == 0 {
                                copy::write(&mut port, device.at(0), ram.as_ptr(), SIZE)
                            } else {
                                copy::read(&mut port, device.at(0), ram.as_mut_ptr(), SIZE)
                            }
                        };
                        count[usize::from(whole.is_ok())] += 1;
                    }
                    count
                })
            })
            .collect();
        for _ in 0..2000 {
            device.set_len(0);
            thread::yield_now();
            device.set_len(SIZE);
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        // Each worker goes on until it has seen both; so must the device.
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            device.set_len(0);
            thread::yield_now();
            device.set_len(SIZE);
            thread::yield_now();
        }
        for worker in workers {
            let [some, all] = worker.join().unwrap();
            broken += some;
            complete += all;
        }
    });
    assert!(complete > 0 && broken > 0, "{complete} and {broken}");
}

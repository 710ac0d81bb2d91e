// SPDX-License-Identifier: GPL-2.0-or-later

//! The mappings that pointers may have been handed out to.
//!
//! Whoever holds a pointer into a RAM device accesses it by means of his own, a
//! device model with libc's `memcpy()` for example; [`fault`](crate::fault)
//! knows nothing of such an instruction.  If the device has vanished, QEMU's
//! handler of SIGBUS puts a page of ones in the place of the one that faulted,
//! and the main loop maps the device there again.  This table tells the handler
//! whether an address is a RAM device's, and the main loop what to map.
//!
//! Additions and removals come from one thread at a time, under QEMU's big
//! lock.  [`Mappings::fault()`] may interrupt them and any other thread: it
//! takes no lock.

use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// Faults are noted in units of so many bytes: the smallest page of any host.
const GRANULE: usize = 4096;

/// `struct RamDeviceMapping`: a piece of a file, mapped shared, readable and writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RamDeviceMapping {
    /// Host virtual address of the first byte, page-aligned, not 0.
    pub host: usize,
    /// Length in bytes, a multiple of the page size.
    pub size: usize,
    /// The file, and the offset in it that is at `host`.
    pub fd: i32,
    pub offset: u64,
}

/// The granules of a mapping that have faulted, from the first to the last.
///
/// Both are in one word: faults in several threads, and the main loop that takes
/// them, see either all of a change or nothing of it.
struct Faults(AtomicU64);

impl Faults {
    /// None: the first one is higher than any.
    const NONE: u64 = (u32::MAX as u64) << 32;

    fn pack(first: u32, last: u32) -> u64 {
        u64::from(first) << 32 | u64::from(last)
    }

    const fn unpack(faults: u64) -> (u32, u32) {
        ((faults >> 32) as u32, faults as u32)
    }

    const fn new() -> Self {
        Self(AtomicU64::new(Self::NONE))
    }

    /// Adds a granule.
    #[inline]
    fn note(&self, granule: u32) {
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |faults| {
                let (first, last) = Self::unpack(faults);
                Some(Self::pack(first.min(granule), last.max(granule)))
            });
    }

    /// The first and the last one since the last call.
    #[inline]
    fn take(&self) -> Option<(u32, u32)> {
        // Usually there are none, and this is asked often.
        if self.0.load(Ordering::SeqCst) == Self::NONE {
            return None;
        }
        Some(Self::unpack(self.0.swap(Self::NONE, Ordering::SeqCst)))
    }
}

/// One mapping, or none if `start` is 0.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    fd: AtomicI32,
    offset: AtomicU64,
    faults: Faults,
}

impl Slot {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            fd: AtomicI32::new(-1),
            offset: AtomicU64::new(0),
            faults: Faults::new(),
        }
    }
}

/// The granule that is `bytes` from a mapping's start, if it can be counted.
fn granule(bytes: usize) -> Option<u32> {
    u32::try_from(bytes / GRANULE).ok()
}

/// Room for `N` mappings.
pub struct Mappings<const N: usize> {
    slots: [Slot; N],
}

impl<const N: usize> Mappings<N> {
    // Each element is a slot of its own, which is the point.
    #[allow(clippy::declare_interior_mutable_const)]
    const FREE: Slot = Slot::new();

    pub const fn new() -> Self {
        Self {
            slots: [Self::FREE; N],
        }
    }

    /// Adds a mapping.  Gives false if there is no room for it, or if it has
    /// 16 TiB or more.
    pub fn add(&self, mapping: &RamDeviceMapping) -> bool {
        if granule(mapping.size).is_none() {
            return false;
        }
        for slot in &self.slots {
            if slot.start.load(Ordering::SeqCst) == 0 {
                slot.fd.store(mapping.fd, Ordering::SeqCst);
                slot.offset.store(mapping.offset, Ordering::SeqCst);
                let end = mapping.host.wrapping_add(mapping.size);
                slot.end.store(end, Ordering::SeqCst);
                // From here on faults are the mapping's.
                slot.start.store(mapping.host, Ordering::SeqCst);
                return true;
            }
        }
        false
    }

    /// Removes the mapping that begins at `host`.  Gives false if there is none.
    pub fn remove(&self, host: usize) -> bool {
        for slot in &self.slots {
            if host != 0 && slot.start.load(Ordering::SeqCst) == host {
                slot.start.store(0, Ordering::SeqCst);
                slot.end.store(0, Ordering::SeqCst);
                slot.faults.take();
                return true;
            }
        }
        false
    }

    /// Notes a fault.  Gives false if it isn't in any of the mappings.
    ///
    /// Async-signal-safe.
    pub fn fault(&self, addr: usize) -> bool {
        for slot in &self.slots {
            let start = slot.start.load(Ordering::SeqCst);
            let end = slot.end.load(Ordering::SeqCst);
            if start != 0 && start <= addr && addr < end {
                if let Some(granule) = granule(addr.wrapping_sub(start)) {
                    slot.faults.note(granule);
                    return true;
                }
            }
        }
        false
    }

    /// A part of a mapping, whole pages of `page` bytes, that has had faults
    /// since it was last given.
    pub fn take_faulted(&self, page: usize) -> Option<RamDeviceMapping> {
        for slot in &self.slots {
            if let Some((first, last)) = slot.faults.take() {
                let start = slot.start.load(Ordering::SeqCst);
                let at = (first as usize).wrapping_mul(GRANULE) & !page.wrapping_sub(1);
                let last_page = (last as usize).wrapping_mul(GRANULE) & !page.wrapping_sub(1);
                return Some(RamDeviceMapping {
                    host: start.wrapping_add(at),
                    size: last_page.wrapping_sub(at).wrapping_add(page),
                    fd: slot.fd.load(Ordering::SeqCst),
                    offset: slot.offset.load(Ordering::SeqCst).wrapping_add(at as u64),
                });
            }
        }
        None
    }
}

impl<const N: usize> Default for Mappings<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 0x1000;
    const BAR: RamDeviceMapping = RamDeviceMapping {
        host: 0x7000_0000,
        size: 0x10_0000,
        fd: 3,
        offset: 0x200_0000,
    };

    #[test]
    fn a_fault_is_a_ram_devices_from_its_first_byte_to_its_last() {
        let mappings: Mappings<2> = Mappings::new();
        assert!(!mappings.fault(BAR.host));
        assert!(mappings.add(&BAR));
        for (addr, is_inside) in [
            (BAR.host - 1, false),
            (BAR.host, true),
            (BAR.host + BAR.size - 1, true),
            (BAR.host + BAR.size, false),
            (0, false),
            (usize::MAX, false),
        ] {
            assert_eq!(mappings.fault(addr), is_inside, "{addr:#x}");
        }
        assert!(mappings.remove(BAR.host));
        assert!(!mappings.fault(BAR.host));
        assert_eq!(mappings.take_faulted(PAGE), None);
        assert!(!mappings.remove(BAR.host));
    }

    #[test]
    fn what_has_faulted_is_given_once_as_whole_pages_at_their_place_in_the_file() {
        let mappings: Mappings<2> = Mappings::new();
        assert!(mappings.add(&RamDeviceMapping {
            host: 0x1000,
            size: 0x1000,
            fd: 9,
            offset: 0
        }));
        assert!(mappings.add(&BAR));
        assert_eq!(mappings.take_faulted(PAGE), None);
        for fault in [0x5008, 0x3fff, 0x4000] {
            assert!(mappings.fault(BAR.host + fault));
        }
        let faulted = RamDeviceMapping {
            host: BAR.host + 0x3000,
            size: 0x3000,
            offset: BAR.offset + 0x3000,
            ..BAR
        };
        assert_eq!(mappings.take_faulted(PAGE), Some(faulted));
        assert_eq!(mappings.take_faulted(PAGE), None);
    }

    #[test]
    fn a_host_with_larger_pages_is_given_such_pages() {
        let mappings: Mappings<1> = Mappings::new();
        assert!(mappings.add(&BAR));
        assert!(mappings.fault(BAR.host + 0x1_1000) && mappings.fault(BAR.host + 0x2_3000));
        let faulted = RamDeviceMapping {
            host: BAR.host + 0x1_0000,
            size: 0x2_0000,
            offset: BAR.offset + 0x1_0000,
            ..BAR
        };
        assert_eq!(mappings.take_faulted(0x1_0000), Some(faulted));
    }

    #[test]
    fn each_mapping_has_faults_of_its_own() {
        let other = RamDeviceMapping {
            host: 0x9000_0000,
            fd: 4,
            ..BAR
        };
        let mappings: Mappings<2> = Mappings::new();
        assert!(mappings.add(&BAR) && mappings.add(&other));
        assert!(mappings.fault(BAR.host) && mappings.fault(other.host + PAGE));
        let mut found = [mappings.take_faulted(PAGE), mappings.take_faulted(PAGE)];
        found.sort_by_key(|mapping| mapping.map(|mapping| mapping.host));
        assert_eq!(found[0].unwrap(), RamDeviceMapping { size: PAGE, ..BAR });
        assert_eq!(found[1].unwrap().host, other.host + PAGE);
        assert_eq!(mappings.take_faulted(PAGE), None);
    }

    #[test]
    fn a_mapping_too_long_to_count_is_refused() {
        let mappings: Mappings<1> = Mappings::new();
        let size = GRANULE << 32;
        assert!(!mappings.add(&RamDeviceMapping { size, ..BAR }));
        let size = size - GRANULE;
        assert!(mappings.add(&RamDeviceMapping { size, ..BAR }));
        assert!(mappings.fault(BAR.host + size - 1));
        assert_eq!(
            mappings.take_faulted(PAGE).unwrap().offset,
            BAR.offset + (size - PAGE) as u64
        );
    }

    #[test]
    fn a_table_that_is_full_says_so_and_has_room_after_a_removal() {
        let mappings: Mappings<1> = Mappings::new();
        let other = RamDeviceMapping {
            host: 0x1000,
            ..BAR
        };
        assert!(mappings.add(&BAR));
        assert!(!mappings.add(&other));
        assert!(mappings.remove(BAR.host));
        assert!(mappings.add(&other));
        assert!(!mappings.fault(BAR.host));
    }
}

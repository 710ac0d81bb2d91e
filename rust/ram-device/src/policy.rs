// SPDX-License-Identifier: GPL-2.0-or-later

//! What may be done with a region.
//!
//! Pure.  A region is *memory-like* or *register-like*; only a memory-like one
//! may be handed out as a pointer.  Both are accessed by the routines of
//! [`crate::copy`] when QEMU itself reads or writes.

/// What kind of storage a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Reads may have side effects, or the mapping refuses unaligned accesses.
    RegisterLike = 0,
    /// A prefetchable BAR: "no side effects on reads, the device returns all
    /// bytes on reads regardless of the byte enables, and host bridges can
    /// merge processor writes" (PCI Local Bus Specification 3.0, 6.2.5.1).
    MemoryLike = 1,
}

impl Kind {
    /// The kind that C means by `raw`; what is unknown is register-like, which
    /// is always safe.
    pub const fn from_raw(raw: u32) -> Self {
        if raw == Self::MemoryLike as u32 {
            Self::MemoryLike
        } else {
            Self::RegisterLike
        }
    }
}

/// The operator's say about a device, with the values of QEMU's `OnOffAuto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Direct {
    /// By the BAR's prefetchable bit and by what the mapping tolerates.
    Auto = 0,
    /// All of the device's regions are memory-like.
    On = 1,
    /// All of the device's regions are register-like.
    Off = 2,
}

impl Direct {
    /// What C means by `raw`; what is unknown is `Auto`.
    pub const fn from_raw(raw: u32) -> Self {
        match raw {
            1 => Self::On,
            2 => Self::Off,
            _ => Self::Auto,
        }
    }
}

/// The kind of a region.  Only if it depends on the mapping is
/// `tolerates_unaligned` asked, which reads from the device: that is harmless
/// in a prefetchable BAR.
pub fn kind(
    prefetchable: bool,
    direct: Direct,
    tolerates_unaligned: impl FnOnce() -> bool,
) -> Kind {
    match direct {
        Direct::On => Kind::MemoryLike,
        Direct::Auto if prefetchable && tolerates_unaligned() => Kind::MemoryLike,
        Direct::Auto | Direct::Off => Kind::RegisterLike,
    }
}

/// May a pointer into the region be handed out, to be written through if
/// `is_write`?
pub const fn may_map(kind: Kind, readonly: bool, is_write: bool) -> bool {
    matches!(kind, Kind::MemoryLike) && may_access(readonly, is_write)
}

/// May the region be accessed at all, in this direction?
pub const fn may_access(readonly: bool, is_write: bool) -> bool {
    !(readonly && is_write)
}

/// Is a transfer of `len` bytes at `offset` wholly inside a region of `size`
/// bytes?
pub const fn is_inside(size: u64, offset: u64, len: u64) -> bool {
    offset <= size && len <= size.wrapping_sub(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_memory_like_if_prefetchable_and_tolerant_unless_the_operator_says_otherwise() {
        assert_eq!(kind(true, Direct::Auto, || true), Kind::MemoryLike);
        assert_eq!(kind(true, Direct::Auto, || false), Kind::RegisterLike);
    }

    #[test]
    fn the_mapping_is_asked_only_where_that_is_harmless_and_matters() {
        let unasked = || panic!("the device was touched");
        assert_eq!(kind(false, Direct::Auto, unasked), Kind::RegisterLike);
        for prefetchable in [false, true] {
            assert_eq!(kind(prefetchable, Direct::On, unasked), Kind::MemoryLike);
            assert_eq!(kind(prefetchable, Direct::Off, unasked), Kind::RegisterLike);
        }
    }

    #[test]
    fn only_a_memory_like_region_is_handed_out_and_a_read_only_one_not_for_writing() {
        for readonly in [false, true] {
            for is_write in [false, true] {
                assert!(!may_map(Kind::RegisterLike, readonly, is_write));
                assert_eq!(
                    may_map(Kind::MemoryLike, readonly, is_write),
                    !readonly || !is_write
                );
            }
        }
    }

    #[test]
    fn a_transfer_that_runs_off_the_region_is_refused() {
        assert!(is_inside(8, 0, 8));
        assert!(is_inside(8, 8, 0));
        assert!(!is_inside(8, 1, 8));
        assert!(!is_inside(8, 9, 0));
        assert!(!is_inside(8, u64::MAX, 2));
        assert!(!is_inside(8, 4, u64::MAX));
    }

    #[test]
    fn what_c_says_and_rust_does_not_know_is_the_safe_choice() {
        assert_eq!(Kind::from_raw(0), Kind::RegisterLike);
        assert_eq!(Kind::from_raw(1), Kind::MemoryLike);
        assert_eq!(Kind::from_raw(2), Kind::RegisterLike);
        assert_eq!(Direct::from_raw(0), Direct::Auto);
        assert_eq!(Direct::from_raw(1), Direct::On);
        assert_eq!(Direct::from_raw(2), Direct::Off);
        assert_eq!(Direct::from_raw(3), Direct::Auto);
    }
}

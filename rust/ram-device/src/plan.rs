// SPDX-License-Identifier: GPL-2.0-or-later

//! Which accesses a transfer is made of (C1, C2).
//!
//! Pure: addresses are numbers here, and nothing is touched.

use crate::arch::DeviceAddr;

/// The width of one access to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    One,
    Two,
    Four,
    Eight,
}

impl Width {
    /// Number of bytes: 1, 2, 4 or 8.
    pub const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// The width of `bytes` bytes, if an access can have it.
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// The widest access that is naturally aligned at `addr` and not longer
    /// than `len`, which is not 0.
    const fn widest(addr: DeviceAddr, len: usize) -> Self {
        if addr.is_aligned_to(8) && len >= 8 {
            Self::Eight
        } else if addr.is_aligned_to(4) && len >= 4 {
            Self::Four
        } else if addr.is_aligned_to(2) && len >= 2 {
            Self::Two
        } else {
            Self::One
        }
    }
}

/// What becomes of a misaligned transfer of 2, 4 or 8 bytes (C1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misaligned {
    /// One access, as the guest prescribed it: the host's architecture allows
    /// that to device memory.
    OneAccess,
    /// Aligned pieces: a misaligned access to Device memory would fault (Arm
    /// Architecture Reference Manual for A-profile, "Device memory").
    Split,
}

/// `count` accesses of one width, side by side from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes from the transfer's start to the first access.
    pub offset: usize,
    /// Width of each access.
    pub width: Width,
    /// Number of accesses, at least 1.
    pub count: usize,
}

impl Run {
    /// Length in bytes.
    const fn bytes(&self) -> usize {
        self.count * self.width.bytes()
    }
}

/// The runs of a transfer: from the front in ascending order, from the back in
/// descending order.  Both give the same accesses.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Device address of the transfer's first byte.
    addr: DeviceAddr,
    /// The part not yet given out, as offsets: `start..end`.
    start: usize,
    end: usize,
    /// The whole transfer is this one access.
    single: Option<Width>,
}

impl Plan {
    /// Plans a transfer of `len` bytes at the device address `addr`.
    ///
    /// `addr + len` must not exceed the address space; a mapped region cannot.
    pub const fn new(addr: DeviceAddr, len: usize, misaligned: Misaligned) -> Self {
        Self {
            addr,
            start: 0,
            end: len,
            single: match misaligned {
                Misaligned::OneAccess => Width::from_bytes(len),
                Misaligned::Split => None,
            },
        }
    }

    /// Is the whole transfer one access?
    #[inline(always)]
    pub fn is_one_access(mut self) -> bool {
        matches!(self.next(), Some(run) if run.count == 1) && self.start == self.end
    }

    /// The one access of a transfer that has just one, as a run.
    fn take_single(&mut self) -> Option<Run> {
        let width = self.single.take()?;
        self.start = self.end;
        Some(Run {
            offset: 0,
            width,
            count: 1,
        })
    }
}

impl Iterator for Plan {
    type Item = Run;

    #[inline]
    fn next(&mut self) -> Option<Run> {
        if let Some(run) = self.take_single() {
            return Some(run);
        }
        let left = self.end - self.start;
        if left == 0 {
            return None;
        }
        let width = Width::widest(self.addr.offset(self.start), left);
        let run = Run {
            offset: self.start,
            width,
            count: match width {
                Width::Eight => left / 8,
                _ => 1,
            },
        };
        self.start += run.bytes();
        Some(run)
    }
}

impl DoubleEndedIterator for Plan {
    #[inline]
    fn next_back(&mut self) -> Option<Run> {
        if let Some(run) = self.take_single() {
            return Some(run);
        }
        let left = self.end - self.start;
        if left == 0 {
            return None;
        }
        // An access that ends at an aligned address starts at one.
        let width = Width::widest(self.addr.offset(self.end), left);
        let count = match width {
            Width::Eight => left / 8,
            _ => 1,
        };
        let run = Run {
            offset: self.end - count * width.bytes(),
            width,
            count,
        };
        self.end = run.offset;
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The accesses of a plan, one by one, as (offset, width in bytes).
    fn accesses(plan: Plan) -> Vec<(usize, usize)> {
        plan.flat_map(|run| {
            let width = run.width.bytes();
            (0..run.count).map(move |i| (run.offset + i * width, width))
        })
        .collect()
    }

    /// C2, written down a second time, as slowly and plainly as possible.
    fn cut(addr: usize, len: usize) -> Vec<(usize, usize)> {
        let mut pieces = Vec::new();
        let mut offset = 0;
        while offset < len {
            let width = [8, 4, 2, 1]
                .into_iter()
                .find(|w| (addr + offset) % w == 0 && offset + w <= len)
                .unwrap();
            pieces.push((offset, width));
            offset += width;
        }
        pieces
    }

    const ADDR: usize = 0x4000;

    #[test]
    fn c1_an_aligned_transfer_of_1_2_4_or_8_bytes_is_one_access() {
        for misaligned in [Misaligned::OneAccess, Misaligned::Split] {
            for len in [1, 2, 4, 8] {
                for addr in (ADDR..ADDR + 64).step_by(len) {
                    assert_eq!(
                        accesses(Plan::new(DeviceAddr::new(addr), len, misaligned)),
                        [(0, len)]
                    );
                }
            }
        }
    }

    #[test]
    fn c1_a_misaligned_transfer_of_2_4_or_8_bytes_is_one_access_where_allowed() {
        for len in [2, 4, 8] {
            for addr in ADDR + 1..ADDR + 9 {
                let plan = Plan::new(DeviceAddr::new(addr), len, Misaligned::OneAccess);
                assert_eq!(accesses(plan.clone()), [(0, len)]);
                assert_eq!(accesses(plan), [(0, len)]);
            }
        }
    }

    #[test]
    fn c2_every_other_transfer_is_cut_into_the_widest_aligned_pieces_in_ascending_order() {
        for len in 0..=257 {
            for addr in ADDR..ADDR + 16 {
                assert_eq!(
                    accesses(Plan::new(DeviceAddr::new(addr), len, Misaligned::Split)),
                    cut(addr, len),
                    "addr {addr:#x} len {len}"
                );
                if !matches!(len, 1 | 2 | 4 | 8) {
                    assert_eq!(
                        accesses(Plan::new(DeviceAddr::new(addr), len, Misaligned::OneAccess)),
                        cut(addr, len),
                        "addr {addr:#x} len {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn c3_every_byte_is_in_exactly_one_access() {
        for misaligned in [Misaligned::OneAccess, Misaligned::Split] {
            for len in 0..=257 {
                for addr in ADDR..ADDR + 16 {
                    let mut next = 0;
                    for (offset, width) in
                        accesses(Plan::new(DeviceAddr::new(addr), len, misaligned))
                    {
                        assert_eq!(offset, next);
                        next += width;
                    }
                    assert_eq!(next, len);
                }
            }
        }
    }

    #[test]
    fn c5_the_descending_order_has_the_same_accesses() {
        for misaligned in [Misaligned::OneAccess, Misaligned::Split] {
            for len in 0..=257 {
                for addr in ADDR..ADDR + 16 {
                    let plan = Plan::new(DeviceAddr::new(addr), len, misaligned);
                    let mut backwards: Vec<Run> = plan.clone().rev().collect();
                    backwards.reverse();
                    assert_eq!(backwards, plan.collect::<Vec<_>>());
                }
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! Who gets memory of the buffer pool (C9).
//!
//! Pure.  Each device that does DMA has a budget.  What a request needs is
//! granted, or the request waits until others give memory back, or it fails
//! alone because it could never be granted.

/// What a request for pool memory is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Answer {
    /// The memory is the request's.
    Granted = 0,
    /// The budget is in use: ask again when memory has come back.
    Later = 1,
    /// The request is larger than the budget.
    Never = 2,
}

/// A budget as a request finds it.  All sizes are in bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RamDeviceAccount {
    /// What may be in use.
    pub limit: u64,
    /// What is in use, the request's own part included.
    pub used: u64,
    /// Others wait already.  Who comes later doesn't overtake them, so that
    /// the memory in use only falls until the first of them can go on.
    pub is_awaited: bool,
}

impl RamDeviceAccount {
    /// May a request that holds `held` bytes have `size` more?
    ///
    /// `overdraw` is for what must not wait, because the device has begun with
    /// it: it may use as much again as the limit.
    #[inline(always)]
    pub const fn ask(&self, held: u64, size: u64, overdraw: bool) -> Answer {
        if held > self.limit || size > self.limit - held {
            return Answer::Never;
        }
        let limit = if overdraw {
            self.limit.saturating_mul(2)
        } else {
            self.limit
        };
        if self.used > limit || size > limit - self.used || (self.is_awaited && !overdraw) {
            return Answer::Later;
        }
        Answer::Granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn account(used: u64, is_awaited: bool) -> RamDeviceAccount {
        RamDeviceAccount {
            limit: 100,
            used,
            is_awaited,
        }
    }

    #[test]
    fn c9_what_fits_is_granted() {
        assert_eq!(account(0, false).ask(0, 100, false), Answer::Granted);
        assert_eq!(account(60, false).ask(60, 40, false), Answer::Granted);
    }

    #[test]
    fn c9_what_does_not_fit_yet_waits() {
        assert_eq!(account(1, false).ask(0, 100, false), Answer::Later);
        assert_eq!(account(101, false).ask(0, 1, false), Answer::Later);
    }

    #[test]
    fn c9_what_could_never_fit_is_told_so_even_if_the_budget_is_in_use() {
        for used in [0, 50, 100, 200] {
            assert_eq!(account(used, true).ask(0, 101, false), Answer::Never);
            assert_eq!(account(used, false).ask(60, 41, true), Answer::Never);
            assert_eq!(account(used, false).ask(101, 0, true), Answer::Never);
            assert_eq!(account(used, false).ask(0, u64::MAX, false), Answer::Never);
        }
    }

    #[test]
    fn c9_nobody_overtakes_those_who_wait() {
        assert_eq!(account(0, true).ask(0, 1, false), Answer::Later);
    }

    #[test]
    fn c9_what_has_begun_may_overdraw_up_to_twice_the_limit() {
        assert_eq!(account(100, true).ask(0, 100, true), Answer::Granted);
        assert_eq!(account(101, true).ask(0, 100, true), Answer::Later);
    }
}

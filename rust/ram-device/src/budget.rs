// SPDX-License-Identifier: GPL-2.0-or-later

//! Who gets memory of the buffer pool (C9).
//!
//! Pure.  Each device that does DMA has a budget.  What a request needs is
//! granted, or the request waits until others give memory back, or it fails
//! alone because it could never be granted.

use qemu::bindings::{
    RamDeviceAccount, RamDeviceAnswer, RAM_DEVICE_GRANTED, RAM_DEVICE_LATER, RAM_DEVICE_NEVER,
};

/// May a request that holds `held` bytes have `size` more?
///
/// `overdraw` is for what must not wait, because the device has begun with it:
/// it may use as much again as the limit.  Nobody else overtakes those who wait
/// already, so that the memory in use only falls until the first of them can go
/// on.
#[inline(always)]
pub const fn ask(
    account: &RamDeviceAccount,
    held: u64,
    size: u64,
    overdraw: bool,
) -> RamDeviceAnswer {
    if held > account.limit || size > account.limit - held {
        return RAM_DEVICE_NEVER;
    }
    let limit = if overdraw {
        account.limit.saturating_mul(2)
    } else {
        account.limit
    };
    if account.used > limit || size > limit - account.used || (account.is_awaited && !overdraw) {
        return RAM_DEVICE_LATER;
    }
    RAM_DEVICE_GRANTED
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
        assert_eq!(ask(&account(0, false), 0, 100, false), RAM_DEVICE_GRANTED);
        assert_eq!(ask(&account(60, false), 60, 40, false), RAM_DEVICE_GRANTED);
    }

    #[test]
    fn c9_what_does_not_fit_yet_waits() {
        assert_eq!(ask(&account(1, false), 0, 100, false), RAM_DEVICE_LATER);
        assert_eq!(ask(&account(101, false), 0, 1, false), RAM_DEVICE_LATER);
    }

    #[test]
    fn c9_what_could_never_fit_is_told_so_even_if_the_budget_is_in_use() {
        for used in [0, 50, 100, 200] {
            assert_eq!(ask(&account(used, true), 0, 101, false), RAM_DEVICE_NEVER);
            assert_eq!(ask(&account(used, false), 60, 41, true), RAM_DEVICE_NEVER);
            assert_eq!(ask(&account(used, false), 101, 0, true), RAM_DEVICE_NEVER);
            assert_eq!(
                ask(&account(used, false), 0, u64::MAX, false),
                RAM_DEVICE_NEVER
            );
        }
    }

    #[test]
    fn c9_nobody_overtakes_those_who_wait() {
        assert_eq!(ask(&account(0, true), 0, 1, false), RAM_DEVICE_LATER);
    }

    #[test]
    fn c9_what_has_begun_may_overdraw_up_to_twice_the_limit() {
        assert_eq!(ask(&account(100, true), 0, 100, true), RAM_DEVICE_GRANTED);
        assert_eq!(ask(&account(101, true), 0, 100, true), RAM_DEVICE_LATER);
    }
}

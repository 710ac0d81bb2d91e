// SPDX-License-Identifier: GPL-2.0-or-later

//! What may be done with a region.
//!
//! Pure.

/// May a pointer into the region leave the memory core, to be written through
/// if `is_write`?
///
/// Only if the operator has said so (`direct`): whoever holds a pointer accesses
/// the device with instructions that the exception table doesn't cover, and
/// that needn't be what the device takes.
pub const fn gives_pointer(direct: bool, readonly: bool, is_write: bool) -> bool {
    direct && may_access(readonly, is_write)
}

/// May the region be accessed at all, in this direction?
pub const fn may_access(readonly: bool, is_write: bool) -> bool {
    !(readonly && is_write)
}

/// Is a transfer of `len` bytes at `offset` wholly inside a region of `size`
/// bytes?
pub const fn is_inside(size: u64, offset: u64, len: u64) -> bool {
    offset <= size && len <= size - offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pointer_leaves_unless_the_operator_says_so_and_none_to_write_what_is_read_only() {
        for readonly in [false, true] {
            for is_write in [false, true] {
                assert!(!gives_pointer(false, readonly, is_write));
                assert_eq!(
                    gives_pointer(true, readonly, is_write),
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
}

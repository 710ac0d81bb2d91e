// SPDX-License-Identifier: GPL-2.0-or-later

//! Which pages of a chunk of the buffer pool are in use.
//!
//! Pure.  A chunk is a huge page of most hosts, and a buffer is a run of its
//! pages.

use qemu::bindings::RamDevicePages;

/// Takes the first run of `count` free pages, and gives its first page.
#[inline(always)]
pub fn take(pages: &mut RamDevicePages, count: usize) -> Option<usize> {
    let mut run = 0;
    let mut page = 0;
    for word in &pages.used {
        let end = page + 64;
        let mut left = *word;
        while page < end {
            run = if left & 1 == 0 { run + 1 } else { 0 };
            left >>= 1;
            page += 1;
            if run == count && count > 0 {
                let first = page - count;
                set(pages, first, count, true);
                return Some(first);
            }
        }
    }
    None
}

/// Gives back `count` pages from `first` on.
#[inline(always)]
pub fn give(pages: &mut RamDevicePages, first: usize, count: usize) {
    set(pages, first, count, false);
}

/// Is no page in use?
#[inline(always)]
pub fn is_empty(pages: &RamDevicePages) -> bool {
    pages.used.iter().all(|word| *word == 0)
}

#[inline(always)]
fn set(pages: &mut RamDevicePages, first: usize, count: usize, used: bool) {
    let end = first + count;
    let mut page = 0_usize;
    for word in &mut pages.used {
        let next = page + 64;
        if page < end && first < next {
            let from = first.saturating_sub(page);
            let beyond = next.saturating_sub(end);
            let mask = (u64::MAX << from) & (u64::MAX >> beyond);
            *word = if used { *word | mask } else { *word & !mask };
        }
        page = next;
    }
}

#[cfg(test)]
mod tests {
    use qemu::bindings::RAM_DEVICE_CHUNK_PAGES;

    use super::*;

    #[test]
    fn the_first_run_that_is_long_enough_is_taken() {
        let mut pages = RamDevicePages::default();
        assert_eq!(take(&mut pages, 3), Some(0));
        assert_eq!(take(&mut pages, 2), Some(3));
        assert_eq!(take(&mut pages, 1), Some(5));
        give(&mut pages, 3, 2);
        assert_eq!(take(&mut pages, 3), Some(6));
        assert_eq!(take(&mut pages, 1), Some(3));
        assert_eq!(take(&mut pages, 1), Some(4));
        assert_eq!(take(&mut pages, 1), Some(9));
    }

    #[test]
    fn a_chunk_has_room_for_512_pages_and_no_more() {
        let mut pages = RamDevicePages::default();
        assert_eq!(take(&mut pages, 513), None);
        assert_eq!(take(&mut pages, 512), Some(0));
        assert_eq!(take(&mut pages, 1), None);
        give(&mut pages, 63, 2);
        assert_eq!(take(&mut pages, 2), Some(63));
        assert_eq!(take(&mut pages, 1), None);
        give(&mut pages, 0, 512);
        assert!(is_empty(&pages));
    }

    #[test]
    fn no_page_is_taken_for_no_bytes() {
        assert_eq!(take(&mut RamDevicePages::default(), 0), None);
    }

    #[test]
    fn no_page_is_in_two_runs() {
        // Runs of every length, given back in an order that leaves holes.
        let mut pages = RamDevicePages::default();
        let mut owner = [0_usize; RAM_DEVICE_CHUNK_PAGES as usize];
        let mut runs = Vec::new();
        for turn in 1..5000 {
            let count = turn * 7 % 41 + 1;
            if let Some(first) = take(&mut pages, count) {
                for page in &mut owner[first..first + count] {
                    assert_eq!(*page, 0);
                    *page = turn;
                }
                runs.push((first, count));
            } else {
                let (first, length) = runs.swap_remove(turn % runs.len());
                owner[first..first + length].fill(0);
                give(&mut pages, first, length);
            }
        }
        for (first, count) in runs {
            give(&mut pages, first, count);
        }
        assert!(is_empty(&pages));
    }
}

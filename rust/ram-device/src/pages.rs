// SPDX-License-Identifier: GPL-2.0-or-later

//! Which pages of a chunk of the buffer pool are in use.
//!
//! Pure.  A chunk is 2 MiB, a huge page of most hosts, and has 512 pages of
//! 4096 bytes; a buffer is a run of them.

/// Number of pages in a chunk.
pub const PAGES: usize = 512;

/// One bit for each page of a chunk; a set one is in use.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct RamDevicePages {
    used: [u64; PAGES / 64],
}

impl RamDevicePages {
    /// Takes the first run of `count` free pages, and gives its first page.
    #[inline(always)]
    pub fn take(&mut self, count: usize) -> Option<usize> {
        let mut run = 0;
        let mut page = 0;
        for word in &self.used {
            let end = page + 64;
            let mut left = *word;
            while page < end {
                run = if left & 1 == 0 { run + 1 } else { 0 };
                left >>= 1;
                page += 1;
                if run == count && count > 0 {
                    let first = page - count;
                    self.set(first, count, true);
                    return Some(first);
                }
            }
        }
        None
    }

    /// Gives back `count` pages from `first` on.
    #[inline(always)]
    pub fn give(&mut self, first: usize, count: usize) {
        self.set(first, count, false);
    }

    /// Is no page in use?
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.used.iter().all(|word| *word == 0)
    }

    #[inline(always)]
    fn set(&mut self, first: usize, count: usize, used: bool) {
        let end = first + count;
        let mut page = 0_usize;
        for word in &mut self.used {
            let next = page + 64;
            if page < end && first < next {
                let from = first.saturating_sub(page);
                let beyond = next.saturating_sub(end);
                let mask = u64::MAX << from & u64::MAX >> beyond;
                *word = if used { *word | mask } else { *word & !mask };
            }
            page = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_that_is_long_enough_is_taken() {
        let mut pages = RamDevicePages::default();
        assert_eq!(pages.take(3), Some(0));
        assert_eq!(pages.take(2), Some(3));
        assert_eq!(pages.take(1), Some(5));
        pages.give(3, 2);
        assert_eq!(pages.take(3), Some(6));
        assert_eq!(pages.take(1), Some(3));
        assert_eq!(pages.take(1), Some(4));
        assert_eq!(pages.take(1), Some(9));
    }

    #[test]
    fn a_chunk_has_room_for_512_pages_and_no_more() {
        let mut pages = RamDevicePages::default();
        assert_eq!(pages.take(513), None);
        assert_eq!(pages.take(512), Some(0));
        assert_eq!(pages.take(1), None);
        pages.give(63, 2);
        assert_eq!(pages.take(2), Some(63));
        assert_eq!(pages.take(1), None);
        pages.give(0, 512);
        assert!(pages.is_empty());
    }

    #[test]
    fn no_page_is_taken_for_no_bytes() {
        assert_eq!(RamDevicePages::default().take(0), None);
    }

    #[test]
    fn no_page_is_in_two_runs() {
        // Runs of every length, given back in an order that leaves holes.
        let mut pages = RamDevicePages::default();
        let mut owner = [0_usize; PAGES];
        let mut runs = Vec::new();
        for turn in 1..5000 {
            let count = turn * 7 % 41 + 1;
            if let Some(first) = pages.take(count) {
                for page in &mut owner[first..first + count] {
                    assert_eq!(*page, 0);
                    *page = turn;
                }
                runs.push((first, count));
            } else {
                let (first, length) = runs.swap_remove(turn % runs.len());
                owner[first..first + length].fill(0);
                pages.give(first, length);
            }
        }
        for (first, count) in runs {
            pages.give(first, count);
        }
        assert!(pages.is_empty());
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! Waiting for several descriptors at once.

use std::{io, os::fd::AsRawFd};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

/// Waits for one of several descriptors.
pub struct Waiter(Epoll);

impl Waiter {
    /// One for these, each with a number by which it is told.
    pub fn new(descriptors: &[(&dyn AsRawFd, u64)]) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        for (descriptor, number) in descriptors {
            let event = EpollEvent::new(EventSet::IN, *number);
            epoll.ctl(ControlOperation::Add, descriptor.as_raw_fd(), event)?;
        }
        Ok(Self(epoll))
    }

    /// The number of one that can be read or was closed.
    pub fn wait(&self) -> io::Result<u64> {
        let mut events = [EpollEvent::default()];
        loop {
            match self.0.wait(-1, &mut events) {
                Ok(0) => {}
                Ok(_) => return Ok(events[0].data()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

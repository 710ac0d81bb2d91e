// SPDX-License-Identifier: GPL-2.0-or-later

//! The device that `vfio_user` serves.

use std::{fs::File, io, os::fd::RawFd};

use vfio_user::{DmaMapFlags, DmaUnmapFlags, ServerBackend};

use crate::{
    config::Config,
    engine::{Engine, Status, INTERRUPT},
    guest_memory::GuestMemory,
    interrupts::Interrupts,
    layout::{Layout, CONFIG, MEMORY_BAR, READ_ONLY_BAR, REGISTER_BAR},
    memory::Memory,
    record::Record,
    registers::Registers,
    secret::NoMemory,
};

/// All of its state.
pub struct Device {
    layout: Layout,
    memory: Memory,
    record: Record,
    config: Config,
    registers: Registers,
    guest: GuestMemory,
    interrupts: Interrupts,
}

/// Every backend error goes this way: the crate tells the client only that
/// there was one.
fn said(error: io::Error) -> io::Error {
    eprintln!("vfio-user-gpu: refused: {error}");
    error
}

impl Device {
    /// A device with zeroed memory.
    pub fn new(layout: Layout, record: Record) -> Result<Self, NoMemory> {
        Ok(Self {
            layout,
            memory: Memory::new(layout.memory_size, layout.pinnable)?,
            record,
            config: Config::new(&layout),
            registers: Registers::new(layout.memory_size),
            guest: GuestMemory::default(),
            interrupts: Interrupts::default(),
        })
    }

    /// Its shape.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What BAR 4 is mapped from.
    #[must_use]
    pub fn memory_fd(&self) -> RawFd {
        self.memory.fd()
    }

    /// Forgets all that belongs to a client; the memory keeps its contents.
    pub fn forget_client(&mut self) {
        self.guest.clear();
        self.interrupts = Interrupts::default();
        self.set_back();
    }

    fn set_back(&mut self) {
        self.config = Config::new(&self.layout);
        self.registers = Registers::new(self.layout.memory_size);
    }

    fn run_command(&mut self) {
        let command = self.registers.command();
        let engine = Engine {
            memory: &self.memory,
            guest: &self.guest,
        };
        let (status, result) = match engine.run(&command) {
            Ok(result) => (Status::Done, result),
            Err(failure) => {
                eprintln!("vfio-user-gpu: {command:x?} failed: {failure}");
                (failure.status(), 0)
            }
        };
        let raised = command.code & INTERRUPT != 0 && self.interrupts.raise();
        self.registers.finish(status, result, raised);
    }

    /// Refuses what isn't within a region.
    fn check(&self, region: u32, offset: u64, length: usize) -> io::Result<()> {
        let size = self.layout.region_size(region);
        let end = offset.checked_add(length as u64);
        if end.is_some_and(|end| end <= size) {
            return Ok(());
        }
        let why = format!(
            "access to {length} bytes at {offset:#x} of region {region}, which has {size:#x}"
        );
        Err(said(io::Error::new(io::ErrorKind::InvalidInput, why)))
    }
}

impl ServerBackend for Device {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.check(region, offset, data.len())?;
        match region {
            CONFIG => self.config.read(offset as usize, data),
            REGISTER_BAR => self.registers.read(offset as usize, data),
            _ => self.memory.read(offset, data).map_err(said)?,
        }
        if matches!(region, REGISTER_BAR | MEMORY_BAR) {
            let added = self.record.add(region, false, offset, data);
            added.map_err(said)?;
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(region, offset, data.len())?;
        if region == READ_ONLY_BAR {
            let why = format!("write of {} bytes to BAR 2 at {offset:#x}", data.len());
            return Err(said(io::Error::new(io::ErrorKind::PermissionDenied, why)));
        }
        if matches!(region, REGISTER_BAR | MEMORY_BAR) {
            let added = self.record.add(region, true, offset, data);
            added.map_err(said)?;
        }
        match region {
            CONFIG => self.config.write(offset as usize, data),
            REGISTER_BAR => {
                if self.registers.write(offset as usize, data) {
                    self.run_command();
                }
            }
            _ => self.memory.write(offset, data).map_err(said)?,
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        let mapped = self.guest.map(flags, offset, address, size, fd);
        mapped.map_err(said)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            self.guest.clear();
            return Ok(());
        }
        self.guest.unmap(address, size).map_err(said)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.set_back();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        _start: u32,
        _count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        self.interrupts.set(index, flags, fds).map_err(said)
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! What the device consists of: regions, the parts of BAR 4 that may be mapped,
//! and interrupts.

use std::{iter, mem::size_of, ops::Range, os::fd::RawFd};

use vfio_bindings::bindings::vfio::{
    vfio_region_info, vfio_region_sparse_mmap_area, VFIO_IRQ_INFO_EVENTFD,
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_BAR4_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{IrqInfo, ServerRegion, SparseArea};

/// The region of the registers.
pub const REGISTER_BAR: u32 = VFIO_PCI_BAR0_REGION_INDEX;
/// The region that shows the beginning of the memory, and can't be written.
pub const READ_ONLY_BAR: u32 = VFIO_PCI_BAR2_REGION_INDEX;
/// The region of the memory; as a 64-bit BAR it takes the next one's place too.
pub const MEMORY_BAR: u32 = VFIO_PCI_BAR4_REGION_INDEX;
/// The region of the configuration space.
pub const CONFIG: u32 = VFIO_PCI_CONFIG_REGION_INDEX;
/// The size of the configuration space.
pub const CONFIG_SIZE: usize = 256;
/// The size of the registers' BAR.
pub const REGISTER_BAR_SIZE: u64 = 16 << 10;
/// The size of the BAR that can't be written; no memory is smaller.
pub const READ_ONLY_BAR_SIZE: u64 = LEAST_MEMORY;
/// The size of each hole; pages are no larger on any host.
pub const HOLE_SIZE: u64 = 64 << 10;
/// The smallest memory: a hole is small beside it.
pub const LEAST_MEMORY: u64 = 1 << 20;

/// Which parts of the memory may be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sparse {
    /// All of it.
    Whole,
    /// All but a hole in the middle and one at the end.
    Holes,
}

/// Whether the host's kernel pins pages of the memory, as `O_DIRECT` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinnable {
    /// As ordinary memory's.
    Yes,
    /// None of them, as of a BAR that the kernel's vfio-pci assigns.
    No,
}

/// The device's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The size of BAR 4, a power of two.
    pub memory_size: u64,
    /// Its parts.
    pub sparse: Sparse,
    /// Its pages.
    pub pinnable: Pinnable,
}

impl Layout {
    /// The parts of BAR 4 that may be mapped.
    #[must_use]
    pub fn mappable(&self) -> Vec<Range<u64>> {
        let (middle, end) = (self.memory_size / 2, self.memory_size);
        match self.sparse {
            Sparse::Whole => iter::once(0..end).collect(),
            Sparse::Holes => vec![0..middle, middle + HOLE_SIZE..end - HOLE_SIZE],
        }
    }

    /// The size of a region, 0 if there is none of this number.
    #[must_use]
    pub const fn region_size(&self, region: u32) -> u64 {
        match region {
            REGISTER_BAR => REGISTER_BAR_SIZE,
            READ_ONLY_BAR => READ_ONLY_BAR_SIZE,
            MEMORY_BAR => self.memory_size,
            CONFIG => CONFIG_SIZE as u64,
            _ => 0,
        }
    }

    /// What a client is told of the regions; `memory` is what BARs 2 and 4 are
    /// mapped from.
    #[must_use]
    pub fn regions(&self, memory: RawFd) -> Vec<ServerRegion> {
        (0..VFIO_PCI_NUM_REGIONS)
            .map(|index| self.region(index, memory))
            .collect()
    }

    fn region(&self, index: u32, memory: RawFd) -> ServerRegion {
        let size = self.region_size(index);
        let areas = match index {
            MEMORY_BAR => self.mappable(),
            // vfio_user hands the memory over only with a list of parts.
            READ_ONLY_BAR => iter::once(0..size).collect(),
            _ => Vec::new(),
        };
        let is_mapped = !areas.is_empty();
        let mut flags = 0;
        if size != 0 {
            flags |= VFIO_REGION_INFO_FLAG_READ;
        }
        if size != 0 && index != READ_ONLY_BAR {
            flags |= VFIO_REGION_INFO_FLAG_WRITE;
        }
        if is_mapped {
            flags |= VFIO_REGION_INFO_FLAG_MMAP;
        }
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                index,
                flags,
                size,
                ..Default::default()
            },
            mmap_fd: is_mapped.then_some(memory),
            sparse_areas: areas
                .into_iter()
                .map(|area| SparseArea {
                    area: vfio_region_sparse_mmap_area {
                        offset: area.start,
                        size: area.end - area.start,
                    },
                })
                .collect(),
        }
    }

    /// What a client is told of the interrupts: `INTx` and one MSI.
    #[must_use]
    pub fn irqs() -> Vec<IrqInfo> {
        (0..VFIO_PCI_NUM_IRQS)
            .map(|index| {
                let is_there = matches!(index, VFIO_PCI_INTX_IRQ_INDEX | VFIO_PCI_MSI_IRQ_INDEX);
                IrqInfo {
                    index,
                    flags: if is_there { VFIO_IRQ_INFO_EVENTFD } else { 0 },
                    count: u32::from(is_there),
                }
            })
            .collect()
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The eventfds by which a client wants to hear of interrupts.

use std::{
    fs::File,
    io::{self, Write},
};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
};

/// One eventfd for `INTx`, and one for the MSI.
#[derive(Default)]
pub struct Interrupts {
    intx: Option<File>,
    msi: Option<File>,
}

impl Interrupts {
    /// Takes what `SET_IRQS` says; masks are left to the client.
    pub fn set(&mut self, index: u32, flags: u32, mut fds: Vec<File>) -> io::Result<()> {
        let slot = match index {
            VFIO_PCI_INTX_IRQ_INDEX => &mut self.intx,
            VFIO_PCI_MSI_IRQ_INDEX => &mut self.msi,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("SET_IRQS of index {index}, which has no interrupts"),
                ))
            }
        };
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 {
            let has_eventfd = flags & VFIO_IRQ_SET_DATA_EVENTFD != 0;
            *slot = fds.pop().filter(|_| has_eventfd);
        }
        Ok(())
    }

    /// Raises the MSI if the client listens to it, else `INTx`; whether anybody
    /// was told.
    pub fn raise(&mut self) -> bool {
        let listener = self.msi.as_mut().or(self.intx.as_mut());
        listener.is_some_and(|eventfd| eventfd.write_all(&1_u64.to_ne_bytes()).is_ok())
    }
}

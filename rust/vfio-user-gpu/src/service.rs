// SPDX-License-Identifier: GPL-2.0-or-later

//! Clients, one after the other, until we are asked to end.

use std::{
    fmt, fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process, thread,
};

use vfio_user::Server;

use crate::{
    device::Device,
    gate::{pass_messages, End},
    layout::Layout,
    waiter::Waiter,
};

const STOP: u64 = 0;
const CONNECTION: u64 = 1;

/// Why there is no socket to serve on.
#[derive(Debug)]
pub enum NoSocket {
    /// There is something at the path.
    Exists(PathBuf),
    /// The host refuses it.
    Host(PathBuf, io::Error),
}

impl fmt::Display for NoSocket {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(
                to,
                "{} exists; remove it if no other program serves there, or name another path",
                path.display()
            ),
            Self::Host(path, error) => write!(to, "no socket at {}: {error}", path.display()),
        }
    }
}

/// A socket, which is removed in the end.
pub struct Service {
    listener: UnixListener,
    path: PathBuf,
    stop: UnixStream,
    clients: u64,
}

impl Service {
    /// Listens at a path; a byte in `stop` is the wish that it ends.
    pub fn new(path: &Path, stop: UnixStream) -> Result<Self, NoSocket> {
        if path.symlink_metadata().is_ok() {
            return Err(NoSocket::Exists(path.into()));
        }
        let bound = UnixListener::bind(path);
        Ok(Self {
            listener: bound.map_err(|error| NoSocket::Host(path.into(), error))?,
            path: path.into(),
            stop,
            clients: 0,
        })
    }

    /// Serves until we are asked to end.
    pub fn run(&mut self, device: &mut Device) -> io::Result<()> {
        let waiter = Waiter::new(&[(&self.stop, STOP), (&self.listener, CONNECTION)])?;
        while waiter.wait()? == CONNECTION {
            let (client, _) = self.listener.accept()?;
            self.clients += 1;
            let number = self.clients;
            eprintln!("vfio-user-gpu: client {number} is here");
            let end = serve(&client, &self.stop, device, number)?;
            device.forget_client();
            eprintln!("vfio-user-gpu: client {number} {end}");
            if matches!(end, End::Stopped) {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Somebody else may have removed it; then there's nothing left to do.
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves one client.  `vfio_user` listens at an abstract address of its own, and
/// the only one that connects there is the gate.
fn serve(
    client: &UnixStream,
    stop: &UnixStream,
    device: &mut Device,
    number: u64,
) -> io::Result<End> {
    let name = format!("vfio-user-gpu-{}-{number}-{:p}", process::id(), client);
    let address = SocketAddr::from_abstract_name(name)?;
    let inner = UnixListener::bind_addr(&address)?;
    let gate = UnixStream::connect_addr(&address)?;
    let regions = device.layout().regions(device.memory_fd());
    let server = Server::from_owned_fd(inner.into(), true, Layout::irqs(), regions);
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(device));
        let end = pass_messages(client, &gate, stop);
        drop(gate);
        match serving.join() {
            Ok(Ok(())) => Ok(end),
            Ok(Err(error)) => Ok(match end {
                End::Failed(_) => End::Failed(io::Error::other(error)),
                end => end,
            }),
            Err(_) => Ok(End::Failed(io::Error::other(
                "vfio_user has panicked, see above",
            ))),
        }
    })
}

#[cfg(test)]
mod tests;

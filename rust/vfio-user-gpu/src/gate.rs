// SPDX-License-Identifier: GPL-2.0-or-later

//! Messages between a client and `vfio_user`, one by one: a client's are held
//! against the protocol first.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use vmm_sys_util::sock_ctrl_msg::ScmSocket;

use crate::{
    protocol::{Broken, Header, HEADER_SIZE},
    waiter::Waiter,
};

/// How long the rest of a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(5);
const BUFFER_SIZE: usize = 64 << 10;
/// No more can be sent at once: the kernel's `SCM_MAX_FD`.
const MOST_FDS: usize = 253;

const STOP: u64 = 0;
const CLIENT: u64 = 1;
const SERVER: u64 = 2;

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// The client has closed it.
    Left,
    /// The client has sent what it must not.
    BrokeProtocol(Broken),
    /// It can't go on for another reason.
    Failed(io::Error),
    /// We are asked to end.
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Left => write!(to, "left"),
            Self::BrokeProtocol(how) => write!(to, "broke the protocol: {how}; connection ended"),
            Self::Failed(error) => write!(to, "is lost: {error}"),
            Self::Stopped => write!(to, "is left, as this program is asked to end"),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Hands messages on until the connection ends.
#[must_use]
pub fn pass_messages(client: &UnixStream, server: &UnixStream, stop: &UnixStream) -> End {
    let mut is_first = true;
    let mut pass = || -> Result<(), End> {
        for stream in [client, server] {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
        }
        let waiter = Waiter::new(&[(stop, STOP), (client, CLIENT), (server, SERVER)])?;
        loop {
            match waiter.wait()? {
                CLIENT => {
                    pass_command(client, server, is_first)?;
                    is_first = false;
                }
                SERVER => pass_reply(server, client)?,
                _ => return Err(End::Stopped),
            }
        }
    };
    match pass() {
        Err(end) => end,
        Ok(()) => End::Stopped,
    }
}

/// One message from the client.
fn pass_command(mut client: &UnixStream, server: &UnixStream, is_first: bool) -> Result<(), End> {
    let mut header_bytes = [0; HEADER_SIZE];
    let (got, file) = receive(client, &mut header_bytes)?;
    if got == 0 {
        return Err(End::Left);
    }
    let rest = client.read_exact(&mut header_bytes[got..]);
    rest.map_err(|error| cut_short("a header", &error))?;
    let header = Header::parse(&header_bytes, is_first).map_err(End::BrokeProtocol)?;
    let mut message = vec![0; header.size];
    message[..HEADER_SIZE].copy_from_slice(&header_bytes);
    let body = client.read_exact(&mut message[HEADER_SIZE..]);
    body.map_err(|error| cut_short("a message", &error))?;
    header.check_message(&message).map_err(End::BrokeProtocol)?;
    if header.is_unsupported() {
        message.truncate(HEADER_SIZE);
    }
    send(server, &message, file.as_ref())
}

/// Some bytes from the server.
fn pass_reply(server: &UnixStream, client: &UnixStream) -> Result<(), End> {
    let mut buffer = vec![0; BUFFER_SIZE];
    let (got, file) = receive(server, &mut buffer)?;
    if got == 0 {
        let why = "vfio_user has given it up";
        return Err(End::Failed(io::Error::other(why)));
    }
    send(client, &buffer[..got], file.as_ref())
}

fn cut_short(what: &str, error: &io::Error) -> End {
    End::BrokeProtocol(Broken(match error.kind() {
        io::ErrorKind::WouldBlock => {
            format!("it sent a part of {what}, and no more for {PATIENCE:?}")
        }
        _ => format!("it left in the middle of {what}"),
    }))
}

/// Some bytes, and the file that came with them; both sides may send but one.
fn receive(from: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Option<File>), End> {
    let mut fds = [-1; MOST_FDS];
    let mut parts = [libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    }];
    // SAFETY: the only part is `buffer`, which is borrowed for writing until the
    // call returns and which may hold any bytes.
    let received = unsafe { from.recv_with_fds(&mut parts, &mut fds) };
    let (got, count) = match received {
        Ok(received) => received,
        // A client that was killed.
        Err(error) if error.errno() == libc::ECONNRESET => return Ok((0, None)),
        Err(error) => return Err(End::Failed(error.into())),
    };
    let mut files: Vec<File> = fds[..count]
        .iter()
        // SAFETY: the kernel has just opened these descriptors for us, and
        // nobody else knows them.
        .map(|fd| unsafe { File::from_raw_fd(*fd) })
        .collect();
    if files.len() > 1 {
        let how = format!("a message with {} files, one is most", files.len());
        return Err(End::BrokeProtocol(Broken(how)));
    }
    Ok((got, files.pop()))
}

fn send(mut to: &UnixStream, message: &[u8], file: Option<&File>) -> Result<(), End> {
    let sent = match file {
        Some(file) => to.send_with_fd(message, file.as_raw_fd()),
        None => Ok(0),
    };
    let sent = sent.map_err(|error| End::Failed(error.into()))?;
    match to.write_all(&message[sent..]) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(End::Left),
        written => written.map_err(End::Failed),
    }
}

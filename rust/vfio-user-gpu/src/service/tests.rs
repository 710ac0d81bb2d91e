// SPDX-License-Identifier: GPL-2.0-or-later

//! A service in a thread, and clients that do right and wrong.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::fs::FileExt},
};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_MSI_IRQ_INDEX,
    VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::Client;
use vmm_sys_util::{sock_ctrl_msg::ScmSocket, tempdir::TempDir};

use super::*;
use crate::{
    engine::{crc32, CHECKSUM, COPY, DESTINATION_IN_MEMORY, INTERRUPT, SOURCE_IN_MEMORY},
    layout::{
        Pinnable, Sparse, CONFIG, HOLE_SIZE, MEMORY_BAR, READ_ONLY_BAR, READ_ONLY_BAR_SIZE,
        REGISTER_BAR,
    },
    record::Record,
    registers,
    secret::{
        tests::{available, is_refused, mapped},
        NoMemory,
    },
};

const SIZE: u64 = 4 << 20;
const LAYOUT: Layout = Layout {
    memory_size: SIZE,
    sparse: Sparse::Holes,
    pinnable: Pinnable::Yes,
};
const NOT_PINNABLE: Layout = Layout {
    pinnable: Pinnable::No,
    ..LAYOUT
};

struct Running {
    folder: TempDir,
    wish: UnixStream,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    fn new() -> Self {
        Self::of(LAYOUT).unwrap()
    }

    fn of(layout: Layout) -> Result<Self, NoMemory> {
        let folder = TempDir::new().unwrap();
        let (stop, wish) = UnixStream::pair().unwrap();
        let record = Record::create(&folder.as_path().join("accesses")).unwrap();
        let mut service = Service::new(&folder.as_path().join("socket"), stop).unwrap();
        let mut device = Device::new(layout, record)?;
        let thread = thread::spawn(move || service.run(&mut device));
        Ok(Self {
            folder,
            wish,
            thread: Some(thread),
        })
    }

    fn socket(&self) -> PathBuf {
        self.folder.as_path().join("socket")
    }

    fn client(&self) -> Client {
        Client::new(&self.socket()).unwrap()
    }

    fn accesses(&self) -> String {
        fs::read_to_string(self.folder.as_path().join("accesses")).unwrap()
    }

    fn end(&mut self) {
        self.wish.write_all(b"x").unwrap();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    /// Whether the service ends the connection of a client that sends this.
    fn is_ended_after(&self, messages: &[&[u8]]) -> bool {
        let mut client = UnixStream::connect(self.socket()).unwrap();
        for message in messages {
            client.write_all(message).unwrap();
        }
        client
            .set_read_timeout(Some(std::time::Duration::from_secs(300)))
            .unwrap();
        let mut answers = Vec::new();
        // A connection that ends with bytes unread is a reset one.
        match client.read_to_end(&mut answers) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

fn message(command: u16, flags: u32, body: &[u8]) -> Vec<u8> {
    let size = 16 + body.len() as u32;
    let mut message = vec![1, 0];
    message.extend(command.to_ne_bytes());
    message.extend([size, flags, 0].map(u32::to_ne_bytes).concat());
    message.extend(body);
    message
}

fn version() -> Vec<u8> {
    message(1, 0, b"\0\0\0\0{\"capabilities\": {}}\0")
}

fn run_command(client: &mut Client, code: u32, source: u64, destination: u64, length: u64) -> u32 {
    for (register, value) in [
        (registers::SOURCE, source),
        (registers::DESTINATION, destination),
        (registers::LENGTH, length),
    ] {
        let written = client.region_write(REGISTER_BAR, register as u64, &value.to_le_bytes());
        written.unwrap();
    }
    let command = registers::COMMAND as u64;
    let written = client.region_write(REGISTER_BAR, command, &code.to_le_bytes());
    written.unwrap();
    register(client, registers::STATUS)
}

fn register(client: &mut Client, at: usize) -> u32 {
    let mut value = [0; 4];
    let read = client.region_read(REGISTER_BAR, at as u64, &mut value);
    read.unwrap();
    u32::from_le_bytes(value)
}

#[test]
fn the_memory_is_mapped_but_for_its_holes() {
    let running = Running::new();
    let mut client = running.client();
    let region = client.region(MEMORY_BAR).unwrap();
    let areas: Vec<_> = region
        .sparse_areas
        .iter()
        .map(|area| (area.offset, area.size))
        .collect();
    let after = SIZE / 2 + HOLE_SIZE;
    assert_eq!(areas, [(0, SIZE / 2), (after, SIZE - HOLE_SIZE - after)]);
    let memory = region.file_offset.as_ref().unwrap().file().try_clone();
    let memory = memory.unwrap();
    client
        .region_write(MEMORY_BAR, SIZE / 2, b"a hole")
        .unwrap();
    let mut found = [0; 6];
    memory.read_exact_at(&mut found, SIZE / 2).unwrap();
    assert_eq!(&found, b"a hole");
    assert_eq!(client.region(CONFIG).unwrap().size, 256);
}

#[test]
fn bar_2_is_the_beginning_of_the_memory_and_is_mapped_for_reading_only() {
    let running = Running::new();
    let mut client = running.client();
    let region = client.region(READ_ONLY_BAR).unwrap();
    let wanted = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP;
    let readable_writable = wanted | VFIO_REGION_INFO_FLAG_WRITE;
    assert_eq!(region.flags & readable_writable, wanted);
    let areas: Vec<_> = region
        .sparse_areas
        .iter()
        .map(|area| (area.offset, area.size))
        .collect();
    assert_eq!(areas, [(0, READ_ONLY_BAR_SIZE)]);
    let memory = region.file_offset.as_ref().unwrap().file().try_clone();
    memory.unwrap().write_all_at(b"memory", 8).unwrap();
    let mut found = [0; 6];
    client.region_read(READ_ONLY_BAR, 8, &mut found).unwrap();
    assert_eq!(&found, b"memory");
}

#[test]
fn memory_that_is_not_pinnable_is_the_clients_and_the_devices_and_refused_to_whoever_pins_it() {
    let Some(running) = available(Running::of(NOT_PINNABLE)) else {
        return;
    };
    let mut client = running.client();
    let region = client.region(MEMORY_BAR).unwrap();
    let file = region.file_offset.as_ref().unwrap().file().try_clone();
    let memory = mapped(file.unwrap(), SIZE);
    client
        .region_write(MEMORY_BAR, SIZE / 2, b"by message")
        .unwrap();
    let mut found = [0; 10];
    memory.read(SIZE as usize / 2, &mut found);
    assert_eq!(&found, b"by message");
    memory.write(64, b"by mapping");
    client.region_read(READ_ONLY_BAR, 64, &mut found).unwrap();
    assert_eq!(&found, b"by mapping");
    let code = COPY | SOURCE_IN_MEMORY | DESTINATION_IN_MEMORY;
    assert_eq!(run_command(&mut client, code, 64, 4096, 10), 1);
    memory.read(4096, &mut found);
    assert_eq!(&found, b"by mapping");
    assert!(is_refused(&memory, 64));
}

#[test]
fn each_access_by_message_is_recorded_as_it_came() {
    let running = Running::new();
    let mut client = running.client();
    client
        .region_write(MEMORY_BAR, SIZE / 2 + 8, &[0xab, 0xcd])
        .unwrap();
    client.region_read(REGISTER_BAR, 0, &mut [0; 4]).unwrap();
    client.region_read(CONFIG, 0, &mut [0; 4]).unwrap();
    let wanted = format!(
        "{{\"bar\": 4, \"kind\": \"write\", \"offset\": {}, \"size\": 2, \"bytes\": \"abcd\"}}\n\
         {{\"bar\": 0, \"kind\": \"read\", \"offset\": 0, \"size\": 4, \"bytes\": \"52444750\"}}\n",
        SIZE / 2 + 8
    );
    assert_eq!(running.accesses(), wanted);
}

#[test]
fn the_engine_reaches_the_guests_memory_and_interrupts() {
    let running = Running::new();
    let mut client = running.client();
    let ram = vmm_sys_util::tempfile::TempFile::new().unwrap().into_file();
    ram.set_len(0x2000).unwrap();
    client
        .dma_map(0x1000, 0x4000_0000, 0x1000, ram.as_raw_fd())
        .unwrap();
    let (mut told, its) = UnixStream::pair().unwrap();
    let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    let set = client.set_irqs(VFIO_PCI_MSI_IRQ_INDEX, flags, 0, 1, &[its.as_raw_fd()]);
    set.unwrap();
    client
        .region_write(MEMORY_BAR, SIZE / 2, b"to the guest")
        .unwrap();
    let code = COPY | SOURCE_IN_MEMORY | INTERRUPT;
    assert_eq!(run_command(&mut client, code, SIZE / 2, 0x4000_0010, 12), 1);
    let mut found = [0; 12];
    ram.read_exact_at(&mut found, 0x1010).unwrap();
    assert_eq!(&found, b"to the guest");
    let mut count = [0; 8];
    told.read_exact(&mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 1);
    assert_eq!(run_command(&mut client, CHECKSUM, 0x4000_0010, 0, 12), 1);
    assert_eq!(
        register(&mut client, registers::RESULT),
        crc32(b"to the guest")
    );
    client.dma_unmap(0x4000_0000, 0x1000).unwrap();
    assert_eq!(run_command(&mut client, CHECKSUM, 0x4000_0010, 0, 12), 5);
}

#[test]
fn a_client_finds_the_memory_as_the_last_one_left_it_and_all_else_as_new() {
    let running = Running::new();
    let mut first = running.client();
    first.region_write(MEMORY_BAR, SIZE / 2, b"left").unwrap();
    first.region_write(CONFIG, 4, &[6]).unwrap();
    first
        .region_write(REGISTER_BAR, registers::SOURCE as u64, &[1; 8])
        .unwrap();
    first.shutdown().unwrap();
    let mut second = running.client();
    let mut found = [0; 4];
    second
        .region_read(MEMORY_BAR, SIZE / 2, &mut found)
        .unwrap();
    assert_eq!(&found, b"left");
    second.region_read(CONFIG, 4, &mut found).unwrap();
    assert_eq!(found, [0, 0, 0x10, 0]);
    assert_eq!(register(&mut second, registers::SOURCE), 0);
}

#[test]
fn a_client_that_breaks_the_protocol_is_dropped_and_the_next_one_served() {
    let running = Running::new();
    let zeroes = [0; 64];
    let access_of = |region: u32, count: u32| {
        let numbers = [region, count].map(u32::to_ne_bytes).concat();
        [[0; 8].as_slice(), &numbers].concat()
    };
    let access = |count| access_of(0, count);
    let no_reply = 0x10;
    for (what, sent) in [
        (
            "a command that there isn't",
            vec![version(), message(77, 0, b"")],
        ),
        ("no VERSION first", vec![message(13, 0, b"")]),
        ("VERSION twice", vec![version(), version()]),
        ("a reply", vec![version(), message(13, 1, b"")]),
        (
            "VERSION without its NUL",
            vec![message(1, 0, b"\0\0\0\0{}")],
        ),
        ("VERSION with two", vec![message(1, 0, b"\0\0\0\0{\0}\0")]),
        (
            "VERSION that isn't JSON",
            vec![message(1, 0, b"\0\0\0\0capable\0")],
        ),
        ("VERSION too short", vec![message(1, 0, b"\0\0\0\0")]),
        (
            "DMA_MAP too short",
            vec![version(), message(2, 0, &zeroes[..31])],
        ),
        (
            "DMA_MAP too long",
            vec![version(), message(2, 0, &zeroes[..33])],
        ),
        (
            "REGION_WRITE of less than it says",
            vec![version(), message(10, 0, &access(4))],
        ),
        (
            "REGION_READ of 4 GiB",
            vec![version(), message(9, 0, &access(u32::MAX))],
        ),
        (
            "REGION_WRITE to a region that there isn't, with a RESET as its data",
            vec![
                version(),
                message(10, 0, &[access_of(9, 16), message(13, 0, b"")].concat()),
            ],
        ),
        (
            "REGION_READ of a region that there isn't",
            vec![version(), message(9, 0, &access_of(9, 4))],
        ),
        (
            "VERSION without a reply",
            vec![message(1, no_reply, b"\0\0\0\0{\"capabilities\": {}}\0")],
        ),
        (
            "DEVICE_GET_INFO without a reply",
            vec![version(), message(4, no_reply, &zeroes[..16])],
        ),
        (
            "DEVICE_GET_REGION_INFO without a reply",
            vec![version(), message(5, no_reply, &zeroes[..32])],
        ),
        (
            "DEVICE_GET_IRQ_INFO without a reply",
            vec![version(), message(7, no_reply, &zeroes[..16])],
        ),
        (
            "REGION_READ without a reply",
            vec![version(), message(9, no_reply, &access(4))],
        ),
        ("plain nonsense", vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()]),
    ] {
        let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        assert!(running.is_ended_after(&sent), "{what}");
        assert_eq!(
            register(&mut running.client(), 0),
            registers::IDENTITY,
            "{what}"
        );
    }
}

#[test]
fn a_client_may_want_no_reply_to_what_it_writes() {
    let running = Running::new();
    let mut client = UnixStream::connect(running.socket()).unwrap();
    let place = registers::SOURCE.to_ne_bytes();
    let access = [place.as_slice(), &[0; 4], &8_u32.to_ne_bytes()].concat();
    let (no_reply, value) = (0x10, [0xa5; 8]);
    for sent in [
        version(),
        message(13, no_reply, b""),
        message(10, no_reply, &[access.as_slice(), &value].concat()),
        message(9, 0, &access),
    ] {
        client.write_all(&sent).unwrap();
    }
    let command_of = |header: &[u8; 16]| u16::from_ne_bytes([header[2], header[3]]);
    let mut header = [0; 16];
    client.read_exact(&mut header).unwrap();
    assert_eq!(command_of(&header), 1);
    let size = u32::from_ne_bytes([4, 5, 6, 7].map(|at| header[at])) as usize;
    client.read_exact(&mut vec![0; size - 16]).unwrap();
    client.read_exact(&mut header).unwrap();
    assert_eq!(command_of(&header), 9);
    let mut rest = [0; 24];
    client.read_exact(&mut rest).unwrap();
    assert_eq!(rest[16..], value);
}

#[test]
fn a_client_that_sends_many_files_is_dropped_and_they_are_closed() {
    let running = Running::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    for count in [2, 3, 253] {
        let mut client = UnixStream::connect(running.socket()).unwrap();
        let fds = vec![theirs.as_raw_fd(); count];
        client.send_with_fds(&[version().as_slice()], &fds).unwrap();
        let ended = client.read(&mut [0; 64]);
        assert!(matches!(ended, Ok(0)) || ended.is_err(), "{count}");
    }
    drop((theirs, running.client()));
    // The other end is closed only when every copy of it is.
    ours.set_read_timeout(Some(std::time::Duration::from_secs(300)))
        .unwrap();
    assert_eq!((&ours).read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_message_is_dropped() {
    let running = Running::new();
    assert!(running.is_ended_after(&[&version(), &[1, 0, 13]]));
    drop(running.client());
}

#[test]
fn what_is_refused_is_an_error_and_not_the_end() {
    let running = Running::new();
    let mut client = UnixStream::connect(running.socket()).unwrap();
    let mut ask = |asked: &[u8]| {
        client.write_all(asked).unwrap();
        let mut header = [0; 16];
        client.read_exact(&mut header).unwrap();
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let mut rest = vec![0; word(4) as usize - 16];
        client.read_exact(&mut rest).unwrap();
        word(8)
    };
    let outside = [1_u64.to_ne_bytes(), [0, 0, 0, 0, 0, 64, 0, 0]].concat();
    let (reply, error) = (1, 0x21);
    assert_eq!(ask(&version()), reply);
    let to_bar_2 = [[0; 8].as_slice(), &[2, 0, 0, 0, 4, 0, 0, 0], b"mine"].concat();
    // A write to BAR 2; DMA_READ, of any size; a read beyond the end of BAR 0; no
    // mapping there.
    assert_eq!(ask(&message(10, 0, &to_bar_2)), error);
    assert_eq!(ask(&message(11, 0, &[0; 40])), error);
    assert_eq!(ask(&message(9, 0, &outside)), error);
    assert_eq!(ask(&message(3, 0, &[0; 24])), error);
    assert_eq!(ask(&message(13, 0, b"")), reply);
}

#[test]
fn a_socket_that_exists_is_left_alone() {
    let running = Running::new();
    let (stop, _wish) = UnixStream::pair().unwrap();
    let Err(no_socket) = Service::new(&running.socket(), stop) else {
        panic!("two services at one path");
    };
    assert!(no_socket.to_string().contains("exists"));
    drop(running.client());
}

#[test]
fn it_ends_when_it_is_asked_to_and_removes_its_socket() {
    let mut alone = Running::new();
    alone.end();
    assert!(!alone.socket().exists());
    let mut with_client = Running::new();
    let mut client = with_client.client();
    with_client.end();
    assert!(!with_client.socket().exists());
    assert!(client.region_read(REGISTER_BAR, 0, &mut [0; 4]).is_err());
}

#[test]
fn a_mapping_larger_than_its_file_is_refused() {
    let mut device = Device::new(LAYOUT, Record::default()).unwrap();
    let file_of = |size| -> File {
        let made = vmm_sys_util::tempfile::TempFile::new().unwrap().into_file();
        made.set_len(size).unwrap();
        made
    };
    let flags = vfio_user::DmaMapFlags::READ_WRITE;
    let mut map = |offset, address, size, file| {
        vfio_user::ServerBackend::dma_map(&mut device, flags, offset, address, size, Some(file))
    };
    assert!(map(0x1000, 0, 0x1000, file_of(0x1fff)).is_err());
    assert!(map(u64::MAX, 0, 0x1000, file_of(0x2000)).is_err());
    assert!(map(0, u64::MAX, 0x1000, file_of(0x1000)).is_err());
    map(0x1000, 0, 0x1000, file_of(0x2000)).unwrap();
    assert!(map(0, 0xfff, 0x1000, file_of(0x1000)).is_err());
}

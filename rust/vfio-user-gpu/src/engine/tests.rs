// SPDX-License-Identifier: GPL-2.0-or-later

use std::os::unix::fs::FileExt;

use vfio_user::DmaMapFlags;

use super::*;
use crate::layout::Pinnable;

const SIZE: u64 = 1 << 20;

/// BAR 4, and RAM of the guest in two mappings that are next to each other.
fn parts() -> (Memory, GuestMemory, std::fs::File) {
    let ram = vmm_sys_util::tempfile::TempFile::new().unwrap().into_file();
    ram.set_len(0x3000).unwrap();
    let mut guest = GuestMemory::default();
    for (flags, offset, address, size) in [
        (DmaMapFlags::READ_WRITE, 0x1000, 0x8000, 0x1000),
        (DmaMapFlags::READ_WRITE, 0, 0x9000, 0x1000),
        (DmaMapFlags::READ, 0x2000, 0xa000, 0x1000),
    ] {
        let file = ram.try_clone().unwrap();
        let mapped = guest.map(flags, offset, address, size, Some(file));
        mapped.unwrap();
    }
    guest
        .map(DmaMapFlags::READ_WRITE, 0, 0xf000, 0x1000, None)
        .unwrap();
    (Memory::new(SIZE, Pinnable::Yes).unwrap(), guest, ram)
}

fn command(code: u32, source: u64, destination: u64, length: u64) -> Command {
    Command {
        code,
        source,
        destination,
        length,
        fill: 0x5a,
    }
}

#[test]
fn a_checksum_is_zlibs_crc32() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn a_copy_to_the_guest_goes_on_in_the_next_mapping() {
    let (memory, guest, ram) = parts();
    let engine = Engine {
        memory: &memory,
        guest: &guest,
    };
    memory.write(0x123, b"over the border").unwrap();
    let asked = command(COPY | SOURCE_IN_MEMORY, 0x123, 0x9000 - 5, 15);
    assert_eq!(engine.run(&asked).unwrap(), 0);
    let (mut before, mut after) = ([0; 5], [0; 10]);
    ram.read_exact_at(&mut before, 0x2000 - 5).unwrap();
    ram.read_exact_at(&mut after, 0).unwrap();
    assert_eq!((&before, &after), (b"over ", b"the border"));
    let sum = engine.run(&command(CHECKSUM, 0x9000 - 5, 0, 15)).unwrap();
    assert_eq!(sum, crc32(b"over the border"));
}

#[test]
fn a_copy_within_the_memory_may_overlap() {
    let (memory, guest, _) = parts();
    let engine = Engine {
        memory: &memory,
        guest: &guest,
    };
    memory.write(0, b"abcdef").unwrap();
    let code = COPY | SOURCE_IN_MEMORY | DESTINATION_IN_MEMORY;
    engine.run(&command(code, 0, 2, 6)).unwrap();
    let mut found = [0; 8];
    memory.read(0, &mut found).unwrap();
    assert_eq!(&found, b"ababcdef");
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let (memory, guest, _) = parts();
    let engine = Engine {
        memory: &memory,
        guest: &guest,
    };
    for (asked, status) in [
        (command(0, 0, 0, 1), Status::NoSuchCommand),
        (command(COPY | 0x800, 0, 0, 1), Status::NoSuchCommand),
        (command(FILL, 0, 0x8000, LONGEST + 1), Status::TooLong),
        (
            command(FILL | DESTINATION_IN_MEMORY, 0, SIZE - 1, 2),
            Status::OutsideMemory,
        ),
        (
            command(FILL | DESTINATION_IN_MEMORY, 0, u64::MAX, 2),
            Status::OutsideMemory,
        ),
        (command(CHECKSUM, 0x7fff, 0, 2), Status::DmaFailed),
        (command(FILL, 0, 0xa000, 2), Status::DmaFailed),
        (command(FILL, 0, 0xf000, 2), Status::DmaFailed),
    ] {
        assert_eq!(
            engine.run(&asked).unwrap_err().status(),
            status,
            "{asked:?}"
        );
    }
    let sum = engine.run(&command(CHECKSUM | SOURCE_IN_MEMORY, 0, 0, SIZE));
    assert_eq!(sum.unwrap(), crc32(&vec![0; SIZE as usize]));
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The accesses of x86-64.

use super::DeviceAddr;
use crate::plan::Misaligned;

/// What becomes of a misaligned access to a device (C1).
pub const MISALIGNED: Misaligned = Misaligned::OneAccess;

words! {
    note: "mov {vanished:e}, 1",
    go_on: "jmp 3b",
    u8: reg_byte {
        load: "mov {value}, byte ptr [{addr}]",
        store: "mov byte ptr [{addr}], {value}",
        ones: "mov {value}, 0xff",
    }
    u16: reg {
        load: "mov {value:x}, word ptr [{addr}]",
        store: "mov word ptr [{addr}], {value:x}",
        ones: "mov {value:e}, 0xffff",
    }
    u32: reg {
        load: "mov {value:e}, dword ptr [{addr}]",
        store: "mov dword ptr [{addr}], {value:e}",
        ones: "mov {value:e}, 0xffffffff",
    }
    u64: reg {
        load: "mov {value:r}, qword ptr [{addr}]",
        store: "mov qword ptr [{addr}], {value:r}",
        ones: "mov {value:r}, -1",
    }
}

eight_words! {
    note: "mov {vanished:e}, 1",
    go_on: "jmp 3b",
    load: "mov \\value, qword ptr [{addr}]",
    store: "mov qword ptr [{addr}], \\value",
    next: "lea {addr}, [{addr} + 8]",
    ones: "mov \\value, -1",
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The accesses of aarch64.

use super::DeviceAddr;
use crate::plan::Misaligned;

/// What becomes of a misaligned access to a device (C1).
pub const MISALIGNED: Misaligned = Misaligned::Split;

words! {
    note: "mov {vanished:w}, #1",
    go_on: "b 3b",
    u8: reg {
        load: "ldrb {value:w}, [{addr}]",
        store: "strb {value:w}, [{addr}]",
        ones: "mov {value:x}, #-1",
    }
    u16: reg {
        load: "ldrh {value:w}, [{addr}]",
        store: "strh {value:w}, [{addr}]",
        ones: "mov {value:x}, #-1",
    }
    u32: reg {
        load: "ldr {value:w}, [{addr}]",
        store: "str {value:w}, [{addr}]",
        ones: "mov {value:x}, #-1",
    }
    u64: reg {
        load: "ldr {value:x}, [{addr}]",
        store: "str {value:x}, [{addr}]",
        ones: "mov {value:x}, #-1",
    }
}

eight_words! {
    note: "mov {vanished:w}, #1",
    go_on: "b 3b",
    load: "ldr \\value, [{addr}]",
    store: "str \\value, [{addr}]",
    next: "add {addr}, {addr}, #8",
    ones: "mov \\value, #-1",
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The accesses that clients make by messages, each as a line of JSON.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// Where accesses are written down, if anywhere.
#[derive(Default)]
pub struct Record {
    file: Option<File>,
}

impl Record {
    /// A record in a new file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: Some(File::create(path)?),
        })
    }

    /// Adds an access.  It is in the file before the client has its answer.
    pub fn add(&mut self, bar: u32, is_write: bool, offset: u64, data: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let kind = if is_write { "write" } else { "read" };
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let bytes: String = data
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
            .collect();
        let size = data.len();
        let line = format!(
            "{{\"bar\": {bar}, \"kind\": \"{kind}\", \"offset\": {offset}, \"size\": {size}, \
             \"bytes\": \"{bytes}\"}}\n"
        );
        file.write_all(line.as_bytes())
    }
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! The command line.

use std::path::PathBuf;

use crate::layout::{Layout, Pinnable, Sparse, LEAST_MEMORY};

/// What `--help` prints.
pub const HELP: &str = "\
usage: vfio-user-gpu --socket PATH [--memory-size SIZE] [--sparse whole|holes] [--pinnable yes|no]
                     [--accesses FILE]

Serves a PCI device like a GPU over vfio-user, to one client after the other:

    qemu-system-... -object memory-backend-memfd,id=ram,size=1G,share=on -machine memory-backend=ram
        -device '{\"driver\": \"vfio-user-pci\", \"socket\": {\"type\": \"unix\", \"path\": \"PATH\"}}'

  --socket PATH       where to listen; nothing may be there yet
  --memory-size SIZE  of BAR 4: a power of two of at least 1M, with K, M or G; 256M unless told
  --sparse whole      all of BAR 4 may be mapped (the default)
  --sparse holes      64 KiB in its middle and at its end may not be
  --pinnable yes      the host's kernel pins its pages, as it does ordinary memory's (the default)
  --pinnable no       it refuses to, as with a BAR of vfio-pci: O_DIRECT into it ends with EFAULT. Needs
                      Linux 5.14, before 6.5 booted with secretmem.enable=1; whoever maps it needs as much
                      of RLIMIT_MEMLOCK
  --accesses FILE     write each access that comes as a message there, as lines of JSON

When it listens it prints a line of JSON. SIGTERM ends it. Exit status: 0 asked to end, 1 failed, 2 bad arguments.
";

const OPTIONS: [&str; 5] = [
    "--socket",
    "--memory-size",
    "--sparse",
    "--pinnable",
    "--accesses",
];

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The help text.
    Help,
    /// A device.
    Serve(Arguments),
}

/// What to serve, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Where to listen.
    pub socket: PathBuf,
    /// The device's shape.
    pub layout: Layout,
    /// Where accesses are written down.
    pub accesses: Option<PathBuf>,
}

/// Reads the words after the program's name; an error is a sentence.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Asked, String> {
    let (mut socket, mut accesses) = (None, None);
    let mut layout = Layout {
        memory_size: 256 << 20,
        sparse: Sparse::Whole,
        pinnable: Pinnable::Yes,
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "-h" | "--help") {
            return Ok(Asked::Help);
        }
        if !OPTIONS.contains(&word.as_str()) {
            return Err(format!("there is no option {word:?}; --help lists them"));
        }
        let value = words
            .next()
            .ok_or_else(|| format!("{word} wants a value; see --help"))?;
        match word.as_str() {
            "--socket" => socket = Some(PathBuf::from(value)),
            "--accesses" => accesses = Some(PathBuf::from(value)),
            "--memory-size" => layout.memory_size = memory_size(&value)?,
            "--pinnable" => layout.pinnable = pinnable(&value)?,
            _ => layout.sparse = sparse(&value)?,
        }
    }
    Ok(Asked::Serve(Arguments {
        socket: socket.ok_or("--socket is missing: where to listen; see --help")?,
        layout,
        accesses,
    }))
}

fn sparse(value: &str) -> Result<Sparse, String> {
    match value {
        "whole" => Ok(Sparse::Whole),
        "holes" => Ok(Sparse::Holes),
        _ => Err(format!("--sparse {value:?}: it is whole or holes")),
    }
}

fn pinnable(value: &str) -> Result<Pinnable, String> {
    match value {
        "yes" => Ok(Pinnable::Yes),
        "no" => Ok(Pinnable::No),
        _ => Err(format!("--pinnable {value:?}: it is yes or no")),
    }
}

fn memory_size(value: &str) -> Result<u64, String> {
    let (digits, shift) = match value.as_bytes().last() {
        Some(b'K') => (&value[..value.len() - 1], 10),
        Some(b'M') => (&value[..value.len() - 1], 20),
        Some(b'G') => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let size = digits.parse::<u64>().ok();
    size.and_then(|size| size.checked_mul(1 << shift))
        .filter(|size| size.is_power_of_two() && (LEAST_MEMORY..=1 << 46).contains(size))
        .ok_or_else(|| {
            format!("--memory-size {value:?}: it is a power of two from 1M to 65536G, such as 256M")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn sizes_have_a_unit_and_are_powers_of_two() {
        for (text, size) in [("1M", 1 << 20), ("2097152", 2 << 20), ("8G", 8 << 30)] {
            assert_eq!(memory_size(text), Ok(size));
        }
        for text in [
            "",
            "M",
            "0",
            "3M",
            "512K",
            "-1M",
            "1T",
            "99999999999G",
            "1 M",
        ] {
            assert!(
                memory_size(text).unwrap_err().contains("power of two"),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_arguments_are_named() {
        for (line, named) in [
            ("", "--socket is missing"),
            ("--socket", "--socket wants a value"),
            ("--sockets s", "\"--sockets\""),
            ("--socket s --sparse some", "\"some\""),
            ("--socket s --pinnable perhaps", "\"perhaps\""),
            ("--socket s extra", "\"extra\""),
        ] {
            assert!(parsed(line).unwrap_err().contains(named), "{line}");
        }
    }

    #[test]
    fn the_defaults_are_those_that_the_help_names() {
        let Ok(Asked::Serve(arguments)) = parsed("--socket s") else {
            panic!("it wants a device");
        };
        assert_eq!(arguments.layout.memory_size, 256 << 20);
        assert_eq!(arguments.layout.sparse, Sparse::Whole);
        assert_eq!(arguments.layout.pinnable, Pinnable::Yes);
        assert!(HELP.contains("256M unless told"));
        for default in ["mapped (the default)", "memory's (the default)"] {
            assert!(HELP.contains(default), "{default}");
        }
    }
}

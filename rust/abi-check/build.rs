// SPDX-License-Identifier: GPL-2.0-or-later

//! Reads the C header by bindgen, and compiles a C program's worth of calls.

use std::{env, path::PathBuf};

fn main() {
    let include = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../include");
    let header = include.join("system/ram-device.h");
    println!("cargo:rerun-if-changed={}", header.display());
    println!("cargo:rerun-if-changed=src/caller.c");

    bindgen::Builder::default()
        .header(header.to_str().unwrap())
        .allowlist_item("(ram_device|RamDevice|RAM_DEVICE).*")
        .generate_comments(false)
        .layout_tests(false)
        .generate()
        .expect("bindgen cannot read ram-device.h; it needs libclang (Debian: libclang-dev)")
        .write_to_file(PathBuf::from(env::var("OUT_DIR").unwrap()).join("header.rs"))
        .unwrap();

    cc::Build::new()
        .file("src/caller.c")
        .include(include)
        .warnings_into_errors(true)
        .compile("caller");
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! Reads the C headers by bindgen, and compiles a C program's worth of calls.

use std::{env, path::PathBuf};

fn main() {
    let include = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../include");
    let headers = [
        "system/ram-device.h",
        "system/ram-device-fault.h",
        "system/ram-device-pages.h",
    ]
    .map(|name| include.join(name));
    for header in &headers {
        println!("cargo:rerun-if-changed={}", header.display());
    }
    println!("cargo:rerun-if-changed=src/caller.c");

    headers
        .iter()
        .fold(bindgen::Builder::default(), |builder, header| {
            builder.header(header.to_str().unwrap())
        })
        .allowlist_item("(ram_device|RamDevice|RAM_DEVICE).*")
        .generate_comments(false)
        .layout_tests(false)
        .generate()
        .expect("bindgen cannot read the headers; it needs libclang (Debian: libclang-dev)")
        .write_to_file(PathBuf::from(env::var("OUT_DIR").unwrap()).join("header.rs"))
        .unwrap();

    cc::Build::new()
        .file("src/caller.c")
        .include(include)
        .warnings_into_errors(true)
        .compile("caller");
}

// SPDX-License-Identifier: GPL-2.0-or-later

//! Reads the C headers by the program that QEMU's build reads them by, with the
//! same options as far as they matter here.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The minor version of the bindgen at hand, which is 0.`MINOR`.
fn minor_version() -> u32 {
    let printed = Command::new("bindgen")
        .arg("--version")
        .stderr(Stdio::inherit())
        .output()
        .expect("the program bindgen is needed (Debian: bindgen)");
    String::from_utf8_lossy(&printed.stdout)
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .expect("bindgen --version prints no version")
}

fn main() {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let include = folder.join("../../qemu/include");
    let bindings = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("bindings.rs");
    let wrapper = folder.join("wrapper.h");
    println!("cargo:rerun-if-changed={}", wrapper.display());
    println!("cargo:rerun-if-changed={}", include.display());

    let mut bindgen = Command::new("bindgen");
    bindgen.args([
        "--disable-header-comment",
        "--impl-debug",
        "--no-doc-comments",
        "--with-derive-default",
        "--no-layout-tests",
        "--no-prepend-enum-name",
        "--allowlist-file",
        ".*/system/ram-device.*",
        // core lacks C's types before Rust 1.64
        "--use-core",
        "--ctypes-prefix",
        "crate::c_types",
    ]);
    match minor_version() {
        0..=60 => bindgen.arg("--size_t-is-usize"),
        61..=65 => &mut bindgen,
        _ => bindgen.args(["--rust-target", "1.59"]),
    };
    bindgen.arg(wrapper).arg("--output").arg(bindings);
    // The compiler's own headers define all types that the headers need.
    bindgen.args(["--", "-ffreestanding", "-I"]).arg(include);
    let status = bindgen.status().unwrap();
    assert!(status.success(), "bindgen can't read the headers: {status}");
}

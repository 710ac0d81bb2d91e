// SPDX-License-Identifier: GPL-2.0-or-later

//! The program: arguments, a device, a service.

// vfio_user's dependencies bring two versions of some crates.
#![allow(clippy::multiple_crate_versions)]

use std::{env, os::unix::net::UnixStream, process::ExitCode};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    low_level::pipe,
};
use vfio_user_gpu::{
    arguments::{parse, Arguments, Asked, HELP},
    device::Device,
    record::Record,
    service::Service,
};

fn main() -> ExitCode {
    match parse(env::args().skip(1)) {
        Ok(Asked::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Serve(arguments)) => match serve(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => failed(&why, 1),
        },
        Err(why) => failed(&why, 2),
    }
}

fn failed(why: &str, status: u8) -> ExitCode {
    eprintln!("vfio-user-gpu: {why}");
    ExitCode::from(status)
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let plain = |error: std::io::Error| error.to_string();
    let (stop, wish) = UnixStream::pair().map_err(plain)?;
    for signal in [SIGTERM, SIGINT] {
        pipe::register(signal, wish.try_clone().map_err(plain)?).map_err(plain)?;
    }
    let record = match &arguments.accesses {
        Some(path) => {
            let created = Record::create(path);
            created.map_err(|error| format!("--accesses {}: {error}", path.display()))?
        }
        None => Record::default(),
    };
    let device = Device::new(arguments.layout, record);
    let mut device = device.map_err(|why| format!("no memory for BAR 4: {why}"))?;
    let service = Service::new(&arguments.socket, stop);
    let mut service = service.map_err(|no_socket| no_socket.to_string())?;
    print_ready(&device);
    service.run(&mut device).map_err(plain)
}

/// Tells whoever started us that clients can come, and where the memory is.
fn print_ready(device: &Device) {
    let mappable: Vec<[u64; 2]> = device
        .layout()
        .mappable()
        .into_iter()
        .map(|area| [area.start, area.end])
        .collect();
    println!(
        "{}",
        serde_json::json!({
            "memory": format!("/proc/{}/fd/{}", std::process::id(), device.memory_fd()),
            "memory_size": device.layout().memory_size,
            "mappable": mappable,
        })
    );
}

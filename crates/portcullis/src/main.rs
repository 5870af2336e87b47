//! The gateway: arguments, wiring, reload, signals, admin listener, demo.

mod acme;
mod admin;
mod admin_client;
mod cases;
mod certificate_events;
mod certificates;
mod check;
mod cli;
mod decisions;
mod demo;
mod descriptors;
mod events;
mod explain;
mod explain_handshake;
mod handover;
mod keys;
mod listeners;
mod logs;
mod operators;
mod prepare;
mod probes;
mod reload;
mod revocations;
mod run;
mod runtime;
mod shutdown;
mod store;
mod trial;
mod watch;
mod web;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // First of all: whoever asks rustls for a provider before this would get another one.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    cli::main()
}

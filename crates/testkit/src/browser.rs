//! A headless Chromium: opens a page and tells what became of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::process::{Finished, run};
use crate::scratch::Scratch;
use crate::tools::chromium;

/// A browser that finds some names on this machine.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    names: Vec<String>,
}

impl Browser {
    /// One that resolves names as everybody does.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `name` (and any port, or `name:port`) answered at `address`.
    #[must_use]
    pub fn map(mut self, name: &str, address: SocketAddr) -> Self {
        self.names.push(format!("MAP {name} {address}"));
        self
    }

    /// Opens `url` and returns the document once scripts and loads have settled; standard error
    /// has what the page wrote to its console. The profile lives below `root` as long as the call.
    /// `None` where there is no Chromium.
    #[track_caller]
    pub fn open(&self, url: &str, root: &Path) -> Option<Finished> {
        let program = chromium()?;
        let scratch = Scratch::new(root);
        let folder = scratch.path();
        let profile = format!("--user-data-dir={}", folder.display());
        let rules = format!("--host-resolver-rules={}", self.names.join(","));
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            // The tests' certificates are signed by nobody that a browser knows.
            "--ignore-certificate-errors",
            "--enable-logging=stderr",
            "--virtual-time-budget=15000",
            &profile,
            &rules,
            "--dump-dom",
            url,
        ];
        Some(run(&program, &arguments, folder, &[], "", Duration::from_secs(90)))
    }
}

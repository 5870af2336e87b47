//! Any text is checked without a panic, twice with the same result, and refused with a reason that
//! can be shown.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use portcullis_config::{Environment, LoadOptions, check_text};
use portcullis_core::{Clock, Timestamp};

fuzz_target!(|text: &str| {
    static OPTIONS: OnceLock<LoadOptions> = OnceLock::new();
    let options = OPTIONS.get_or_init(options);
    let problems = |text: &str| match check_text("gateway.yaml", text, options) {
        Ok(loaded) => {
            loaded.render_advice(false);
            Vec::new()
        }
        Err(report) => {
            assert!(!report.render_text(false).is_empty());
            assert!(!report.render_json().is_empty());
            assert!(!report.problems().is_empty(), "refused without a word");
            report.problems().to_vec()
        }
    };
    assert_eq!(problems(text), problems(text), "two checks of one text differ");
});

/// As `check --no-files`: no file is read, whatever the text names.
fn options() -> LoadOptions {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
    let mut options = LoadOptions::new(clock);
    options.environment = Environment::fixed([("NAME", "value"), ("HOST", "api.test")]);
    options.read_files = false;
    options
}

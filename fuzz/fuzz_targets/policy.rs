//! Any text is a policy or has mistakes that point into it, twice the same; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_core::{Clock, Timestamp};
use portcullis_policy::Origin;
use portcullis_policy::cel::Compiler;

fuzz_target!(|text: &str| {
    let compiler = Compiler::new(Clock::manual(Timestamp::from_unix_seconds(1_800_000_000)));
    let compile = || compiler.compile("fuzz".into(), text, Origin(1));
    match compile() {
        Ok(policy) => assert_eq!(policy.text(), text),
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a word");
            for mistake in &mistakes {
                assert!(text.get(mistake.at.clone()).is_some(), "{mistake:?}");
                assert_ne!(mistake.message, "the expression cannot be read", "the parser panicked");
            }
            assert_eq!(compile().err(), Some(mistakes), "two checks of one text differ");
        }
    }
});

//! A header of the PROXY protocol ends where it says, is the same however it is cut, and is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::proxy_protocol::parse;

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Ok(Some(found)) => {
            assert!(found.length <= data.len().min(16 + 4096), "longer than it may be");
            assert_eq!(parse(&data[..found.length]), Ok(Some(found)));
            for cut in 0..found.length {
                assert_eq!(parse(&data[..cut]), Ok(None), "cut at {cut}");
            }
        }
        Ok(None) => assert!(data.len() < 16 + 4096, "it never ends"),
        Err(_) => {}
    }
});

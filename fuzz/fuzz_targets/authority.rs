//! What is accepted as a host prints back the same, matches itself as an entry of the allow-list,
//! and is nothing that another parser would take apart.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_core::{Authority, Host, HostPattern};

fuzz_target!(|text: &str| {
    if let Ok(pattern) = HostPattern::parse(text)
        && !pattern.wildcard
    {
        let port = pattern.port;
        let named = Authority { host: pattern.host.clone(), port };
        assert_eq!(Authority::parse(&named.to_string()), Ok(named.clone()));
        assert!(pattern.matches(&named));
    }
    let Ok(authority) = Authority::parse(text) else { return };
    let printed = authority.to_string();
    assert_eq!(Authority::parse(&printed), Ok(authority.clone()), "not a fixed point");
    assert!(!printed.contains(['/', '\\', '@', '?', '#', ',', '%', ' ']));
    assert!(printed.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    if let Ok(pattern) = HostPattern::parse(&printed) {
        assert!(pattern.matches(&authority), "does not match itself");
    } else if let Host::Name(name) = &authority.host {
        // Only a broken A-label may be unfit for the allow-list.
        assert!(name.split('.').any(|label| label.starts_with("xn--")));
    }
    let uri = http::uri::Authority::try_from(printed.as_str()).expect("http takes it too");
    assert_eq!(uri.port_u16(), authority.port);
    assert_eq!(uri.host(), authority.host.to_string());
});

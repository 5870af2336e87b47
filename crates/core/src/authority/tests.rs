//! Spellings, look-alikes and patterns of hosts.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, expected: Result<&str, AuthorityError>) {
    let actual = Authority::parse(text).map(|authority| authority.to_string());
    assert_eq!(actual.as_deref(), expected.as_ref().copied(), "{text:?}");
}

#[track_caller]
fn check_match(pattern: &str, authority: &str, expected: bool) {
    let parsed = HostPattern::parse(pattern).expect(pattern);
    let authority = Authority::parse(authority).expect(authority);
    assert_eq!(parsed.matches(&authority), expected, "{authority} against {pattern}");
}

#[track_caller]
fn check_pattern(text: &str, expected: Result<(bool, &str, Option<u16>), AuthorityError>) {
    let actual = HostPattern::parse(text).map(|p| (p.wildcard, p.host.to_string(), p.port));
    let expected = expected.map(|(wildcard, host, port)| (wildcard, host.to_owned(), port));
    assert_eq!(actual, expected, "{text:?}");
}

#[test]
fn c26_spellings_of_one_host_are_one() {
    check("api.test", Ok("api.test"));
    check("API.TEST", Ok("api.test"));
    check("api.test.", Ok("api.test"));
    check("api.test:443", Ok("api.test:443"));
    check("Api.Test.:8443", Ok("api.test:8443"));
    check("XN--MNCHEN-3YA.test", Ok("xn--mnchen-3ya.test"));
    check("localhost", Ok("localhost"));
    check("order_service.default.svc", Ok("order_service.default.svc"));
    check("1and1.test", Ok("1and1.test"));
    check("r3---sn.test", Ok("r3---sn.test"));
    check("127.0.0.1", Ok("127.0.0.1"));
    check("127.0.0.1:8080", Ok("127.0.0.1:8080"));
    check("[::1]", Ok("[::1]"));
    check("[2001:DB8:0:0::1]:443", Ok("[2001:db8::1]:443"));
}

#[test]
fn c26_c32_empty_hosts_and_user_information_are_refused() {
    use AuthorityError::{Empty, UserInfo};
    for text in ["", ":443"] {
        check(text, Err(Empty));
    }
    for text in ["u@api.test", "@", "u:p@api.test", "api.test@", "[::1]@x"] {
        check(text, Err(UserInfo));
    }
}

#[test]
fn c26_what_is_no_host_is_refused() {
    for text in [
        ".",
        "..",
        "api.test..",
        ".api.test",
        "api..test",
        "api.test/evil",
        "api.test b",
        " api.test",
        "api.test ",
        "api.test\t",
        "api.test, evil.test",
        "api.test\0",
        "api.test\r\nx",
        "api%2etest",
        "api.test\\evil",
        "api.test?x",
        "api.test#x",
        "a*b.test",
        "*.api.test",
        "münchen.test",
        "api。test",
        "-api.test",
        "api-.test",
        "api.test;x",
        "[::1",
        "[]",
        "[::1]x",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "[v1.x]",
        "[::1].",
        "127.1",
        "127.0.0.1.",
        "127.0.0.01",
        "256.0.0.1",
        "0x7f.1",
        "0X7F.0.0.1",
        "127.0.0.0x1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "api.1",
        "api.0x",
        "api.0xf",
    ] {
        check(text, Err(AuthorityError::InvalidHost));
    }
}

#[test]
fn c26_ports_are_numbers_in_one_spelling() {
    for text in [
        "api.test:",
        "api.test:0",
        "api.test:65536",
        "api.test:70000",
        "api.test:+80",
        "api.test:-1",
        "api.test:080",
        "api.test:8o",
        "api.test:80 ",
        "api.test:80:80",
        "api.test:99999999999999999999",
        "api.test:٨٠",
        "[::1]:",
        "2001:db8::1",
    ] {
        check(text, Err(AuthorityError::InvalidPort));
    }
    check("api.test:1", Ok("api.test:1"));
    check("api.test:65535", Ok("api.test:65535"));
}

#[test]
fn labels_and_names_have_a_longest_length() {
    let label = |length| "a".repeat(length);
    check(&label(63), Ok(&label(63)));
    check(&label(64), Err(AuthorityError::InvalidHost));
    let long = format!("{0}.{0}.{0}.{1}", label(63), label(61));
    assert_eq!(long.len(), 253);
    check(&long, Ok(&long));
    check(&format!("{long}."), Ok(&long));
    check(&format!("{long}a"), Err(AuthorityError::InvalidHost));
}

#[test]
fn c26_patterns_of_the_file_take_unicode_and_a_labels() {
    use AuthorityError::{Empty, InvalidHost, InvalidPort, UserInfo};
    check_pattern("München.test", Ok((false, "xn--mnchen-3ya.test", None)));
    check_pattern("xn--mnchen-3ya.test", Ok((false, "xn--mnchen-3ya.test", None)));
    check_pattern("XN--MNCHEN-3YA.test.", Ok((false, "xn--mnchen-3ya.test", None)));
    check_pattern("*.bücher.test:8443", Ok((true, "xn--bcher-kva.test", Some(8443))));
    check_pattern("api。test", Ok((false, "api.test", None)));
    check_pattern("API.test.", Ok((false, "api.test", None)));
    check_pattern("*.app.test", Ok((true, "app.test", None)));
    check_pattern("[::1]:8443", Ok((false, "[::1]", Some(8443))));
    check_pattern("10.0.0.7", Ok((false, "10.0.0.7", None)));
    check_pattern("", Err(Empty));
    check_pattern("*.", Err(Empty));
    check_pattern("x@api.test", Err(UserInfo));
    check_pattern("api.test:0", Err(InvalidPort));
    for text in [
        "*",
        "*.*.test",
        "a.*.test",
        "*a.test",
        "a*.test",
        "**.test",
        "*.10.0.0.7",
        "*.[::1]",
        "xn--.test",
        "xn--a.test",
        "１２７.0.0.1",
        "api.test/x",
        "https://api.test",
        "api .test",
        "api。。test",
        "bü_.te st",
    ] {
        let error = HostPattern::parse(text).expect_err(text);
        assert!(matches!(error, InvalidHost | InvalidPort), "{text}: {error}");
    }
}

#[test]
fn c26_a_wildcard_is_one_label() {
    check_match("*.app.test", "x.app.test", true);
    check_match("*.app.test", "x.APP.test.", true);
    check_match("*.app.test", "app.test", false);
    check_match("*.app.test", "a.b.app.test", false);
    check_match("*.app.test", "xapp.test", false);
    let empty_label = Authority { host: Host::Name(".app.test".into()), port: None };
    assert!(!HostPattern::parse("*.app.test").unwrap().matches(&empty_label));
    check_match("*.app.test", "x.app.test.evil.test", false);
    check_match("*.app.test:8443", "x.app.test", false);
    check_match("*.app.test:8443", "x.app.test:8443", true);
}

#[test]
fn c26_look_alikes_do_not_match() {
    check_match("api.test", "api.test", true);
    check_match("api.test", "api.test:8443", true);
    check_match("api.test:443", "api.test:8443", false);
    check_match("api.test", "evilapi.test", false);
    check_match("api.test", "api.test.evil.test", false);
    check_match("api.test", "127.0.0.1", false);
    check_match("127.0.0.1", "[::ffff:127.0.0.1]", false);
    check_match("[::1]", "[0:0:0:0:0:0:0:1]", true);
    check_match("münchen.test", "xn--mnchen-3ya.test", true);
}

proptest! {
    #[test]
    fn what_is_accepted_prints_back_the_same(text in "(\\PC{0,4}|[a-zA-Z0-9._:@\\[\\]*-]{0,24})") {
        if let Ok(authority) = Authority::parse(&text) {
            let printed = authority.to_string();
            prop_assert_eq!(Authority::parse(&printed), Ok(authority.clone()));
            prop_assert!(!printed.contains(|c: char| c.is_ascii_uppercase() || !c.is_ascii_graphic()));
            let pattern = HostPattern::parse(&printed);
            prop_assert!(pattern.is_ok_and(|pattern| pattern.matches(&authority)));
        }
        let pattern = HostPattern::parse(&text);
        prop_assert!(pattern.is_ok() || Authority::parse(&text).is_err() || is_idn(&text));
    }
}

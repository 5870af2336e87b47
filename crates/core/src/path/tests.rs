//! Rows, recorded vectors and properties of the canonical path.

use proptest::prelude::*;
use serde_json::Value;

use super::PathError::{DotSegment, EmptySegment, InvalidCharacter, InvalidEscape, NotAbsolute};
use super::*;

/// The expected path; one that is flagged as having an encoded slash begins with `!`.
#[track_caller]
fn check(raw: &str, expected: Result<&str, PathError>) {
    let actual = CanonicalPath::parse(raw)
        .map(|path| if path.has_encoded_slash() { format!("!{path}") } else { path.to_string() });
    assert_eq!(actual.as_deref(), expected.as_ref().copied(), "{raw:?}");
}

#[test]
fn c21_dot_segments_are_resolved_before_policy_looks() {
    check("/public/../admin/x", Ok("/admin/x"));
    check("/public/%2e%2e/admin/x", Ok("/admin/x"));
    check("/public/.%2E/admin/x", Ok("/admin/x"));
    check("/./admin/x", Ok("/admin/x"));
    check("/public/a/./b/%7Euser", Ok("/public/a/b/~user"));
    check("/a/b/..", Ok("/a/"));
    check("/a/b/.", Ok("/a/b/"));
    check("/a/../", Ok("/"));
    check("/.", Ok("/"));
    check("/a/.../b", Ok("/a/.../b"));
    check("/.well-known/x..", Ok("/.well-known/x.."));
    check("/api../admin", Ok("/api../admin"));
}

#[test]
fn c21_what_servers_read_differently_is_refused_or_noted() {
    check("/public//../admin/x", Err(EmptySegment));
    check("//admin/x", Err(EmptySegment));
    check("/a//", Err(EmptySegment));
    check("/a/;x/b", Err(EmptySegment));
    check("/....//admin", Err(EmptySegment));
    check("/../../x", Err(DotSegment));
    check("/..", Err(DotSegment));
    check("/a/../../b", Err(DotSegment));
    check("/x/..;/admin", Err(DotSegment));
    check("/x/.;a=b/admin", Err(DotSegment));
    check("/x/..%3b/admin", Err(DotSegment));
    for hidden in [
        ".%09.", ".%0A.", ".%0D%0A.", "..%09;", "..%7f;x", "..%20", "%20..", "..%C2%85", ".%20;a",
        "%C2%A0..", "..%20;x",
    ] {
        check(&format!("/public/{hidden}/admin"), Err(DotSegment));
        check(&format!("/public/{hidden}"), Err(DotSegment));
    }
    check("/public/a%09..b/x", Ok("/public/a%09..b/x"));
    check("/public/...%20/x", Ok("/public/...%20/x"));
    check("/public/.well-known/x", Ok("/public/.well-known/x"));
    check("/x/%2e%2e;", Err(DotSegment));
    check("/public/..%2fadmin/x", Ok("!/public/..%2Fadmin/x"));
    check("/public/%2e%2E%2Fadmin/x", Ok("!/public/..%2Fadmin/x"));
    check("/public/%252e%252e/admin/x", Ok("!/public/%252e%252e/admin/x"));
    check("/a%252Fb", Ok("!/a%252Fb"));
    check("/a%25252Fb", Ok("!/a%25252Fb"));
    // The digits after `%25` may themselves come escaped.
    check("/%25%36%31dmin", Ok("!/%2561dmin"));
    check("/100%25", Ok("/100%25"));
    check("/100%25/x", Ok("/100%25/x"));
    check("/100%25zz", Ok("/100%25zz"));
    // It went with its segment, so nobody will see it.
    check("/a%2fb/../c", Ok("/c"));
}

#[test]
fn c22_a_target_that_is_no_path_is_refused() {
    for raw in ["", "admin/x", "?x", "*", "..", "http://localhost/admin", "%2Fadmin", "\\admin"] {
        check(raw, Err(NotAbsolute));
    }
}

#[test]
fn only_path_characters_pass() {
    check("/!$&'()*+,;=:@-._~[]|^", Ok("/!$&'()*+,;=:@-._~[]|^"));
    for byte in (0..=0x20).chain([0x7f]).chain("\"#<>?\\`{}".bytes()) {
        check(&format!("/a{}b", char::from(byte)), Err(InvalidCharacter));
        let escaped = format!("/a%{byte:02x}b");
        let expected = format!("/a%{byte:02X}b");
        let control = byte == 0 || byte == b'\\';
        check(&escaped, if control { Err(InvalidEscape) } else { Ok(&expected) });
    }
    check("/\u{e9}", Err(InvalidCharacter));
    check("/․․/admin", Err(InvalidCharacter));
}

#[test]
fn escapes_have_two_digits_and_are_utf8() {
    check("/%c3%a9", Ok("/%C3%A9"));
    check("/%61dmin", Ok("/admin"));
    check("/%41%5a%30%2d%5F", Ok("/AZ0-_"));
    check("/%5b%3b%40", Ok("/%5B%3B%40"));
    for raw in [
        "/%",
        "/%4",
        "/%zz",
        "/%u0061dmin",
        "/%%41",
        "/%2%46",
        "/%+1",
        "/%c0%af../admin",
        "/%ff",
        "/%c3",
        "/%c3x%a9",
        "/%c3/%a9",
        "/%ed%a0%80",
        "/%5c",
        "/%00",
        "/%0d%0a",
        "/a%09",
        "/%0aa/b",
        "/a%7F/b",
        "/a%2f%0a",
        "/a%00b",
        "/%7f",
        "/a%4",
    ] {
        check(raw, Err(InvalidEscape));
    }
}

#[test]
fn parameters_can_be_cut_off() {
    let cut = |raw| CanonicalPath::parse(raw).unwrap().without_parameters();
    assert_eq!(cut("/admin"), None);
    assert_eq!(cut("/admin;a=b"), Some("/admin".to_owned()));
    assert_eq!(cut("/a;x/b;y;z/"), Some("/a/b/".to_owned()));
    assert_eq!(cut("/;jsessionid=1"), Some("/".to_owned()));
    assert_eq!(cut("/admin%3Ba"), None);
}

/// `None` where the vectors are not at hand, which is an error only in CI.
#[expect(clippy::disallowed_methods, reason = "tests learn from the environment where vectors are")]
#[expect(clippy::print_stderr, reason = "says which test was skipped")]
fn vectors() -> Option<Value> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let folder = std::env::var("PORTCULLIS_VECTORS").unwrap_or_else(|_| beside.to_owned());
    match std::fs::read_to_string(format!("{folder}/path/path.json")) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{folder}: {error}");
            eprintln!("skipped, no vectors at {folder}: {error}");
            None
        }
    }
}

fn pairs(list: &Value) -> Vec<(&str, &str)> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect()
}

/// Where another gateway repairs, we refuse or keep: the rows in which the answers differ.
#[test]
fn envoys_normalisation_vectors() {
    let Some(vectors) = vectors() else { return };
    let rows = pairs(&vectors["normalise"]);
    assert!(rows.len() >= 18);
    for (raw, repaired) in rows {
        let expected = match raw {
            "a/b/../c" | ".." => Err(NotAbsolute),
            "/a/b/../../../../c" | "/../a/b" => Err(DotSegment),
            "/a/..\\c" => Err(InvalidCharacter),
            "/%c0%af" | "/%5c%25" => Err(InvalidEscape),
            "/a/%2F%2f/c" => Ok("!/a/%2F%2F/c"),
            _ => Ok(repaired),
        };
        check(raw, expected);
    }
    for (raw, repaired) in pairs(&vectors["merge_slashes"]) {
        let path = raw.split('?').next().unwrap();
        let expected = if path.starts_with('/') { Err(EmptySegment) } else { Err(NotAbsolute) };
        check(path, if path == repaired && !path.is_empty() { Ok(path) } else { expected });
    }
    for raw in vectors["reject"].as_array().unwrap() {
        check(raw.as_str().unwrap(), Err(InvalidEscape));
    }
}

#[test]
fn ways_around_an_access_rule() {
    let Some(vectors) = vectors() else { return };
    for (raw, _) in pairs(&vectors["access"]) {
        let path = raw.split('?').next().unwrap();
        let expected = match path {
            "//admin" => Err(EmptySegment),
            "/./admin" | "/x/../admin" | "/x/%2e%2e/admin" | "/%61dmin" => Ok("/admin"),
            "/x/..;/admin" | "/.." => Err(DotSegment),
            "/%2561dmin" => Ok("!/%2561dmin"),
            "/admin%2f" => Ok("!/admin%2F"),
            "/api%2f..%2fadmin" => Ok("!/api%2F..%2Fadmin"),
            "/%2e%2e%2fadmin" => Ok("!/..%2Fadmin"),
            "/x\\..\\admin" | "/admin#x" => Err(InvalidCharacter),
            "/admin%0d%0aX:1" => Ok("/admin%0D%0AX:1"),
            "/admin%5c" | "/admin%00" | "/admin%09" | "/%c0%af../admin" | "/%u0061dmin"
            | "/admin%ff" | "/%" | "/%zz" => Err(InvalidEscape),
            "http://localhost/admin" | "*" => Err(NotAbsolute),
            "/." | "/%2e" => Ok("/"),
            raw if !raw.is_ascii() => Err(InvalidCharacter),
            raw => Ok(raw),
        };
        check(path, expected);
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("/".to_owned()),
        2 => prop::sample::select(vec![
            ".", "..", "%2e", "%2E", ";", "%3b", "%2f", "%25", "%252F", "%5c", "%", "%00", "\\",
            "//", "%c3%a9", "%C0%AF", "a", "~", "%7E", "[", "%41", "2F", "%32", "%46", "?", "#",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,3}",
        1 => ".{0,2}",
    ]
}

fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn a_canonical_path_stays_as_it_is(raw in paths()) {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let again = CanonicalPath::parse(path.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&path));
            let text = path.as_str();
            prop_assert!(text.starts_with('/') && text.is_ascii());
            prop_assert!(!text.contains("//"), "{}", text);
            prop_assert!(text.split('/').all(|segment| segment != "." && segment != ".."), "{}", text);
            let plain = path.without_parameters().unwrap_or_default();
            prop_assert!(!plain.contains("//"), "{}", text);
            prop_assert!(plain.split('/').all(|segment| segment != "." && segment != ".."), "{}", text);
        }
    }

    /// An upstream that decodes once more and then resolves dots finds the same path, unless the
    /// path was flagged.
    #[test]
    fn decoding_again_leads_nowhere_else(raw in paths()) {
        if let Ok(path) = CanonicalPath::parse(&raw) && !path.has_encoded_slash() {
            let decoded = decode(path.as_str());
            let slashes = |text: &str| text.matches('/').count();
            prop_assert_eq!(slashes(&decoded), slashes(path.as_str()));
            prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(!decoded.contains(['\\', '\0', '\r', '\n']));
            prop_assert_eq!(decode(&decoded), decoded.clone(), "double encoding not noted");
        }
    }

    #[test]
    fn any_text_is_answered(raw in ".*") {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            prop_assert!(path.as_str().len() <= raw.len());
        }
    }
}

/// A plain, lenient percent-decoder, as an upstream might have.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|two| u8::from_str_radix(two, 16).ok());
        match hex {
            Some(value) if bytes[at] == b'%' && bytes[at + 1] != b'+' => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

//! The canonical path is a fixed point, has no dot segment and no empty one, and decoding it once
//! more leads nowhere else unless it was flagged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_core::CanonicalPath;

fuzz_target!(|raw: &str| {
    let Ok(path) = CanonicalPath::parse(raw) else { return };
    let text = path.as_str();
    assert_eq!(CanonicalPath::parse(text).as_ref(), Ok(&path), "not a fixed point");
    assert!(text.starts_with('/') && text.is_ascii() && text.len() <= raw.len());
    check_segments(text);
    if let Some(plain) = path.without_parameters() {
        check_segments(&plain);
    }
    if !path.has_encoded_slash() {
        let decoded = decode(text.as_bytes());
        assert!(std::str::from_utf8(&decoded).is_ok(), "invalid UTF-8 passed");
        assert_eq!(decode(&decoded), decoded, "a double encoding was not flagged");
        let slashes = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'/').count();
        assert_eq!(slashes(&decoded), slashes(text.as_bytes()), "a slash was hidden");
        assert!(!decoded.iter().any(|&byte| byte == 0 || byte == b'\\'));
        String::from_utf8_lossy(&decoded).split('/').for_each(check_hidden);
    }
});

fn check_segments(text: &str) {
    assert!(!text.contains("//"), "an empty segment passed");
    assert!(text.split('/').all(|segment| segment != "." && segment != ".."), "dots passed");
}

/// A decoded segment must not be another to who trims it, nor a dot segment to who drops control
/// characters, trims blanks or cuts parameters off.
fn check_hidden(segment: &str) {
    let is_control = |c: Option<char>| c.is_some_and(|c| c.is_ascii_control());
    let ends = [segment.chars().next(), segment.chars().last()];
    assert!(!ends.into_iter().any(is_control), "a control character at an end passed");
    let bare: String = segment.chars().filter(|c| !c.is_control()).collect();
    let bare = bare.split(';').next().unwrap_or_default().trim();
    assert!(!matches!(bare, "." | ".."), "hidden dots passed");
}

/// A lenient percent-decoder, as some upstream might have.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
        rest = after;
        if let (b'%', [high, low, behind @ ..]) = (byte, after)
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            out.push(high << 4 | low);
            rest = behind;
        } else {
            out.push(*byte);
        }
    }
    out
}

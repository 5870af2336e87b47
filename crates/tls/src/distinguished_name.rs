//! Distinguished names as text (RFC 4514): the last part first, and nothing in a value can look like
//! another part.

use std::fmt::Write;

use x509_parser::prelude::{AttributeTypeAndValue, X509Name};

/// Attribute types with a name of their own (RFC 4514 §3); others are written by their OID.
const TYPES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// `name` as text; empty where it has no part.
pub(crate) fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let known = TYPES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    let value = attribute.attr_value();
    if let (Some(name), Ok(value)) = (known, attribute.as_str()) {
        return format!("{name}={}", escaped(value));
    }
    // RFC 4514 §2.4: bytes in hex where the type or the value has no text of its own.
    let mut text = format!("{}=#", known.unwrap_or(&oid));
    write!(text, "{:02x}", value.header.tag().0 & 0xff).ok();
    for byte in length(value.data.len()).iter().chain(value.data) {
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// The length of a value in DER.
fn length(length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    match (significant.as_slice(), u8::try_from(significant.len())) {
        ([], _) => vec![0],
        ([only], _) if *only < 0x80 => vec![*only],
        (more, Ok(count)) => [&[0x80 | count], more].concat(),
        (_, Err(_)) => Vec::new(),
    }
}

/// RFC 4514 §2.4, and control characters in hex, so that no value breaks a line of a log.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            '#' | ' ' if at == 0 => text.extend(['\\', c]),
            ' ' if at == last => text.push_str("\\ "),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    write!(text, "\\{byte:02X}").ok();
                }
            }
            c => text.push(c),
        }
    }
    text
}

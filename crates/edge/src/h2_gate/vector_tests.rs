//! The public collection of HTTP/2 frames against the gate.

use super::tests::{Line, block, frame};
use super::*;
use crate::tests::vectors::folder;

struct Vector {
    name: String,
    wire: Vec<u8>,
    errors: Vec<u64>,
}

fn vectors() -> Vec<Vector> {
    let Some(folder) = folder("h2") else { return Vec::new() };
    let mut found = Vec::new();
    for kind in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !kind.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(kind).unwrap().map(|entry| entry.unwrap().path()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
            let wire = vector["wire"].as_str().unwrap().as_bytes();
            let byte = |hex: &[u8]| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16);
            let wire = wire.chunks(2).map(|hex| byte(hex).unwrap()).collect();
            let errors = vector["error"].as_array().into_iter().flatten();
            let errors = errors.map(|code| code.as_u64().unwrap()).collect();
            found.push(Vector { name: file.display().to_string(), wire, errors });
        }
    }
    assert_eq!(found.len(), 34, "some are missing");
    found
}

/// The verdict on a frame of a connection with an open request on stream 1.
fn verdict(vector: &Vector) -> Result<(), Ended> {
    let mut line = Line::new();
    let post =
        [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "a.test")];
    line.send(&frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&post))).unwrap();
    line.frames();
    line.send(&vector.wire)?;
    // A frame that says it is longer than it is waits for more, which is no verdict.
    assert!(line.input.is_empty(), "{}: it is not complete", vector.name);
    Ok(())
}

#[test]
fn frames_with_an_error_end_the_connection_with_its_code() {
    for vector in vectors().iter().filter(|vector| !vector.errors.is_empty()) {
        match verdict(vector) {
            Err(Ended::Protocol(code)) => {
                assert!(vector.errors.contains(&code.into()), "{}: {code}", vector.name);
            }
            other => panic!("{}: {other:?}", vector.name),
        }
    }
}

/// Well formed, each of them; but here some are for streams that are not open, or are a server's, or
/// have a field block that says nothing. None may be taken for a flood or anything but that.
#[test]
fn frames_without_an_error_are_read() {
    for vector in vectors().iter().filter(|vector| vector.errors.is_empty()) {
        let head = Head::read(&vector.wire).unwrap();
        assert_eq!(vector.wire.len(), HEAD + head.length, "{}", vector.name);
        let verdict = verdict(vector);
        let expected = match head.kind {
            kind::PUSH_PROMISE | kind::CONTINUATION => Err(protocol_error()),
            kind::HEADERS if head.stream % 2 == 1 => Err(Ended::Protocol(code::COMPRESSION_ERROR)),
            kind::DATA | kind::HEADERS | kind::RST_STREAM if head.stream != 1 => {
                Err(protocol_error())
            }
            kind::WINDOW_UPDATE if head.stream > 1 => Err(protocol_error()),
            _ => Ok(()),
        };
        assert_eq!(verdict, expected, "{}", vector.name);
    }
}

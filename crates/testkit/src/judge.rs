//! The judge: a strict reader of HTTP/1.1 requests (RFC 9112) over the raw bytes an origin got.
//!
//! It has nothing in common with the gateway's own gate, so that a fault of the one is not hidden
//! by the other. It takes what the grammar takes and nothing else, and says what is wrong.

use crate::judge_fields::{self, Field, Fields};

/// One request, as a strict reader understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The method.
    pub method: String,
    /// The request target, byte for byte (Latin-1).
    pub target: String,
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: String,
    /// The fields, without the white space around their values.
    pub fields: Vec<Field>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The trailer fields of a chunked body.
    pub trailers: Vec<Field>,
    /// How the body is framed.
    pub framing: Framing,
    /// Bytes of the whole message on the wire.
    pub length: usize,
}

/// What frames a body (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: there is no body.
    None,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What the next bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole request.
    Message(Box<Message>),
    /// The beginning of one that may still become good.
    Incomplete,
    /// No request, whatever may follow.
    Malformed(&'static str),
}

/// All that a connection carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The requests, in their order.
    pub messages: Vec<Message>,
    /// Bytes after the last of them: of a request that is not complete, or of none.
    pub rest: usize,
    /// Why those bytes can be no request.
    pub malformed: Option<&'static str>,
}

impl Message {
    /// Every value of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        judge_fields::all(&self.fields, name)
    }
}

/// Reads a connection from its first byte.
pub fn transcript(mut bytes: &[u8]) -> Transcript {
    let mut transcript = Transcript::default();
    loop {
        match next(bytes) {
            Next::Message(message) => {
                bytes = &bytes[message.length..];
                transcript.messages.push(*message);
                if bytes.is_empty() {
                    return transcript;
                }
            }
            Next::Incomplete => {
                transcript.rest = bytes.len();
                return transcript;
            }
            Next::Malformed(why) => {
                transcript.rest = bytes.len();
                transcript.malformed = Some(why);
                return transcript;
            }
        }
    }
}

/// Reads one request from the start of `bytes`.
pub fn next(bytes: &[u8]) -> Next {
    match read(bytes) {
        Ok(Some(message)) => Next::Message(Box::new(message)),
        Ok(None) => Next::Incomplete,
        Err(why) => Next::Malformed(why),
    }
}

/// `Ok(None)`: more bytes are needed.
pub(crate) type Read<T> = Result<Option<T>, &'static str>;

fn read(bytes: &[u8]) -> Read<Message> {
    let Some((first, mut at)) = line(bytes, 0)? else { return Ok(None) };
    let line_one = request_line(first)?;
    let Some((lines, end)) = judge_fields::section(bytes, at)? else { return Ok(None) };
    at = end;
    let fields = Fields::new(lines);
    check_host(&fields, &line_one)?;
    let framing = frame(&fields, line_one.version)?;
    let mut message = Message {
        method: line_one.method.to_owned(),
        target: line_one.target.clone(),
        version: line_one.version.to_owned(),
        fields: fields.0,
        body: Vec::new(),
        trailers: Vec::new(),
        framing: Framing::None,
        length: 0,
    };
    match framing {
        Body::None => {}
        Body::Length(length) => {
            message.framing = Framing::Length;
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            let Some(body) = bytes[at..].get(..length) else { return Ok(None) };
            message.body = body.to_vec();
            at += length;
        }
        Body::Chunked => {
            message.framing = Framing::Chunked;
            let Some(chunked) = crate::judge_chunks::read(bytes, at)? else { return Ok(None) };
            (message.body, message.trailers, at) = chunked;
        }
    }
    message.length = at;
    Ok(Some(message))
}

/// The line that begins at `at`, and where the next one does. A CR or LF alone, and a NUL, are seen
/// before the line is complete.
pub(crate) fn line(bytes: &[u8], at: usize) -> Read<(&[u8], usize)> {
    let rest = &bytes[at..];
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            b'\n' => return Err("a bare LF"),
            0 => return Err("a NUL"),
            b'\r' => {
                return match rest.get(index + 1) {
                    None => Ok(None),
                    Some(b'\n') => Ok(Some((&rest[..index], at + index + 2))),
                    Some(_) => Err("a bare CR"),
                };
            }
            _ => {}
        }
    }
    Ok(None)
}

struct RequestLine<'a> {
    method: &'a str,
    target: String,
    version: &'a str,
}

fn request_line(line: &[u8]) -> Result<RequestLine<'_>, &'static str> {
    if line.is_empty() {
        return Err("an empty line before a request");
    }
    let parts: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let [method, target, version] = parts[..] else {
        return Err("a request line that is not method, target, version");
    };
    if !judge_fields::is_token(method) {
        return Err("a method that is no token");
    }
    let version = match version {
        b"HTTP/1.0" => "HTTP/1.0",
        b"HTTP/1.1" => "HTTP/1.1",
        _ => return Err("a version that is not HTTP/1.0 or HTTP/1.1"),
    };
    let method = std::str::from_utf8(method).map_err(|_| "a method that is no token")?;
    check_target(method, target)?;
    Ok(RequestLine { method, target: judge_fields::latin1(target), version })
}

/// The four forms of RFC 9112 §3.2.
fn check_target(method: &str, target: &[u8]) -> Result<(), &'static str> {
    if !target.iter().all(|b| b.is_ascii_graphic() && *b != b'#') {
        return Err("a target with a byte that no URI has");
    }
    let fits = match (method, target) {
        ("CONNECT", target) => crate::judge_host::is_host(target, true),
        ("OPTIONS", b"*") => true,
        (_, target) => target.first() == Some(&b'/') || authority(target).is_some(),
    };
    if fits { Ok(()) } else { Err("a target of none of the four forms") }
}

/// The authority of a target in absolute form.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// RFC 9112 §3.2: one `Host` in HTTP/1.1, a host with or without a port, and the same as that of an
/// absolute form.
fn check_host(fields: &Fields, line: &RequestLine<'_>) -> Result<(), &'static str> {
    let hosts = fields.all("host");
    if hosts.len() > 1 {
        return Err("more than one Host");
    }
    if hosts.is_empty() && line.version == "HTTP/1.1" {
        return Err("no Host");
    }
    let host = hosts.first().copied();
    if host.is_some_and(|host| !crate::judge_host::is_host(host.as_bytes(), false)) {
        return Err("a Host that is no host");
    }
    match (authority(line.target.as_bytes()), host) {
        (Some(said), Some(host)) if !said.eq_ignore_ascii_case(host.as_bytes()) => {
            Err("a Host that is not the authority of the target")
        }
        _ => Ok(()),
    }
}

enum Body {
    None,
    Length(u64),
    Chunked,
}

fn frame(fields: &Fields, version: &str) -> Result<Body, &'static str> {
    let lengths = fields.all("content-length");
    let codings = fields.all("transfer-encoding");
    match (&lengths[..], codings.is_empty()) {
        ([], true) => Ok(Body::None),
        (_, false) if !lengths.is_empty() => {
            Err("both Content-Length and Transfer-Encoding frame the body")
        }
        (_, false) if version != "HTTP/1.1" => Err("Transfer-Encoding in HTTP/1.0"),
        (_, false) => coding(&codings).map(|()| Body::Chunked),
        ([length], true) => decimal(length).map(Body::Length),
        _ => Err("more than one Content-Length"),
    }
}

fn decimal(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("a Content-Length that is no number");
    }
    text.parse().map_err(|_| "a Content-Length that is too large")
}

/// RFC 9112 §6.1, §7: a list of codings, `chunked` the last of them, once and without parameters.
fn coding(values: &[&str]) -> Result<(), &'static str> {
    let all = values.join(",");
    // RFC 9110 §5.6.1: a recipient takes empty elements, a sender must not make them.
    let mut names: Vec<&str> = all.split(',').map(|c| c.trim_matches([' ', '\t'])).collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err("a Transfer-Encoding with an empty element");
    }
    let last = names.pop().unwrap_or_default();
    if !last.eq_ignore_ascii_case("chunked") {
        return Err("a Transfer-Encoding whose last coding is not chunked");
    }
    let plain = |name: &&str| judge_fields::is_coding(name.as_bytes());
    if !names.iter().all(plain) {
        return Err("a Transfer-Encoding that is no list of codings");
    }
    if names.iter().any(|name| name.to_ascii_lowercase().starts_with("chunked")) {
        return Err("chunked more than once");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

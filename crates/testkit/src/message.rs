//! Requests as an upstream received them, and the few parts of HTTP/1.1 needed to read them.

use std::io::{self, BufRead, Read};

/// One request, as it came over the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The head, byte for byte, with the empty line that ends it.
    pub head: Vec<u8>,
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// `HTTP/1.1` or what stood in its place.
    pub version: String,
    /// The fields, names as sent.
    pub fields: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Which of the upstream's connections it came on, counted from 0.
    pub connection: usize,
}

impl Seen {
    /// Every value of a field, whatever the case of its name. `_` and `-` are told apart.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// The value of a field that must be there at most once.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// The path of the target, without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }
}

/// Reads one message head, at most 1 MiB. `None` at the end of the stream before its first byte.
pub(crate) fn read_head(source: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if source.read_until(b'\n', &mut head)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(unexpected("end within a head")) };
        }
        if head.len() > 1 << 20 {
            return Err(unexpected("a head of more than 1 MiB"));
        }
    }
    Ok(Some(head))
}

/// First line and fields of a head. Bytes that are no UTF-8 become replacement characters.
pub(crate) fn parse_head(head: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let fields = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    (first, fields)
}

/// The values of a field.
pub(crate) fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
}

/// Reads a body of `length` bytes.
pub(crate) fn read_exactly(source: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    source.read_exact(&mut body)?;
    Ok(body)
}

/// Reads a chunked body, trailers included, and returns its data.
pub(crate) fn read_chunked(source: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(source)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| unexpected("no chunk size"))?;
        if size == 0 {
            while !read_line(source)?.is_empty() {}
            return Ok(body);
        }
        body.extend(read_exactly(source, size)?);
        if !read_line(source)?.is_empty() {
            return Err(unexpected("a chunk longer than its size"));
        }
    }
}

fn read_line(source: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    if source.read_until(b'\n', &mut line)? == 0 {
        return Err(unexpected("end within a chunked body"));
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_one_body() {
        let mut wire = &b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\nrest"[..];
        assert_eq!(read_chunked(&mut wire).unwrap(), b"abcde");
        assert_eq!(wire, b"rest");
        assert!(read_chunked(&mut &b"3\r\nabcd\r\n0\r\n\r\n"[..]).is_err());
        assert!(read_chunked(&mut &b"3\r\nab"[..]).is_err());
    }

    #[test]
    fn a_cut_head_is_an_error_and_no_head_is_none() {
        assert!(read_head(&mut &b""[..]).unwrap().is_none());
        assert!(read_head(&mut &b"GET / HTTP/1.1\r\n"[..]).is_err());
        let (first, fields) = parse_head(b"GET / HTTP/1.1\r\nA: b\r\na:c \r\n\r\n");
        assert_eq!(first, "GET / HTTP/1.1");
        assert_eq!(values(&fields, "A"), ["b", "c"]);
    }
}

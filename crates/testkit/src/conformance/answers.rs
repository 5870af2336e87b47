//! A strict reader of HTTP/1.1 answers over the raw bytes a client got.

use crate::judge_fields::{Field, all};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The fields.
    pub fields: Vec<Field>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// The answers of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The final ones, in their order.
    pub finals: Vec<Said>,
    /// How many interim ones (1xx) there were.
    pub interim: usize,
    /// Bytes after the last complete one.
    pub rest: Vec<u8>,
    /// Why the rest can be no answer.
    pub malformed: Option<&'static str>,
}

/// Reads the answers to requests, of which `heads` says which were `HEAD`. `ended`: no more comes.
pub fn read(bytes: &[u8], heads: &[bool], ended: bool) -> Answers {
    let mut answers = Answers::default();
    let mut at = 0;
    while at < bytes.len() {
        let is_head = heads.get(answers.finals.len()).copied().unwrap_or(false);
        match one(&bytes[at..], is_head, ended) {
            Ok(Some((said, length))) => {
                at += length;
                if said.status < 200 {
                    answers.interim += 1;
                } else {
                    answers.finals.push(said);
                }
            }
            Ok(None) => break,
            Err(why) => {
                answers.malformed = Some(why);
                break;
            }
        }
    }
    answers.rest = bytes[at..].to_vec();
    answers
}

type Read<T> = Result<Option<T>, &'static str>;

fn one(bytes: &[u8], is_head: bool, ended: bool) -> Read<(Said, usize)> {
    let Some((line, at)) = crate::judge::line(bytes, 0)? else { return Ok(None) };
    let status = status(line)?;
    let Some((fields, at)) = crate::judge_fields::section(bytes, at)? else { return Ok(None) };
    let codings = all(&fields, "transfer-encoding");
    let lengths = all(&fields, "content-length");
    if !codings.is_empty() && !lengths.is_empty() {
        return Err("both Content-Length and Transfer-Encoding in an answer");
    }
    if lengths.len() > 1 {
        return Err("two Content-Length in an answer");
    }
    let bodiless = is_head || status < 200 || status == 204 || status == 304;
    if status < 200 && !(lengths.is_empty() && codings.is_empty()) {
        return Err("framing in an interim answer");
    }
    let rest = &bytes[at..];
    let (body, taken) = if bodiless {
        (Vec::new(), 0)
    } else if let [coding] = codings[..] {
        if !coding.eq_ignore_ascii_case("chunked") {
            return Err("an answer in another coding than chunked");
        }
        let Some((body, _, end)) = crate::judge_chunks::read(rest, 0)? else { return Ok(None) };
        (body, end)
    } else if let [length] = lengths[..] {
        let length: usize = length.parse().map_err(|_| "a Content-Length that is no number")?;
        let Some(body) = rest.get(..length) else { return Ok(None) };
        (body.to_vec(), length)
    } else if ended {
        (rest.to_vec(), rest.len())
    } else {
        return Ok(None);
    };
    Ok(Some((Said { status, fields, body }, at + taken)))
}

fn status(line: &[u8]) -> Result<u16, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "a status line that is no text")?;
    let rest = text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "));
    let rest = rest.ok_or("a status line that does not begin with HTTP/1")?;
    let digits = rest.get(..3).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let digits = digits.filter(|_| matches!(rest.as_bytes().get(3), None | Some(b' ')));
    digits.and_then(|d| d.parse().ok()).filter(|s| *s >= 100).ok_or("a status that is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let wire =
            b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab\
            HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 N\r\n\r\nHTTP/1.1 200 OK\r\n\
            Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        let answers = read(wire, &[false, true], false);
        let statuses: Vec<u16> = answers.finals.iter().map(|said| said.status).collect();
        assert_eq!((statuses, answers.interim), (vec![200, 200, 204, 200], 1));
        assert_eq!((answers.rest.len(), answers.malformed), (0, None));
        assert_eq!(answers.finals[3].body, b"x");
        let endless = b"HTTP/1.1 200 OK\r\n\r\nabc";
        assert_eq!(read(endless, &[], false).finals.len(), 0);
        assert_eq!(read(endless, &[], true).finals[0].body, b"abc");
    }

    #[test]
    fn bad_answers_are_seen() {
        for wire in [
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "x",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 100 C\r\nContent-Length: 1\r\n\r\n",
        ] {
            let answers = read(format!("{wire}\r\n").as_bytes(), &[], false);
            assert!(answers.malformed.is_some() && answers.finals.is_empty(), "{wire:?}");
        }
    }
}

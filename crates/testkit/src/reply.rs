//! What an upstream answers: a response, or one of the ways to misbehave.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

/// An answer in the making. [`Reply::new`] and the methods that change it.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    manner: Manner,
}

/// How an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Manner {
    /// The connection is closed without a byte.
    Close,
    /// The head and `usize` bytes of the body, then the connection is closed.
    CutAfter(usize),
    /// A body that goes on until the reader has enough.
    Endless,
    /// Nothing, until the reader gives up.
    Hang,
    /// Whole and well-formed.
    Normal,
    /// These bytes instead of an answer, then the connection is closed.
    Raw,
    /// Whole, in chunked coding.
    Chunked,
}

impl Reply {
    /// An answer with `status` and `body`.
    pub fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: body.as_ref().to_vec(),
            delay: Duration::ZERO,
            manner: Manner::Normal,
        }
    }

    /// A JSON answer.
    pub fn json(body: &serde_json::Value) -> Self {
        Self::new(200, body.to_string()).field("content-type", "application/json")
    }

    /// With one more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sent after `delay`.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// In chunked coding.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.manner = Manner::Chunked;
        self
    }

    /// Cut after `bytes` of the body.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.manner = Manner::CutAfter(bytes);
        self
    }

    /// The connection closes without an answer.
    pub fn close() -> Self {
        Self { manner: Manner::Close, ..Self::new(200, "") }
    }

    /// No answer at all.
    pub fn hang() -> Self {
        Self { manner: Manner::Hang, ..Self::new(200, "") }
    }

    /// A body without an end.
    pub fn endless() -> Self {
        Self { manner: Manner::Endless, ..Self::new(200, "") }
    }

    /// Bytes that are no answer.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { manner: Manner::Raw, ..Self::new(200, bytes) }
    }

    /// Writes it. `Ok(true)`: the connection can take another request.
    pub(crate) fn write(&self, stream: &mut impl Write, head_only: bool) -> io::Result<bool> {
        thread::sleep(self.delay);
        match self.manner {
            Manner::Close => return Ok(false),
            Manner::Hang => {
                thread::sleep(Duration::from_mins(1));
                return Ok(false);
            }
            Manner::Raw => {
                stream.write_all(&self.body)?;
                stream.flush()?;
                return Ok(false);
            }
            Manner::Endless => return write_endless(stream),
            Manner::Chunked | Manner::CutAfter(_) | Manner::Normal => {}
        }
        stream.write_all(self.head().as_bytes())?;
        let body = match self.manner {
            _ if head_only => Vec::new(),
            Manner::CutAfter(bytes) => self.body[..bytes.min(self.body.len())].to_vec(),
            Manner::Chunked => in_chunks(&self.body),
            Manner::Close | Manner::Endless | Manner::Hang | Manner::Normal | Manner::Raw => {
                self.body.clone()
            }
        };
        stream.write_all(&body)?;
        stream.flush()?;
        Ok(!matches!(self.manner, Manner::CutAfter(_)))
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Said\r\n", self.status);
        for (name, value) in &self.fields {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let bodiless = self.status == 204 || self.status == 304;
        if self.manner == Manner::Chunked {
            head.push_str("transfer-encoding: chunked\r\n");
        } else if !bodiless {
            head.extend(["content-length: ", &self.body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }
}

fn write_endless(stream: &mut impl Write) -> io::Result<bool> {
    stream.write_all(b"HTTP/1.1 200 Said\r\ncontent-length: 999999999\r\n\r\n")?;
    for _ in 0..600 {
        stream.write_all(b" ")?;
        stream.flush()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(false)
}

fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in body.chunks(1000) {
        wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

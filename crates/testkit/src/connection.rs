//! One connection of a client: bytes out, answers in.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use crate::answer::Answer;
use crate::request::Request;

/// Longest wait for bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two kinds of transport.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection(BufReader<Transport>);

impl Connection {
    pub(crate) fn new(transport: Transport) -> io::Result<Self> {
        transport.socket().set_read_timeout(Some(PATIENCE))?;
        transport.socket().set_nodelay(true)?;
        Ok(Self(BufReader::new(transport)))
    }

    /// Sends bytes as they are. A peer that closed already is no error here: its answer tells.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let transport = self.0.get_mut();
        transport.write_all(bytes.as_ref()).and_then(|()| transport.flush()).ok();
    }

    /// Reads the answer to a request that was no `HEAD`.
    pub fn read(&mut self) -> io::Result<Answer> {
        Answer::read(&mut self.0, false)
    }

    /// Reads the answer to a `HEAD`.
    pub fn read_head(&mut self) -> io::Result<Answer> {
        Answer::read(&mut self.0, true)
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Answer {
        self.write(request.to_bytes());
        Answer::read(&mut self.0, request.is_head()).expect("an answer comes")
    }

    /// Whether the peer closes, with nothing more sent, within the patience of a read.
    pub fn is_closed(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }

    /// Whatever comes next; empty at the end.
    pub fn read_some(&mut self) -> Vec<u8> {
        let some = self.0.fill_buf().map(<[u8]>::to_vec).unwrap_or_default();
        self.0.consume(some.len());
        some
    }

    /// Whatever comes until the peer closes.
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.0.read_to_end(&mut all).ok();
        all
    }

    /// Reads until `done` is content with what came, the peer closes, or nothing comes for
    /// `patience`: the bytes, and whether the peer closed.
    pub fn gather(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(&[u8]) -> bool,
    ) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        self.0.get_ref().socket().set_read_timeout(Some(patience)).ok();
        let ended = loop {
            match self.0.fill_buf().map(<[u8]>::to_vec) {
                Ok(more) if more.is_empty() => break true,
                Ok(more) => {
                    self.0.consume(more.len());
                    bytes.extend_from_slice(&more);
                }
                Err(error) => {
                    let waited = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
                    break !waited.contains(&error.kind());
                }
            }
            if done(&bytes) {
                break false;
            }
        };
        self.0.get_ref().socket().set_read_timeout(Some(PATIENCE)).ok();
        (bytes, ended)
    }

    /// Says that no more bytes will be sent.
    pub fn finish(&mut self) {
        self.0.get_ref().socket().shutdown(Shutdown::Write).ok();
    }

    /// What the handshake settled; `None` on a plain connection.
    pub fn tls(&self) -> Option<&ClientConnection> {
        match self.0.get_ref() {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => Some(&stream.conn),
        }
    }
}

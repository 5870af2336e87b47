//! HTTP/1.1 over TLS, a thread a connection.

use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Shared;
use super::requests::answer;
use crate::message::{parse_head, read_exactly, read_head, values};

/// One request.
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) agent: String,
    pub(crate) body: Vec<u8>,
}

/// One answer.
pub(crate) struct Outgoing {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

pub(crate) fn start(listener: TcpListener, tls: Arc<ServerConfig>, shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let (shared, tls) = (Weak::clone(&shared), Arc::clone(&tls));
            thread::spawn(move || serve(stream, tls, &shared).ok());
        }
    });
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, shared: &Weak<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let session = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    while let Some(head) = read_head(&mut stream)? {
        let (first, fields) = parse_head(&head);
        let length = values(&fields, "content-length").first().and_then(|v| v.parse().ok());
        let body = read_exactly(&mut stream, length.unwrap_or(0))?;
        let mut words = first.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let agent = values(&fields, "user-agent").join("");
        let is_head = method == "HEAD";
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        let answer = answer(&shared, &Incoming { method, path, agent, body });
        drop(shared);
        thread::sleep(answer.delay);
        write(stream.get_mut(), &answer, is_head)?;
    }
    Ok(())
}

fn write(out: &mut impl Write, answer: &Outgoing, is_head: bool) -> io::Result<()> {
    let mut bytes = Vec::new();
    write!(bytes, "HTTP/1.1 {} -\r\n", answer.status)?;
    for (name, value) in &answer.fields {
        write!(bytes, "{name}: {value}\r\n")?;
    }
    write!(bytes, "content-length: {}\r\n\r\n", answer.body.len())?;
    if !is_head {
        bytes.extend_from_slice(answer.body.as_bytes());
    }
    out.write_all(&bytes)?;
    out.flush()
}

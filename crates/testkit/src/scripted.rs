//! A server that does on each connection what a test says: for apps that misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The server.
pub struct Scripted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// On a free port; `script` gets each connection and its number, from 0.
    pub fn start(script: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, script) = (Arc::clone(&connections), Arc::new(script));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nodelay(true).ok();
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                thread::spawn(move || script(stream, number));
            }
        });
        Self { address, connections }
    }

    /// On a unix socket: answers each request with `200` and `body`.
    pub fn start_unix(path: &Path, body: &'static str) {
        let listener = UnixListener::bind(path).expect("a socket");
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || answer_all(stream, body));
            }
        });
    }

    /// `http://` and its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it had.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn answer_all(mut stream: impl Read + Write, body: &str) {
    let length = body.len();
    while read_request(&mut stream).is_some() {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).ok();
    }
}

/// A whole request, head and body by its `Content-Length`; `None` where the other side is done.
pub fn read_request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(bytes)
}

/// One HTTP/2 frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut wire = length[1..].to_vec();
    wire.extend([kind, flags]);
    wire.extend(stream.to_be_bytes());
    wire.extend(payload);
    wire
}

/// Takes a client's preface and shows settings of its own (RFC 9113 §3.4).
pub fn greet(connection: &mut TcpStream) {
    let mut preface = [0; 24];
    if connection.read_exact(&mut preface).is_ok() {
        connection.write_all(&frame(4, 0, 0, &[])).ok();
    }
}

/// Reads frames to the end of a request: its stream; `None` where the other side is done.
pub fn read_stream(connection: &mut TcpStream) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        connection.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4] & 1) {
            (4, 0) => connection.write_all(&frame(4, 1, 0, &[])).ok()?,
            (0 | 1, 1) => return Some(stream),
            _ => {}
        }
    }
}

//! A recording HTTP/1.1 server: keeps every request byte for byte and answers as it is told.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::message::{Seen, parse_head, read_chunked, read_exactly, read_head, values};
use crate::reply::Reply;

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    /// All bytes of each connection, those of unfinished requests among them.
    raw: Mutex<Vec<Vec<u8>>>,
    open: Mutex<HashMap<usize, TcpStream>>,
    rules: Mutex<Vec<(String, Reply)>>,
    down: AtomicBool,
}

/// The server. Each test finds its own requests by a marker in their head.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    tls: Option<Arc<ServerConfig>>,
}

impl Upstream {
    /// A plain server on a free port of 127.0.0.1 that answers everything with `200 ok`.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same behind TLS.
    pub fn start_tls(tls: Arc<ServerConfig>) -> Self {
        Self::with(Some(tls))
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let upstream = Self { address, state: Arc::default(), tls };
        upstream.accept(listener);
        upstream
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` or `https://` and its address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers requests whose head contains `needle` with `reply`; the newest rule wins.
    pub fn answer(&self, needle: &str, reply: Reply) {
        let mut rules = self.state.rules.lock();
        rules.retain(|(known, _)| known != needle);
        rules.push((needle.to_owned(), reply));
    }

    /// All requests whose head contains `needle`, in the order they came.
    pub fn seen(&self, needle: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock();
        seen.iter().filter(|s| contains(&s.head, needle)).cloned().collect()
    }

    /// The one request whose head contains `needle`.
    #[track_caller]
    pub fn only(&self, needle: &str) -> Seen {
        let mut seen = self.seen(needle);
        assert_eq!(seen.len(), 1, "requests with {needle} at the upstream: {seen:#?}");
        seen.remove(0)
    }

    /// Asserts that no byte of a request with `needle` came, not even of an unfinished one.
    #[track_caller]
    pub fn saw_nothing_of(&self, needle: &str) {
        let raw = self.state.raw.lock();
        if let Some(bytes) = raw.iter().find(|bytes| contains(bytes, needle)) {
            panic!("the upstream saw {needle}: {}", String::from_utf8_lossy(bytes));
        }
    }

    /// Whether any byte of a request with `needle` came, of an unfinished one too.
    pub fn has_heard_of(&self, needle: &str) -> bool {
        self.state.raw.lock().iter().any(|bytes| contains(bytes, needle))
    }

    /// How many connections it accepted.
    pub fn connections(&self) -> usize {
        self.state.raw.lock().len()
    }

    /// Everything that came on one connection.
    pub fn raw(&self, connection: usize) -> Vec<u8> {
        self.state.raw.lock()[connection].clone()
    }

    /// Stops listening and cuts every connection: from now on connecting is refused.
    pub fn down(&self) {
        self.state.down.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        crate::poll::until_true(Duration::from_secs(5), "the port is closed", || {
            TcpStream::connect(self.address).is_err()
        });
        for (_, stream) in self.state.open.lock().drain() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Listens again, on the same port.
    pub fn up(&self) {
        self.state.down.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        self.accept(listener);
    }

    fn accept(&self, listener: TcpListener) {
        let (state, tls) = (Arc::clone(&self.state), self.tls.clone());
        thread::spawn(move || accept_all(&listener, &state, tls.as_ref()));
    }
}

fn accept_all(listener: &TcpListener, state: &Arc<State>, tls: Option<&Arc<ServerConfig>>) {
    while let Ok((stream, _)) = listener.accept() {
        if state.down.load(Ordering::SeqCst) {
            return;
        }
        stream.set_nodelay(true).ok();
        let (state, tls) = (Arc::clone(state), tls.cloned());
        thread::spawn(move || serve_one(&state, stream, tls).ok());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.down.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

fn contains(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn serve_one(state: &State, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    let connection = {
        let mut raw = state.raw.lock();
        raw.push(Vec::new());
        raw.len() - 1
    };
    state.open.lock().insert(connection, stream.try_clone()?);
    let served = serve(state, connection, stream, tls);
    if let Some(stream) = state.open.lock().remove(&connection) {
        stream.shutdown(Shutdown::Both).ok();
    }
    served
}

fn serve(
    state: &State,
    connection: usize,
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<()> {
    match tls {
        None => {
            let writer = stream.try_clone()?;
            answer_all(state, connection, stream, writer)
        }
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            let shared = Arc::new(Mutex::new(StreamOwned::new(session, stream)));
            answer_all(state, connection, Half(Arc::clone(&shared)), Half(shared))
        }
    }
}

/// One of two handles on the same TLS stream; reading and writing alternate.
struct Half(Arc<Mutex<StreamOwned<ServerConnection, TcpStream>>>);

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().read(buffer)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().flush()
    }
}

/// Copies what is read into the record.
struct Recording<'a, R> {
    source: R,
    state: &'a State,
    connection: usize,
}

impl<R: Read> Read for Recording<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.state.raw.lock()[self.connection].extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn answer_all(
    state: &State,
    connection: usize,
    reader: impl Read,
    mut writer: impl Write,
) -> io::Result<()> {
    let mut reader = BufReader::new(Recording { source: reader, state, connection });
    while let Some(head) = read_head(&mut reader)? {
        let (first, fields) = parse_head(&head);
        if values(&fields, "expect").iter().any(|v| v.eq_ignore_ascii_case("100-continue")) {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = values(&fields, "content-length").first().and_then(|v| v.parse().ok());
        let body = match length {
            _ if !values(&fields, "transfer-encoding").is_empty() => read_chunked(&mut reader)?,
            Some(length) => read_exactly(&mut reader, length)?,
            None => Vec::new(),
        };
        let mut words = first.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, target, version) = (word(), word(), word());
        let is_head = method == "HEAD";
        let rules = state.rules.lock().clone();
        let rule = rules.iter().rev().find(|(needle, _)| contains(&head, needle));
        let reply = rule.map_or_else(|| Reply::new(200, "ok"), |(_, reply)| reply.clone());
        let close = values(&fields, "connection").iter().any(|v| v.eq_ignore_ascii_case("close"));
        state.seen.lock().push(Seen { head, method, target, version, fields, body, connection });
        if !reply.write(&mut writer, is_head)? || close {
            break;
        }
    }
    Ok(())
}

//! An origin that is read by the judge: what each connection carried, message by message.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::judge::{Message, Next, next};

/// Something that came over a connection.
#[derive(Clone, Debug)]
pub enum Event {
    /// A whole request, and its bytes.
    Message(Message, Vec<u8>),
    /// Bytes that are no request, and why.
    Malformed(&'static str, Vec<u8>),
    /// The connection ended within a request.
    Partial(Vec<u8>),
}

#[derive(Debug, Default)]
struct State {
    events: Mutex<Vec<Event>>,
    /// Bytes of requests that are not complete.
    pending: AtomicUsize,
    down: AtomicBool,
}

/// The origin: answers every request with `200` and `seen METHOD TARGET`, and keeps connections.
/// Bytes that are no request get a `400`, and end the connection.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

impl Default for Origin {
    fn default() -> Self {
        Self::start()
    }
}

impl Origin {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &shared));
        Self { address, state }
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many events there were so far.
    pub fn mark(&self) -> usize {
        self.state.events.lock().len()
    }

    /// The events after a mark.
    pub fn since(&self, mark: usize) -> Vec<Event> {
        self.state.events.lock()[mark..].to_vec()
    }

    /// Bytes of requests that have begun and are not complete.
    pub fn pending(&self) -> usize {
        self.state.pending.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.state.down.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((stream, _)) = listener.accept() {
        if state.down.load(Ordering::SeqCst) {
            return;
        }
        let state = Arc::clone(state);
        thread::spawn(move || serve(&state, stream).ok());
    }
}

fn serve(state: &State, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    let served = converse(state, &mut stream, &mut bytes);
    if !bytes.is_empty() {
        let count = bytes.len();
        state.events.lock().push(Event::Partial(bytes));
        state.pending.fetch_sub(count, Ordering::SeqCst);
    }
    served
}

fn converse(state: &State, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    // Whether the request that is not complete was told to go on.
    let mut told = false;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..count]);
        state.pending.fetch_add(count, Ordering::SeqCst);
        let before = bytes.len();
        if !answer_all(state, stream, bytes)? {
            return Ok(());
        }
        told &= bytes.len() == before;
        if !told && waits_for_continue(bytes) {
            told = true;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    }
}

/// Answers the requests that are complete; whether the connection goes on.
fn answer_all(state: &State, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    while !bytes.is_empty() {
        match next(bytes) {
            Next::Incomplete => break,
            Next::Message(message) => {
                let raw: Vec<u8> = bytes.drain(..message.length).collect();
                state.pending.fetch_sub(raw.len(), Ordering::SeqCst);
                let (answer, goes_on) = answer(&message);
                state.events.lock().push(Event::Message(*message, raw));
                stream.write_all(&answer)?;
                if !goes_on {
                    return Ok(false);
                }
            }
            Next::Malformed(why) => {
                state.pending.fetch_sub(bytes.len(), Ordering::SeqCst);
                state.events.lock().push(Event::Malformed(why, std::mem::take(bytes)));
                stream.write_all(REFUSAL)?;
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// What is no request gets this.
const REFUSAL: &[u8] = b"HTTP/1.1 400 Judged\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

fn answer(message: &Message) -> (Vec<u8>, bool) {
    let body = format!("seen {} {}", message.method, message.target);
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    if message.method != "HEAD" {
        answer.push_str(&body);
    }
    let says = |option: &str| {
        let values = message.all("connection").join(",");
        values.split(',').any(|value| value.trim().eq_ignore_ascii_case(option))
    };
    let goes_on = if message.version == "HTTP/1.0" { says("keep-alive") } else { !says("close") };
    (answer.into_bytes(), goes_on)
}

fn waits_for_continue(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    bytes[..end].to_ascii_lowercase().windows(12).any(|w| w == b"100-continue")
}

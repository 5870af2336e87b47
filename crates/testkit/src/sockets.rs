//! Web sockets: a client, and an app that echoes.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::server::{ErrorResponse, Request as Opening, Response};
use tungstenite::{Message, WebSocket};

use crate::answer::Answer;
use crate::client::Client;
use crate::connection::Transport;
use crate::request::Request;

/// An open web socket.
#[derive(Debug)]
pub struct Socket(WebSocket<Transport>);

impl Client {
    /// Opens a web socket with the fields of `request`, or tells the answer that refused it.
    #[track_caller]
    pub fn web_socket(&self, request: &Request) -> Result<Socket, Answer> {
        let transport = self.try_transport().expect("the connection comes about");
        transport.socket().set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let host = request.host.as_deref().unwrap_or("api.test");
        let mut opening = http::Request::builder()
            .uri(format!("ws://{host}{}", request.target))
            .header("host", host)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", tungstenite::handshake::client::generate_key());
        for (name, value) in &request.fields {
            opening = opening.header(name, value);
        }
        let opening = opening.body(()).expect("a valid request");
        match tungstenite::client(opening, transport) {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => Err(told(*answer)),
            Err(error) => {
                let body = error.to_string().into_bytes();
                Err(Answer { status: 0, fields: Vec::new(), body, complete: false })
            }
        }
    }
}

fn told(answer: http::Response<Option<Vec<u8>>>) -> Answer {
    let (head, body) = answer.into_parts();
    let fields = head.headers.iter();
    let fields =
        fields.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let status = head.status.as_u16();
    Answer { status, fields: fields.collect(), body: body.unwrap_or_default(), complete: true }
}

impl Socket {
    /// Sends a text and returns what comes back; `Err` where the socket ended.
    pub fn echo(&mut self, text: &str) -> Result<String, tungstenite::Error> {
        self.0.send(Message::text(text))?;
        self.receive()
    }

    /// Sends a text.
    pub fn send(&mut self, text: &str) -> Result<(), tungstenite::Error> {
        self.0.send(Message::text(text))
    }

    /// Waits for a text; `Err` where the socket ended. One that stays open and silent ends the test.
    #[track_caller]
    pub fn receive(&mut self) -> Result<String, tungstenite::Error> {
        loop {
            let read = self.0.read();
            if let Err(tungstenite::Error::Io(error)) = &read {
                let kind = error.kind();
                let silent = matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
                assert!(!silent, "the socket is open, and nothing comes");
            }
            match read? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(_) => return Err(tungstenite::Error::ConnectionClosed),
                Message::Binary(_) | Message::Frame(_) | Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    /// Says goodbye and waits for the other side's.
    pub fn close(mut self) {
        self.0.close(None).ok();
        while self.0.read().is_ok() {}
    }
}

#[derive(Default)]
struct State {
    open: AtomicUsize,
    openings: Mutex<Vec<String>>,
}

/// An app that sends every message back. The text `bye` ends the socket, `later` is answered after
/// a second.
pub struct EchoApp {
    address: SocketAddr,
    state: Arc<State>,
}

impl EchoApp {
    /// On a free port of 127.0.0.1.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state: Arc<State> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&state, stream).ok());
            }
        });
        Self { address, state }
    }

    /// `http://` and its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sockets that are open.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// The heads of requests that contain `needle`.
    pub fn openings(&self, needle: &str) -> Vec<String> {
        let all = self.state.openings.lock();
        all.iter().filter(|head| head.contains(needle)).cloned().collect()
    }
}

fn serve(state: &State, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[expect(clippy::result_large_err, reason = "the shape that the library asks for")]
    let note = |opening: &Opening, answer: Response| -> Result<Response, ErrorResponse> {
        let mut head = format!("GET {}\n", opening.uri());
        for (name, value) in opening.headers() {
            head.extend([name.as_str(), ": ", &String::from_utf8_lossy(value.as_bytes()), "\n"]);
        }
        state.openings.lock().push(head);
        Ok(answer)
    };
    let socket = tungstenite::accept_hdr(stream, note);
    let mut socket = socket.map_err(|error| io::Error::other(error.to_string()))?;
    state.open.fetch_add(1, Ordering::SeqCst);
    while let Ok(message) = socket.read() {
        let Message::Text(text) = &message else { continue };
        match text.as_str() {
            "bye" => socket.close(None).map_err(io::Error::other)?,
            "later" => thread::sleep(Duration::from_secs(1)),
            _ => {}
        }
        if socket.send(message).is_err() {
            break;
        }
    }
    state.open.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

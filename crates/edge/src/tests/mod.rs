//! The whole edge over real sockets on loopback, in front of a service that says what it saw.

mod bodies;
mod caps;
mod drain;
mod hand_over;
mod heads;
mod http2;
mod keep_alive;
mod pace;
mod proofs;
mod service;
mod tls;
pub(crate) mod vectors;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_core::{Clock, ConnMeta};
use portcullis_tls::{Protocol, TlsAcceptor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use self::service::Echo;
use crate::{
    BoundListener, Cap, ConnectionSettings, Edge, EdgeEvents, Ended, HandshakeFailure, Listener,
    ListenerSettings, Refused,
};

/// A deadline of the tests themselves: reached only when something hangs.
const HANGS: Duration = Duration::from_secs(20);

/// A deadline under test.
const SHORT: Duration = Duration::from_millis(100);

/// What happened at the edge, line by line.
#[derive(Default)]
struct Recorder(watch::Sender<Vec<String>>);

impl Recorder {
    fn note(&self, line: String) {
        self.0.send_modify(|lines| lines.push(line));
    }

    fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits for a line.
    async fn saw(&self, line: &str) {
        self.saw_times(line, 1).await;
    }

    /// Waits until a line was noted `times` times.
    async fn saw_times(&self, line: &str, times: usize) {
        let mut lines = self.0.subscribe();
        let enough = |lines: &Vec<String>| lines.iter().filter(|l| *l == line).count() >= times;
        let found = lines.wait_for(enough);
        let found = tokio::time::timeout(HANGS, found).await;
        assert!(found.is_ok(), "no {line:?} in {:?}", self.lines());
    }
}

impl EdgeEvents for Recorder {
    fn opened(&self, connection: &ConnMeta) {
        self.note(format!("opened {}", connection.listener));
    }

    fn closed(&self, connection: &ConnMeta, _: Duration) {
        self.note(format!("closed {}", connection.listener));
    }

    fn turned_away(&self, listener: &str, _: Option<SocketAddr>, cap: Cap) {
        self.note(format!("turned away {listener} {}", cap.as_str()));
    }

    fn handshake_failed(&self, listener: &str, _: Option<SocketAddr>, failure: &HandshakeFailure) {
        self.note(format!("handshake {listener} {}", failure.kind()));
    }

    fn proved(&self, listener: &str, _: Option<SocketAddr>) {
        self.note(format!("proved {listener}"));
    }

    fn ended(&self, connection: &ConnMeta, ended: Ended) {
        self.note(format!("ended {} {}", connection.listener, ended.as_str()));
    }

    fn refused(&self, refused: &Refused<'_>) {
        let status = refused.refusal.status();
        self.note(format!("refused {} {status}", refused.protocol));
    }
}

/// An edge with one listener and the service behind it.
struct Gateway {
    edge: Edge,
    settings: Arc<ArcSwap<ConnectionSettings>>,
    recorder: Arc<Recorder>,
    echo: Arc<Echo>,
    listener: Listener,
}

impl Gateway {
    fn start(settings: ConnectionSettings) -> Self {
        Self::start_with(settings, None)
    }

    fn start_with(settings: ConnectionSettings, tls: Option<Arc<ArcSwap<TlsAcceptor>>>) -> Self {
        Self::start_speaking(settings, tls, vec![Protocol::Http11])
    }

    /// `protocols` are those of a cleartext listener.
    fn start_speaking(
        settings: ConnectionSettings,
        tls: Option<Arc<ArcSwap<TlsAcceptor>>>,
        protocols: Vec<Protocol>,
    ) -> Self {
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let recorder = Arc::new(Recorder::default());
        let echo = Arc::new(Echo::default());
        let events = Arc::clone(&recorder) as Arc<dyn EdgeEvents>;
        let edge = Edge::new(Arc::clone(&settings), events, Clock::system());
        let bound = BoundListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let protocols = Arc::new(ArcSwap::from_pointee(protocols));
        let named = ListenerSettings { protocols, ..ListenerSettings::new("main", tls) };
        let listener = bound.serve(&edge, named, service::proxy(&echo));
        Self { edge, settings, recorder, echo, listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address()).await.unwrap())
    }

    /// Sends bytes on a connection of their own; all that comes back.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.rest().await
    }
}

/// One raw connection. Every wait has the tests' deadline.
struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        tokio::time::timeout(HANGS, self.0.write_all(bytes.as_ref())).await.unwrap().unwrap();
    }

    /// All until the gateway closes.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        tokio::time::timeout(HANGS, read).await.expect("it stays open").unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One answer, which must have a `content-length`.
    async fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(HANGS, self.0.read_u8()).await.expect("no answer");
            let shown = String::from_utf8_lossy(&head);
            head.push(byte.unwrap_or_else(|error| panic!("{error} after {shown:?}")));
        }
        let head = String::from_utf8(head).unwrap();
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).expect("no content-length");
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        let read = self.0.read_exact(&mut body);
        tokio::time::timeout(HANGS, read).await.expect("no body").unwrap();
        head + &String::from_utf8_lossy(&body)
    }
}

/// `⏎` stands for CRLF.
fn wire(text: &str) -> String {
    text.replace('⏎', "\r\n")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

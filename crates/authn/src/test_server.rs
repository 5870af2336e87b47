//! A small HTTP server in place of an issuer: it answers what a test tells it to, and counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::{IssuerSettings, KeySource};

/// How long a test waits for what must happen before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a path is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200 with this body and its length.
    Body(String),
    /// As many zero bytes, without a length.
    Bytes(usize),
    /// A body of which a byte comes now and then, without end.
    Drip,
    /// 200 with this body, once [`TestServer::release`] is called.
    Held(String),
    /// 302 to here.
    Redirect(String),
    /// Nothing, ever.
    Silence,
    /// This status, without a body.
    Status(u16),
}

/// A server on loopback that lives as long as its test.
pub(crate) struct TestServer {
    base: Url,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    hits: Mutex<HashMap<String, usize>>,
    last: Mutex<String>,
    gate: Semaphore,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        Self::on(listener, &base, None)
    }

    /// A server with TLS, and the certificate to trust, in PEM.
    pub(crate) async fn start_tls() -> (Self, String) {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        (Self::on(listener, &base, Some(acceptor)), pair.cert.pem())
    }

    fn on(listener: TcpListener, base: &str, tls: Option<TlsAcceptor>) -> Self {
        let base = base.parse().unwrap();
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            hits: Mutex::default(),
            last: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let state = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accept(stream, tls.clone(), Arc::clone(&state)));
            }
        });
        Self { base, shared }
    }

    /// A server that answers at `/jwks` with this key set.
    pub(crate) async fn with_keys(keys: &str) -> Self {
        let server = Self::start().await;
        server.answer("/jwks", Answer::Body(keys.to_owned()));
        server
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    /// The field cases' settings with the keys at `/jwks` of this server.
    pub(crate) fn settings(&self) -> IssuerSettings {
        IssuerSettings { keys: KeySource::Url(self.url("/jwks")), ..crate::testing::settings() }
    }

    /// From now on, `path` is answered so.
    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().insert(path.to_owned(), answer);
    }

    /// Lets `count` held answers go.
    pub(crate) fn release(&self, count: usize) {
        self.shared.gate.add_permits(count);
    }

    /// Waits until `path` was asked for this often.
    pub(crate) async fn until_asked(&self, path: &str, count: usize) {
        let asked = async {
            while self.hits(path) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("it is asked for");
    }

    /// The last request, head and body.
    pub(crate) fn last(&self) -> String {
        self.shared.last.lock().clone()
    }

    /// How often `path` was asked for.
    pub(crate) fn hits(&self, path: &str) -> usize {
        self.shared.hits.lock().get(path).copied().unwrap_or_default()
    }
}

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) -> Option<()> {
    match tls {
        Some(tls) => serve(tls.accept(stream).await.ok()?, shared).await,
        None => serve(stream, shared).await,
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    shared: Arc<Shared>,
) -> Option<()> {
    let request = read_request(&mut stream).await?;
    let path = request.split(' ').nth(1)?.to_owned();
    *shared.last.lock() = request;
    *shared.hits.lock().entry(path.clone()).or_default() += 1;
    let answer = shared.answers.lock().get(&path).cloned().unwrap_or(Answer::Status(404));
    match answer {
        Answer::Body(body) => send(&mut stream, "200 OK", "", &body).await,
        Answer::Bytes(count) => {
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&vec![0; count]).await.ok()
        }
        Answer::Drip => drip(&mut stream).await,
        Answer::Held(body) => {
            shared.gate.acquire().await.ok()?.forget();
            send(&mut stream, "200 OK", "", &body).await
        }
        Answer::Redirect(to) => {
            send(&mut stream, "302 Found", &format!("location: {to}\r\n"), "").await
        }
        Answer::Silence => std::future::pending().await,
        Answer::Status(status) => send(&mut stream, &format!("{status} x"), "", "").await,
    }
}

/// The request with its body, where it has one.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    status: &str,
    fields: &str,
    body: &str,
) -> Option<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{fields}\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.ok()
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin)) -> Option<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"keys\":[").await.ok()?;
    loop {
        stream.write_all(b" ").await.ok()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

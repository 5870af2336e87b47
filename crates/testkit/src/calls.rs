//! An HTTP/2 connection on which bodies are sent piece by piece, many at once.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use rustls_pki_types::ServerName;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::answer::Answer;

use crate::client::Client;
use crate::request::Request;

/// Longest wait for the other side.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open connection.
#[derive(Debug)]
pub struct Http2 {
    runtime: Runtime,
    sender: h2::client::SendRequest<Bytes>,
    scheme: &'static str,
}

/// A request on its way.
#[derive(Debug)]
pub struct Call<'a> {
    runtime: &'a Runtime,
    answer: Option<h2::client::ResponseFuture>,
    body: h2::SendStream<Bytes>,
}

/// The answer to a call, as far as it came.
#[derive(Debug)]
pub struct Incoming<'a> {
    runtime: &'a Runtime,
    /// Status and fields; the body is read piece by piece.
    pub answer: Answer,
    source: h2::RecvStream,
}

impl Client {
    /// Opens an HTTP/2 connection.
    #[track_caller]
    pub fn open_http2(&self) -> Http2 {
        self.try_open_http2().expect("an HTTP/2 connection")
    }

    fn try_open_http2(&self) -> io::Result<Http2> {
        let stream = self.socket()?;
        stream.set_nonblocking(true)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, scheme) = runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream)?;
            let Some(tls) = &self.tls else {
                let (sender, connection) =
                    h2::client::handshake(stream).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                return io::Result::Ok((sender, "http"));
            };
            let config = tls.config(&["h2"]);
            let name = ServerName::try_from(tls.name.clone()).map_err(io::Error::other)?;
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            let (sender, connection) =
                h2::client::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Ok((sender, "https"))
        })?;
        Ok(Http2 { runtime, sender, scheme })
    }
}

impl Http2 {
    /// Sends the head of `request`; its body is the caller's to send. `ends`: there is none.
    #[track_caller]
    pub fn start(&mut self, request: &Request, ends: bool) -> Call<'_> {
        self.try_start(request, ends).expect("the stream opens")
    }

    /// The same; `None` on a connection that takes no more streams.
    pub fn try_start(&self, request: &Request, ends: bool) -> Option<Call<'_>> {
        let host = request.host.as_deref().unwrap_or("api.test");
        let uri = format!("{}://{host}{}", self.scheme, request.target);
        let mut head = http::Request::builder().method(request.method.as_str()).uri(uri);
        for (name, value) in &request.fields {
            head = head.header(name, value);
        }
        let head = head.body(()).expect("a valid request");
        let sender = self.sender.clone();
        let mut sender = self.runtime.block_on(sender.ready()).ok()?;
        let (answer, body) = sender.send_request(head, ends).ok()?;
        Some(Call { runtime: &self.runtime, answer: Some(answer), body })
    }

    /// Whether another stream can still be opened.
    pub fn is_open(&self) -> bool {
        let sender = self.sender.clone();
        self.runtime.block_on(sender.ready()).is_ok()
    }
}

impl<'a> Call<'a> {
    /// Sends a piece of the body, whatever became of the stream.
    pub fn send(&mut self, piece: impl AsRef<[u8]>, ends: bool) {
        self.body.send_data(Bytes::copy_from_slice(piece.as_ref()), ends).ok();
    }

    /// Gives the stream up.
    pub fn reset(mut self) {
        self.body.send_reset(h2::Reason::CANCEL);
        // The frame leaves with the connection's next turn.
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    }

    /// Waits for the head of the answer.
    pub fn head(&mut self) -> Result<Incoming<'a>, h2::Error> {
        let answer = self.answer.take().expect("one answer to a call");
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time")
        })?;
        let (head, source) = answer.into_parts();
        let fields = head.headers.iter();
        let fields = fields
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
        let answer = Answer {
            status: head.status.as_u16(),
            fields: fields.collect(),
            body: Vec::new(),
            complete: false,
        };
        Ok(Incoming { runtime: self.runtime, answer, source })
    }

    /// Waits for the whole answer.
    pub fn answer(&mut self) -> Result<Answer, h2::Error> {
        Ok(self.head()?.rest().0)
    }
}

impl Incoming<'_> {
    /// Whether the head was all there is: the stream ended with it.
    pub fn is_bare(&self) -> bool {
        self.source.is_end_stream()
    }

    /// The next piece of the body; `None` at its end.
    pub fn piece(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let data = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.source.data()).await.expect("bytes in time")
        });
        if let Some(Ok(data)) = &data {
            self.source.flow_control().release_capacity(data.len()).ok();
        }
        data
    }

    /// The rest of the body and the trailers.
    pub fn rest(mut self) -> (Answer, Option<HeaderMap>) {
        while let Some(data) = self.piece() {
            let Ok(data) = data else { return (self.answer, None) };
            self.answer.body.extend_from_slice(&data);
        }
        let trailers = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.source.trailers()).await.expect("an end in time")
        });
        self.answer.complete = trailers.is_ok();
        (self.answer, trailers.ok().flatten())
    }
}

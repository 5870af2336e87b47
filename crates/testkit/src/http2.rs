//! An HTTP/2 client for the tests.

use std::io;

use bytes::Bytes;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::answer::Answer;
use crate::client::Client;
use crate::request::Request;

impl Client {
    /// Sends requests one after another on one HTTP/2 connection. The `host` of a request is its
    /// `:authority`.
    pub fn try_http2(&self, requests: &[Request]) -> io::Result<Vec<Answer>> {
        let stream = self.socket()?;
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream)?;
            let Some(tls) = &self.tls else {
                return exchange(stream, "http", requests).await.map_err(io::Error::other);
            };
            let config = tls.config(&["h2"]);
            let name = ServerName::try_from(tls.name.clone()).map_err(io::Error::other)?;
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            exchange(stream, "https", requests).await.map_err(io::Error::other)
        })
    }

    /// How many streams at once the other side allows, as its settings say.
    #[track_caller]
    pub fn http2_streams(&self) -> usize {
        let stream = self.socket().expect("a connection");
        stream.set_nonblocking(true).expect("a socket");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
            let tls = self.tls.as_ref().expect("HTTP/2 over TLS");
            let config = tls.config(&["h2"]);
            let name = ServerName::try_from(tls.name.clone()).expect("a name");
            let stream = TlsConnector::from(config).connect(name, stream).await.expect("TLS");
            let (mut sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            tokio::spawn(connection);
            // Settings are known once an answer came.
            let request = Request::get("/");
            sender = sender.ready().await.expect("ready");
            one(&mut sender, "https", &request).await.expect("an answer");
            sender.current_max_send_streams()
        })
    }

    /// Sends one request on an HTTP/2 connection of its own.
    #[track_caller]
    pub fn http2(&self, request: &Request) -> Answer {
        let answers = self.try_http2(std::slice::from_ref(request)).expect("an answer comes");
        answers.into_iter().next().expect("one answer")
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    scheme: &str,
    requests: &[Request],
) -> Result<Vec<Answer>, h2::Error> {
    let (mut sender, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for request in requests {
        sender = sender.ready().await?;
        answers.push(one(&mut sender, scheme, request).await?);
    }
    Ok(answers)
}

async fn one(
    sender: &mut h2::client::SendRequest<Bytes>,
    scheme: &str,
    request: &Request,
) -> Result<Answer, h2::Error> {
    let host = request.host.as_deref().unwrap_or("api.test");
    let uri = format!("{scheme}://{host}{}", request.target);
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.fields {
        builder = builder.header(name, value);
    }
    let head = builder.body(()).expect("a valid request");
    let (answer, mut body) = sender.send_request(head, request.body.is_none())?;
    if let Some(bytes) = &request.body {
        // An early answer may end the stream before its body: the answer tells.
        body.send_data(Bytes::copy_from_slice(bytes), true).ok();
    }
    let answer = answer.await?;
    let status = answer.status().as_u16();
    let fields = answer
        .headers()
        .iter()
        .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
        .collect();
    let (mut body, mut complete, mut source) = (Vec::new(), true, answer.into_body());
    while let Some(data) = source.data().await {
        let Ok(data) = data else {
            complete = false;
            break;
        };
        source.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(Answer { status, fields, body, complete })
}

//! How commands ask a running gateway: its admin listener, found by the file.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portcullis_config::snapshot::{AdminTerms, ListenAddress};
use portcullis_core::Secret;
use portcullis_state::{StateError, StateFolder};
use serde_json::Value;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};

use crate::admin;

/// Most time for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Most time for the answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Longest answer, in bytes.
const LENGTH: usize = 64 << 20;

/// The token's file in the state folder, where the configuration names none.
pub(crate) const TOKEN_FILE: &str = "admin.token";

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reached {
    /// The gateway answered.
    Answer(StatusCode, Value),
    /// Nobody listens there: no gateway runs.
    NobodyThere,
}

/// Why it is not known whether a gateway did what it was asked. Never a reason to go on as if none
/// ran.
#[derive(Debug, Error)]
pub(crate) enum AdminClientError {
    /// There is a listener, and no connection to it.
    #[error("the admin listener {place} cannot be reached: {error}")]
    Connect {
        /// Where.
        place: String,
        /// Why.
        error: std::io::Error,
    },
    /// The connection broke.
    #[error("the admin listener {place} did not answer: {error}")]
    Broken {
        /// Where.
        place: String,
        /// Why.
        error: String,
    },
    /// It takes too long.
    #[error("the admin listener {place} did not answer in time")]
    Late {
        /// Where.
        place: String,
    },
    /// Somebody else listens there.
    #[error("{place} is answered by something that is not portcullis")]
    Stranger {
        /// Where.
        place: String,
    },
    /// There is a gateway, and no token for it.
    #[error("the admin token cannot be read: {0}")]
    Token(#[from] StateError),
    /// There is a gateway, and no token for it.
    #[error(
        "a gateway runs, and there is no admin token in {0}: is it the state folder of that gateway?"
    )]
    NoToken(String),
}

/// Asks the gateway that runs with a file, if one does.
#[derive(Clone, Debug)]
pub(crate) struct AdminClient {
    address: ListenAddress,
    token: Option<Secret>,
    folder: std::path::PathBuf,
}

impl AdminClient {
    /// For the gateway of `terms`, with its state folder.
    pub(crate) fn new(terms: &AdminTerms, folder: &Path) -> Self {
        let (address, token) = (terms.address.clone(), terms.token.clone());
        Self { address, token, folder: folder.to_owned() }
    }

    /// Asks for `path`, which begins with `/`; a body is sent as JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reached, AdminClientError> {
        let place = self.place();
        let connected = tokio::time::timeout(CONNECT, self.connect(method, path, body)).await;
        let asking = connected.map_err(|_| AdminClientError::Late { place: place.clone() })??;
        let Some(asking) = asking else { return Ok(Reached::NobodyThere) };
        let answer = tokio::time::timeout(ANSWER, asking).await;
        answer.map_err(|_| AdminClientError::Late { place })?
    }

    /// The question, once there is a connection for it; `None` where nobody listens.
    async fn connect(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<
        Option<std::pin::Pin<Box<dyn Future<Output = Result<Reached, AdminClientError>> + Send>>>,
        AdminClientError,
    > {
        let place = self.place();
        match &self.address {
            // The system chooses the port, and only the process itself knows it.
            ListenAddress::Tcp(address) if address.port() == 0 => Ok(None),
            ListenAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await;
                let Some(stream) = found(stream, place.clone())? else { return Ok(None) };
                let request = self.request(address.to_string(), method, path, body)?;
                Ok(Some(Box::pin(exchange(stream, request, place))))
            }
            ListenAddress::Unix(path_of_socket) => {
                let stream = UnixStream::connect(path_of_socket).await;
                let Some(stream) = found(stream, place.clone())? else { return Ok(None) };
                let request = self.request("localhost".to_owned(), method, path, body)?;
                Ok(Some(Box::pin(exchange(stream, request, place))))
            }
        }
    }

    fn request(
        &self,
        host: String,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, AdminClientError> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.kept_token()?,
        };
        let mut bearer = http::HeaderValue::from_bytes(&[b"Bearer ", token.expose()].concat())
            .map_err(|error| self.broken(&error))?;
        bearer.set_sensitive(true);
        let builder = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::AUTHORIZATION, bearer);
        let request = match body {
            None => builder.body(Full::default()),
            Some(body) => builder
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::from(body.to_string())),
        };
        request.map_err(|error| self.broken(&error))
    }

    fn kept_token(&self) -> Result<Secret, AdminClientError> {
        let folder = self.folder.display().to_string();
        if !self.folder.exists() {
            return Err(AdminClientError::NoToken(folder));
        }
        let found = StateFolder::open(&self.folder)?.find(TOKEN_FILE)?;
        found.ok_or(AdminClientError::NoToken(folder))
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> AdminClientError {
        AdminClientError::Broken { place: self.place(), error: error.to_string() }
    }

    fn place(&self) -> String {
        match &self.address {
            ListenAddress::Tcp(address) => address.to_string(),
            ListenAddress::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// The connection; `None` where nobody listens.
fn found<S>(connected: std::io::Result<S>, place: String) -> Result<Option<S>, AdminClientError> {
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) =>
        {
            Ok(None)
        }
        Err(error) => Err(AdminClientError::Connect { place, error }),
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    place: String,
) -> Result<Reached, AdminClientError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &dyn std::fmt::Display| AdminClientError::Broken {
        place: place.clone(),
        error: error.to_string(),
    };
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let (parts, body) = answer.into_parts();
    if parts.headers.get(header::SERVER).is_none_or(|server| server != admin::SERVER) {
        return Err(AdminClientError::Stranger { place });
    }
    let body = Limited::new(body, LENGTH).collect().await.map_err(|error| broken(&error))?;
    connection.abort();
    let value = serde_json::from_slice(&body.to_bytes()).map_err(|error| broken(&error))?;
    Ok(Reached::Answer(parts.status, value))
}

#[cfg(test)]
mod tests;

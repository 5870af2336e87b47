//! Small HTTP servers of our own for operators and the demo: hyper on a TCP or unix socket.

use std::convert::Infallible;
use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::pin;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// A request to one of these servers.
pub(crate) type Request = http::Request<Incoming>;
/// Its answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Most time for the head of a request.
const HEAD_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Where one of these servers listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A TCP address.
    Tcp(std::net::SocketAddr),
    /// A unix socket; made anew, for the owner alone.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound server.
#[derive(Debug)]
pub(crate) enum Server {
    /// On TCP.
    Tcp(TcpListener),
    /// On a unix socket.
    Unix(UnixListener, PathBuf),
}

impl Server {
    /// Binds; the socket file of an earlier run is replaced.
    pub(crate) async fn bind(place: &Place) -> std::io::Result<Self> {
        match place {
            Place::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            Place::Unix(path) => Ok(Self::Unix(bind_unix(path)?, path.clone())),
        }
    }

    /// Takes over the socket that another process listens on at `place`.
    pub(crate) fn adopt(place: &Place, socket: OwnedFd) -> std::io::Result<Self> {
        match place {
            Place::Tcp(_) => {
                let socket = std::net::TcpListener::from(socket);
                socket.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(socket)?))
            }
            Place::Unix(path) => {
                let socket = std::os::unix::net::UnixListener::from(socket);
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(UnixListener::from_std(socket)?, path.clone()))
            }
        }
    }

    /// The listening socket once more.
    pub(crate) fn descriptor(&self) -> std::io::Result<OwnedFd> {
        match self {
            Self::Tcp(socket) => socket.as_fd().try_clone_to_owned(),
            Self::Unix(socket, _) => socket.as_fd().try_clone_to_owned(),
        }
    }

    /// The real address, as printed at start.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(|a| a.to_string()).unwrap_or_default(),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Serves until the task is dropped; connections end then with the answer they wait for.
    pub(crate) async fn serve<F, R>(self, handler: F)
    where
        F: Fn(Request) -> R + Clone + Send + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let (life, _) = watch::channel(());
        loop {
            match &self {
                Self::Tcp(listener) => match listener.accept().await {
                    Ok((stream, _)) => {
                        spawn(TokioIo::new(stream), handler.clone(), life.subscribe());
                    }
                    Err(error) => pause(&error).await,
                },
                Self::Unix(listener, _) => match listener.accept().await {
                    Ok((stream, _)) => {
                        spawn(TokioIo::new(stream), handler.clone(), life.subscribe());
                    }
                    Err(error) => pause(&error).await,
                },
            }
        }
    }
}

/// A failed accept is no reason to stop, nor to spin.
async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "accept failed");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

fn bind_unix(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::remove_file(path).ok();
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn spawn<I, F, R>(io: I, handler: F, mut life: watch::Receiver<()>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    F: Fn(Request) -> R + Clone + Send + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request| {
        let reply = handler(request);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    tokio::spawn(async move {
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        let mut connection = pin!(server.serve_connection(io, service));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            _ = life.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    });
}

/// An answer with a body of this type, never stored.
pub(crate) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Reply {
    reply(status, "application/json", value.to_string())
}

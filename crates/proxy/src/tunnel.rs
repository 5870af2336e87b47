//! Connections that are turned into another protocol.
//!
//! An upgrade has an upstream connection of its own, with a **gate** before its reads. pingora waits
//! for the answer and for the end of the request at once, in no order; an app that answers 101
//! before pingora has looked at the end of the request has its tunnel closed at once. The gate holds
//! the answer back until the request was finished, which shows as the second flush after its head.
//! It knows too how long the answer may take: pingora's own time-out would go on in the tunnel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_trait::async_trait;
use http::{StatusCode, header};
use pingora::connectors::l4::Connect;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::proxy::Session;
use pingora::upstreams::peer::{ALPN, H1UpgradePolicy, HttpPeer};
use pingora::{Error, ErrorType, OrErr, Result};
use portcullis_policy::UpgradeToken;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep};

use crate::ctx::{Ctx, Manner};
use crate::response_fields;

/// Flushes that end a request without a body: one after its head, one at its end.
const FLUSHES: u8 = 2;

/// Leaves of the request's hop-by-hop fields those that ask for the upgrade that was granted.
pub(crate) fn ask(req: &mut RequestHeader, manner: Manner) -> Result<()> {
    req.remove_header(&header::UPGRADE);
    if let Manner::Upgrade(token) = manner {
        req.insert_header(header::CONNECTION, "Upgrade")?;
        req.insert_header(header::UPGRADE, token.as_str())?;
    }
    Ok(())
}

/// What the phases keep of the gate.
#[derive(Debug)]
pub(crate) struct Gate {
    flushes: AtomicU8,
}

/// Lets `peer` carry the upgrade, over a connection of its own.
pub(crate) fn prepare(peer: &mut HttpPeer, ctx: &mut Ctx, head_within: Duration) {
    let gate = Arc::new(Gate { flushes: AtomicU8::new(0) });
    ctx.gate = Some(Arc::clone(&gate));
    // Never one from the pool: that would have no gate.
    peer.group_key ^= u64::MAX;
    let options = &mut peer.options;
    options.alpn = ALPN::H1;
    options.read_timeout = None;
    options.idle_timeout = Some(Duration::ZERO);
    options.http_upstream_request_policy.h1_upgrade = H1UpgradePolicy::WebSocketOnly;
    options.custom_l4 = Some(Arc::new(Door { gate, head_within }));
}

/// Closes the gate: from now on the head of the request is written.
pub(crate) fn close_gate(ctx: &Ctx) {
    if let Some(gate) = &ctx.gate {
        gate.flushes.store(FLUSHES, Ordering::Relaxed);
    }
}

/// Judges the app's answer: a 101 only to the upgrade that was asked for.
pub(crate) fn judge(
    session: &mut Session,
    ctx: &mut Ctx,
    answer: &mut ResponseHeader,
) -> Result<()> {
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    if !matches!(ctx.manner, Manner::Upgrade(token) if agrees(token, answer)) {
        return Err(
            Error::explain(ErrorType::InvalidHTTPHeader, "101 to another request").into_up()
        );
    }
    ctx.status = Some(answer.status.as_u16());
    ctx.streaming = true;
    let downstream = session.as_downstream_mut();
    downstream.set_read_timeout(None);
    downstream.set_abort_on_close(true);
    let now = ctx.serving.clock.now();
    let expires = ctx.principal.as_ref().map(|principal| principal.expires);
    ctx.watch.set_end(expires.map(|expires| expires.since(now)));
    if let Some(grant) = &ctx.grant {
        ctx.watch.set_silence(grant.route().forward.upstream.timeouts.between_reads);
    }
    response_fields::apply_policy(session, ctx, answer)
}

/// Whether the app turns to the protocol that was asked for.
fn agrees(token: UpgradeToken, answer: &ResponseHeader) -> bool {
    let mut named = answer.headers.get_all(header::UPGRADE).iter();
    let first =
        named.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(token.as_str().as_bytes()));
    first && named.next().is_none()
}

/// Whether `error` is that of a gate whose answer did not come.
pub(crate) fn is_late(error: &Error) -> bool {
    let io = error.root_cause().downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
}

/// Opens connections with a gate.
#[derive(Debug)]
struct Door {
    gate: Arc<Gate>,
    head_within: Duration,
}

#[async_trait]
impl Connect for Door {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let transport = match address {
            SocketAddr::Inet(address) => {
                let stream = TcpStream::connect(address).await;
                let stream = stream.or_err(ErrorType::ConnectError, "for an upgrade")?;
                stream.set_nodelay(true).or_err(ErrorType::SocketError, "for an upgrade")?;
                Transport::Tcp(stream)
            }
            SocketAddr::Unix(address) => {
                let Some(path) = address.as_pathname() else {
                    return Error::e_explain(ErrorType::ConnectError, "a socket without a path");
                };
                let stream = UnixStream::connect(path).await;
                Transport::Unix(stream.or_err(ErrorType::ConnectError, "for an upgrade")?)
            }
        };
        let gated = Gated {
            transport,
            gate: Arc::clone(&self.gate),
            late: Some(Box::pin(sleep(self.head_within))),
            reader: None,
        };
        Ok(VirtualSocketStream::new(Box::new(gated)).into())
    }
}

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection with a gate before its reads.
#[derive(Debug)]
struct Gated {
    transport: Transport,
    gate: Arc<Gate>,
    /// Until the first byte of the answer has come.
    late: Option<Pin<Box<Sleep>>>,
    reader: Option<Waker>,
}

impl Gated {
    fn transport(&mut self) -> Pin<&mut (dyn Duplex + '_)> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream),
            Transport::Unix(stream) => Pin::new(stream),
        }
    }

    fn is_closed(&self) -> bool {
        self.gate.flushes.load(Ordering::Relaxed) > 0
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(late) = &mut self.late
            && late.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.is_closed() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ready!(self.transport().poll_read(cx, buf))?;
        self.late = None;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.transport().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.transport().poll_flush(cx))?;
        let left = self.gate.flushes.load(Ordering::Relaxed).saturating_sub(1);
        self.gate.flushes.store(left, Ordering::Relaxed);
        if left == 0
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport().poll_shutdown(cx)
    }
}

impl VirtualSocket for Gated {
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

//! The stream that the HTTP/2 engine reads and writes: the gate's side of the socket.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use portcullis_core::ConnMeta;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::Edge;
use crate::h2_gate::{Ended, FrameGate, FrameLimits, RefusedStream};
use crate::stream::EdgeStream;

/// Room made for the next frames: one of the longest.
const READ: usize = 16 * 1024 + 9;

/// Verdicts kept of one connection, at most. One that is gone is answered as malformed.
const MOST_VERDICTS: usize = 512;

/// The verdicts on requests whose answers are due, by stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts(Arc<Mutex<HashMap<u32, RefusedStream>>>);

impl Verdicts {
    pub(crate) fn take(&self, stream: u32) -> Option<RefusedStream> {
        self.0.lock().remove(&stream)
    }
}

/// An [`EdgeStream`] behind the gate of HTTP/2.
pub(crate) struct H2Stream {
    inner: EdgeStream,
    edge: Edge,
    meta: Arc<ConnMeta>,
    gate: FrameGate,
    verdicts: Verdicts,
    head_time: Duration,
    /// Read, and not complete.
    inbox: BytesMut,
    /// Through the gate, and not read by the engine yet.
    outbox: BytesMut,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: Option<Ended>,
}

impl H2Stream {
    /// Behind `preface`, which the engine is to read first.
    pub(crate) fn new(
        inner: EdgeStream,
        edge: Edge,
        meta: Arc<ConnMeta>,
        limits: FrameLimits,
        head_time: Duration,
        preface: &[u8],
    ) -> Self {
        let gate = FrameGate::new(limits, edge.clock().monotonic());
        Self {
            inner,
            edge,
            meta,
            gate,
            verdicts: Verdicts::default(),
            head_time,
            inbox: BytesMut::new(),
            outbox: BytesMut::from(preface),
            deadline: None,
            ended: None,
        }
    }

    pub(crate) fn verdicts(&self) -> Verdicts {
        self.verdicts.clone()
    }

    /// Reads until something has come through the gate. `false` at the end of the client.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.outbox.is_empty() {
            if let Some(ended) = self.ended {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, ended)));
            }
            if self.gate.is_paused() {
                self.pass();
                continue;
            }
            self.inbox.reserve(READ);
            let read = pin!(self.inner.read_buf(&mut self.inbox)).poll(cx);
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) => self.pass(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.rest();
                    ready!(self.poll_deadline(cx));
                    self.end(Ended::HeadTime);
                }
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Puts what was read through the gate. What has passed before a fault is the engine's still.
    fn pass(&mut self) {
        let now = self.edge.clock().monotonic();
        let advanced = self.gate.advance(&mut self.inbox, &mut self.outbox, now);
        let refused = self.gate.take_refused();
        if !refused.is_empty() {
            let mut verdicts = self.verdicts.0.lock();
            if verdicts.len() >= MOST_VERDICTS {
                // Of streams that were cancelled before they were answered.
                verdicts.clear();
            }
            verdicts.extend(refused.into_iter().map(|refused| (refused.stream, refused)));
        }
        if self.gate.held_since().is_none() {
            self.deadline = None;
        }
        if let Err(ended) = advanced {
            self.end(ended);
        }
    }

    /// Gives back the memory that only a busy connection needs.
    fn rest(&mut self) {
        if self.gate.is_idle() {
            if self.inbox.is_empty() {
                self.inbox = BytesMut::new();
            }
            self.outbox = BytesMut::new();
        }
    }

    /// Ready once what is held back has been incomplete for too long.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(since) = self.gate.held_since() else { return Poll::Pending };
        loop {
            let held = self.edge.clock().monotonic().saturating_sub(since);
            let left = self.head_time.saturating_sub(held);
            if left.is_zero() {
                return Poll::Ready(());
            }
            // It may have been set for something that was complete since.
            let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
            ready!(deadline.as_mut().poll(cx));
            self.deadline = None;
        }
    }

    fn end(&mut self, ended: Ended) {
        if self.ended.is_none() {
            self.ended = Some(ended);
            self.edge.events().ended(&self.meta, ended);
        }
    }

    /// Watches what was written, and adds what the gate has to say.
    fn note_sent(&mut self, bytes: &[u8], cx: &Context<'_>) {
        if let Err(ended) = self.gate.sent(bytes) {
            self.end(ended);
            // The end is met by a read; there may be none on its way.
            cx.waker().wake_by_ref();
        }
        let replies = self.gate.take_replies();
        if !replies.is_empty() {
            self.inner.set_last(&replies);
        }
    }
}

impl AsyncRead for H2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.poll_gate(cx))? {
            let length = buf.remaining().min(self.outbox.len());
            buf.put_slice(self.outbox.get(..length).unwrap_or_default());
            self.outbox.advance(length);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.note_sent(buf.get(..written).unwrap_or_default(), cx);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let replies = self.gate.take_replies();
        if !replies.is_empty() {
            self.inner.set_last(&replies);
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Drop for H2Stream {
    fn drop(&mut self) {
        self.inner.set_last(&self.gate.farewell(self.ended));
    }
}

impl fmt::Debug for H2Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("H2Stream").field(&self.inner).finish()
    }
}

#[async_trait]
impl Shutdown for H2Stream {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for H2Stream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for H2Stream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(ALPN::H2)
    }
}

impl GetTimingDigest for H2Stream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for H2Stream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for H2Stream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl Peek for H2Stream {}

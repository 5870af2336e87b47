//! The stream that the proxy reads requests from and writes answers to.
//!
//! Two things it does that a socket does not. It has a **fence**: the gate says how many bytes
//! belong to the request it let through, and no read goes beyond, so that the next request on the
//! connection is the gate's to judge. And it **lingers** when dropped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::digests::Facts;
use crate::fence::{Break, Fence, broken};
use crate::head_gate::Chunks;
use crate::lease::Lease;
use crate::linger;
use crate::pace::{Pace, Stall, Terms};
use crate::transport::Transport;

/// Small writes are gathered up to this many bytes until a flush, so that head and body of an
/// answer leave in one TLS record.
const GATHER: usize = 16 * 1024;

/// Bytes behind a request that are taken in before it is answered.
const BEHIND: usize = 16 * 1024;

/// Room made for the next bytes of a head.
const READ: usize = 4 * 1024;

pub(crate) struct EdgeStream {
    /// Taken only by the drop.
    transport: Option<Transport>,
    /// Read, and not given to anybody yet.
    ahead: BytesMut,
    fence: Fence,
    /// Of the body before the fence.
    pace: Option<Pace>,
    stall: Stall,
    /// Written by the proxy, and not on its way yet.
    gathered: BytesMut,
    /// The client has closed its end, or the socket is broken: there is nothing to linger for.
    over: bool,
    pub(crate) facts: Facts,
    lease: Option<Lease>,
}

impl EdgeStream {
    /// `write` bounds the time in which the client takes nothing of what is written to it.
    pub(crate) fn new(transport: Transport, facts: Facts, lease: Lease, write: Duration) -> Self {
        Self {
            transport: Some(transport),
            ahead: BytesMut::new(),
            fence: Fence::Open,
            pace: None,
            stall: Stall::new(write),
            gathered: BytesMut::new(),
            over: false,
            facts,
            lease: Some(lease),
        }
    }

    pub(crate) const fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// What was read and given to nobody yet.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// The first `length` bytes of [`EdgeStream::ahead`], which are then no longer there.
    pub(crate) fn take_ahead(&mut self, length: usize) -> BytesMut {
        if length >= self.ahead.len() {
            std::mem::take(&mut self.ahead)
        } else {
            self.ahead.split_to(length)
        }
    }

    /// The next request's end, and how fast it must come to it. What has no end has no rate.
    pub(crate) fn set_fence(&mut self, fence: Fence, terms: Terms) {
        let is_body = !matches!(fence, Fence::Open | Fence::Length(0));
        self.pace = is_body.then(|| Pace::new(terms));
        self.fence = fence;
    }

    /// Whether the request before the fence was read to its end.
    pub(crate) const fn is_at_fence(&self) -> bool {
        matches!(self.fence, Fence::Chunks(Chunks::Done) | Fence::Length(0))
    }

    /// What goes out last, behind what was written, when the stream is dropped.
    pub(crate) fn set_last(&mut self, last: &[u8]) {
        self.gathered.extend_from_slice(last);
    }

    /// Gives back the memory that only a busy connection needs.
    pub(crate) fn rest(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        if self.gathered.is_empty() {
            self.gathered = BytesMut::new();
        }
        self.pace = None;
    }

    /// Waits for the first bytes of a request without room for a whole head. 0 is the end.
    pub(crate) async fn read_first(&mut self) -> io::Result<usize> {
        let mut first = [0; 256];
        let Some(transport) = &mut self.transport else { return Ok(0) };
        let read = transport.read(&mut first).await;
        self.over |= !matches!(read, Ok(1..));
        let read = read?;
        self.ahead.extend_from_slice(first.get(..read).unwrap_or_default());
        Ok(read)
    }

    /// Waits for more bytes. 0 is the end.
    pub(crate) async fn read_ahead(&mut self) -> io::Result<usize> {
        let Some(transport) = &mut self.transport else { return Ok(0) };
        self.ahead.reserve(READ);
        let read = transport.read_buf(&mut self.ahead).await;
        self.over |= !matches!(read, Ok(1..));
        read
    }

    fn poll_transport(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(transport) = &mut self.transport else { return Poll::Ready(Ok(())) };
        let before = buf.filled().len();
        let result = ready!(Pin::new(transport).poll_read(cx, buf));
        self.over |= result.is_err() || buf.filled().len() == before;
        Poll::Ready(result)
    }

    /// Gives at most `limit` bytes.
    fn poll_give(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let room = limit.min(buf.remaining());
        if !self.ahead.is_empty() {
            let part = self.ahead.split_to(room.min(self.ahead.len()));
            buf.put_slice(&part);
            return Poll::Ready(Ok(part.len()));
        }
        let before = buf.filled().len();
        if room == buf.remaining() {
            ready!(self.poll_transport(cx, buf))?;
            return Poll::Ready(Ok(buf.filled().len() - before));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(self.poll_transport(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        Poll::Ready(Ok(read))
    }

    /// Gives what belongs to a chunked body. What came behind it stays for the gate.
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        mut chunks: Chunks,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_give(cx, buf, usize::MAX))?;
        let given = buf.filled().get(before..).unwrap_or_default();
        let Ok(taken) = chunks.advance(given) else {
            return Poll::Ready(Err(self.give_up(Break::Malformed)));
        };
        let behind = given.get(taken..).unwrap_or_default();
        if !behind.is_empty() {
            let mut ahead = BytesMut::from(behind);
            ahead.unsplit(std::mem::take(&mut self.ahead));
            self.ahead = ahead;
            buf.set_filled(before + taken);
        }
        self.fence = Fence::Chunks(chunks);
        Poll::Ready(Ok(()))
    }

    /// Gives what belongs to a body of known length.
    fn poll_length(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        left: u64,
    ) -> Poll<io::Result<()>> {
        let limit = usize::try_from(left).unwrap_or(usize::MAX);
        let read = ready!(self.poll_give(cx, buf, limit))?;
        self.fence = Fence::Length(left.saturating_sub(read as u64));
        Poll::Ready(Ok(()))
    }

    /// What a read of the body came to, if it came fast enough.
    fn paced(
        &mut self,
        cx: &mut Context<'_>,
        read: Poll<io::Result<()>>,
        bytes: usize,
    ) -> Poll<io::Result<()>> {
        let Some(pace) = &mut self.pace else { return read };
        if read.is_ready() {
            pace.note_received(bytes);
            return read;
        }
        ready!(pace.poll_overdue(cx));
        Poll::Ready(Err(self.give_up(Break::Slow)))
    }

    fn give_up(&mut self, why: Break) -> io::Error {
        self.fence = Fence::Broken(why);
        broken(why)
    }

    /// Whoever writes does not wait for the client's body.
    fn pause_pace(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.pause();
        }
    }

    /// At the fence: only the end of the client is let through. What it sent instead is kept for
    /// the gate, up to a bound, so that its end is still seen behind it.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < BEHIND {
            let mut probe = [0; 256];
            let mut buf = ReadBuf::new(&mut probe);
            ready!(self.poll_transport(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(buf.filled());
        }
        // There is nothing to wait for until the fence moves.
        Poll::Pending
    }

    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(transport) = &mut self.transport else { return Poll::Ready(Ok(())) };
        while !self.gathered.is_empty() {
            let written = Pin::new(&mut *transport).poll_write(cx, &self.gathered);
            match ready!(bounded(&mut self.stall, cx, written)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => self.gathered.advance(written),
                Err(error) => {
                    self.over = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What a write came to, if the client takes anything in time.
fn bounded<T>(
    stall: &mut Stall,
    cx: &mut Context<'_>,
    written: Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    if written.is_ready() {
        stall.end();
        return written;
    }
    ready!(stall.poll_over(cx));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl AsyncRead for EdgeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match self.fence {
            Fence::Broken(why) => return Poll::Ready(Err(broken(why))),
            Fence::Open => return self.poll_give(cx, buf, usize::MAX).map_ok(|_| ()),
            Fence::Chunks(Chunks::Done) | Fence::Length(0) | Fence::Upgrade => {
                return self.poll_end(cx);
            }
            Fence::Chunks(chunks) => self.poll_chunks(cx, buf, chunks),
            Fence::Length(left) => self.poll_length(cx, buf, left),
        };
        let bytes = buf.filled().len().saturating_sub(before);
        self.paced(cx, read, bytes)
    }
}

impl AsyncWrite for EdgeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.fence = self.fence.after_writing(buf);
        self.pause_pace();
        if self.gathered.len() + buf.len() > GATHER {
            ready!(self.poll_gathered(cx))?;
        }
        if buf.len() < GATHER {
            self.gathered.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        let Self { transport, stall, .. } = &mut *self;
        match transport {
            Some(transport) => {
                let written = Pin::new(transport).poll_write(cx, buf);
                bounded(stall, cx, written)
            }
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pause_pace();
        ready!(self.poll_gathered(cx))?;
        let Self { transport, stall, .. } = &mut *self;
        match transport {
            Some(transport) => {
                let flushed = Pin::new(transport).poll_flush(cx);
                bounded(stall, cx, flushed)
            }
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        match &mut self.transport {
            Some(transport) => Pin::new(transport).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for EdgeStream {
    fn drop(&mut self) {
        let Some(transport) = self.transport.take() else { return };
        let lease = self.lease.take();
        if !self.over {
            linger::detach(transport, self.gathered.to_vec(), lease);
        }
    }
}

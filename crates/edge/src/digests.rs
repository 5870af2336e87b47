//! What pingora asks of a stream beside bytes: identity, addresses, TLS, and our `ConnMeta`.

use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest,
    Ssl, TimingDigest, UniqueID, UniqueIDType,
};
use portcullis_core::{ConnMeta, Timestamp};
use tokio::io::AsyncWriteExt;

use crate::stream::EdgeStream;

/// What is known of the connection that a session's digest belongs to. `None` only for sessions
/// that did not come through this crate.
pub fn connection_of(digest: &Digest) -> Option<&Arc<ConnMeta>> {
    digest.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
}

/// The answers to pingora's questions, made once.
pub(crate) struct Facts {
    fd: RawFd,
    ssl: Option<Arc<SslDigest>>,
    proxy: Option<Arc<ProxyDigest>>,
    socket: Arc<SocketDigest>,
    established: SystemTime,
}

impl Facts {
    pub(crate) fn new(fd: RawFd, meta: &Arc<ConnMeta>, now: Timestamp) -> Self {
        let socket = SocketDigest::from_raw_fd(fd);
        // Set now: the descriptor may be another's by the time somebody asks.
        socket.peer_addr.set(meta.peer.map(Into::into)).ok();
        socket.local_addr.set(meta.local.map(Into::into)).ok();
        let ssl = meta.tls.as_ref().map(|tls| {
            Arc::new(SslDigest::new(tls.cipher_suite, tls.version, None, None, Vec::new()))
        });
        // The only place of a digest that takes data of ours; its response is never looked at.
        let proxy = ResponseHeader::build(200, Some(0)).ok().map(|unused| {
            Arc::new(ProxyDigest::new(Box::new(unused), Some(Box::new(Arc::clone(meta)))))
        });
        Self {
            fd,
            ssl,
            proxy,
            socket: Arc::new(socket),
            established: UNIX_EPOCH + Duration::from_nanos(now.unix_nanos()),
        }
    }
}

impl fmt::Debug for EdgeStream {
    /// The descriptor alone: pingora prints streams into its log, and bytes have no place there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeStream").field("fd", &self.facts.fd).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for EdgeStream {
    async fn shutdown(&mut self) {
        AsyncWriteExt::shutdown(self).await.ok();
    }
}

impl UniqueID for EdgeStream {
    fn id(&self) -> UniqueIDType {
        self.facts.fd
    }
}

impl Ssl for EdgeStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.facts.ssl.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(ALPN::H1)
    }
}

impl GetTimingDigest for EdgeStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest { established_ts: self.facts.established, ..Default::default() })]
    }
}

impl GetProxyDigest for EdgeStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.facts.proxy.clone()
    }
}

impl GetSocketDigest for EdgeStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.facts.socket))
    }
}

impl Peek for EdgeStream {}

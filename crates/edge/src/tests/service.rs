//! The service behind the edge: it answers with what it saw, and forwards nothing.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::{HttpProxy, ProxyHttp, Session, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::{Error, ErrorType};
use tokio::sync::watch;

use crate::connection_of;

/// Shared with the test: what was asked for, and the lever of `/wait`.
#[derive(Default)]
pub(super) struct Echo {
    pub(super) seen: Mutex<Vec<String>>,
    pub(super) waiting: watch::Sender<usize>,
    pub(super) released: watch::Sender<bool>,
    pub(super) gone: watch::Sender<bool>,
}

impl Echo {
    pub(super) fn count(&self) -> usize {
        self.seen.lock().len()
    }

    /// Waits until a request for `/wait` is here.
    pub(super) async fn is_waiting(&self) {
        let mut waiting = self.waiting.subscribe();
        let here = waiting.wait_for(|count| *count > 0);
        tokio::time::timeout(super::HANGS, here).await.expect("nobody asked for /wait").unwrap();
    }

    pub(super) fn release(&self) {
        self.released.send_replace(true);
    }
}

pub(super) struct Service(Arc<Echo>);

pub(super) fn proxy(echo: &Arc<Echo>) -> Arc<HttpProxy<Service>> {
    Arc::new(http_proxy(&Arc::new(ServerConf::default()), Service(Arc::clone(echo))))
}

#[async_trait]
impl ProxyHttp for Service {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Error::e_explain(ErrorType::InternalError, "there is no upstream")
    }

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> pingora::Result<bool> {
        let head = session.req_header();
        let path = String::from_utf8_lossy(head.raw_path()).into_owned();
        let host = head.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()));
        let host = host.unwrap_or_default();
        let line = format!("{} {path} {host}", head.method);
        self.0.seen.lock().push(line.clone());
        if path == "/early" {
            return reply(session, 413, String::new()).await;
        }
        if path == "/wait" {
            self.0.waiting.send_modify(|count| *count += 1);
            let mut released = self.0.released.subscribe();
            // As the proxy does while it waits for an upstream: it listens to the client too.
            tokio::select! {
                released = released.wait_for(|released| *released) => drop(released.unwrap()),
                idle = session.read_body_or_idle(true) => {
                    self.0.gone.send_replace(true);
                    return idle.map(|_| true);
                }
            }
        }
        let mut body = Vec::new();
        while let Some(part) = session.read_request_body().await? {
            body.extend_from_slice(&part);
        }
        let meta = session.digest().and_then(connection_of).expect("no ConnMeta");
        let tls = meta.tls.as_ref().map(|tls| {
            let group = tls.group.unwrap_or_default();
            format!(" {} {group} {}", tls.version, tls.server_name.as_deref().unwrap_or_default())
        });
        let body = String::from_utf8_lossy(&body);
        let text = format!("{line} [{body}] {}{}", meta.listener, tls.unwrap_or_default());
        reply(session, 200, text).await
    }
}

async fn reply(session: &mut Session, status: u16, text: String) -> pingora::Result<bool> {
    let mut head = ResponseHeader::build(status, None)?;
    head.insert_header("content-length", text.len().to_string())?;
    session.write_response_header(Box::new(head), text.is_empty()).await?;
    if !text.is_empty() {
        session.write_response_body(Some(Bytes::from(text)), true).await?;
    }
    Ok(true)
}

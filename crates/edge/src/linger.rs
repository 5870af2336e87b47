//! The lingering close (RFC 9112 §9.6): first our end, then a bounded wait for the client's.
//!
//! A socket closed while the client still sends is reset, and the reset throws away the answer that
//! the client has not read yet: a refused upload would look like a broken network.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::transport::Transport;

/// How long the client is listened to.
const WAIT: Duration = Duration::from_secs(2);

/// How many bytes of it are thrown away, at most.
const DRAIN: usize = 16 << 20;

/// Writes `last`, closes our end and waits for the client's, on a task of its own. What is in
/// `held` is kept until then, so that a client cannot hold more sockets than its cap by leaving
/// them in this state.
pub(crate) fn detach<H: Send + 'static>(transport: Transport, last: Vec<u8>, held: H) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        close(transport, &last).await;
        drop(held);
    });
}

/// Writes `last`, closes our end and waits for the client's.
pub(crate) async fn close(mut transport: Transport, last: &[u8]) {
    let goodbye = async {
        if !last.is_empty() && transport.write_all(last).await.is_err() {
            return;
        }
        if transport.shutdown().await.is_ok() {
            discard(&mut transport).await;
        }
    };
    timeout(WAIT, goodbye).await.ok();
}

/// Reads below TLS: nobody wants to know what it says.
async fn discard(transport: &mut Transport) {
    let socket = transport.socket();
    let mut buffer = vec![0; 16 * 1024];
    let mut left = DRAIN;
    while let Ok(read) = socket.read(&mut buffer).await {
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            return;
        }
    }
}

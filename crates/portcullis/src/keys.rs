//! API keys in a running process: the store is looked at, and uses are written down now and then.

use std::sync::Arc;
use std::time::Duration;

use portcullis_authn::ApiKeys;
use portcullis_state::{Durable, DurableError};

/// Time between two times that uses are written down.
const FLUSH: Duration = Duration::from_secs(5);

/// Names the store of the process, and looks at it from now on. Requests that come before the first good
/// look are answered 503.
pub(crate) async fn start(keys: &Arc<ApiKeys>, durable: &Arc<dyn Durable>) {
    keys.bind(Arc::clone(durable));
    if let Err(error) = keys.refresh().await {
        tracing::error!(%error, "API keys cannot be read");
    }
    tokio::spawn(keys.keep_fresh());
    tokio::spawn(write_down(Arc::clone(keys)));
}

async fn write_down(keys: Arc<ApiKeys>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(FLUSH).await;
        let done = keys.flush().await;
        note(&done, &mut failing);
    }
}

/// The last uses, at the end of the process.
pub(crate) async fn stop(keys: &ApiKeys) {
    note(&keys.flush().await, &mut false);
}

fn note(done: &Result<(), DurableError>, failing: &mut bool) {
    if let Err(error) = done
        && !*failing
    {
        tracing::warn!(%error, "uses of API keys cannot be written down");
    }
    *failing = done.is_err();
}

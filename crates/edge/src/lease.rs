//! What a connection holds as long as its socket is open: its place in the caps, its end's report.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::ConnMeta;

use crate::Edge;
use crate::caps::Permit;

pub(crate) struct Lease {
    edge: Edge,
    meta: Arc<ConnMeta>,
    opened: Duration,
    permit: Option<Permit>,
}

impl Lease {
    /// Reports the connection as opened.
    pub(crate) fn new(edge: Edge, meta: Arc<ConnMeta>, permit: Permit) -> Self {
        edge.events().opened(&meta);
        let opened = edge.clock().monotonic();
        Self { edge, meta, opened, permit: Some(permit) }
    }

    pub(crate) const fn meta(&self) -> &Arc<ConnMeta> {
        &self.meta
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // First, so that whoever hears of the end finds the place free.
        drop(self.permit.take());
        let lasted = self.edge.clock().monotonic().saturating_sub(self.opened);
        self.edge.events().closed(&self.meta, lasted);
    }
}

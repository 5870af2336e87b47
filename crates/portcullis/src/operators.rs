//! The listeners for operators, rebound when their address changes.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use portcullis_config::snapshot::{AdminTerms, ListenAddress};
use portcullis_core::Secret;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::handover::{Slot, Sockets};
use crate::probes;
use crate::runtime::Runtime;
use crate::web::{Place, Server};

/// The two servers.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    admin: Option<Running>,
    probes: Option<Running>,
}

#[derive(Debug)]
struct Running {
    place: Place,
    token: Option<Secret>,
    /// The listening socket once more, for a successor.
    socket: OwnedFd,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Operators {
    /// Serves at the addresses of `terms`. Both are bound before either changes. Returns a line for
    /// each that is new, with its real address. Sockets of a predecessor are used where they fit.
    pub(crate) async fn set(
        &mut self,
        adopted: &mut Sockets,
        runtime: &Arc<Runtime>,
        terms: &AdminTerms,
        token: &Secret,
    ) -> Result<Vec<String>, String> {
        let admin_place = match &terms.address {
            ListenAddress::Tcp(address) => Place::Tcp(*address),
            ListenAddress::Unix(path) => Place::Unix(path.clone()),
        };
        let probes_place = Place::Tcp(terms.probes);
        if self
            .admin
            .as_ref()
            .is_some_and(|a| a.token.as_ref() != Some(token) && a.place == admin_place)
        {
            // The same place under another token: the old server gives it up first.
            self.admin = None;
            tokio::task::yield_now().await;
        }
        let admin = bind_if_new(self.admin.as_ref(), &admin_place, Slot::Admin, adopted).await?;
        let probes =
            bind_if_new(self.probes.as_ref(), &probes_place, Slot::Probes, adopted).await?;
        let mut lines = Vec::new();
        if let Some((server, socket)) = admin {
            lines.push(format!("listening admin {}", server.address()));
            let state = Admin::new(Arc::clone(runtime), token.clone());
            let task = tokio::spawn(server.serve(move |request| state.clone().answer(request)));
            self.admin =
                Some(Running { place: admin_place, token: Some(token.clone()), socket, task });
        }
        if let Some((server, socket)) = probes {
            lines.push(format!("listening probes {}", server.address()));
            let runtime = Arc::clone(runtime);
            let handler = move |request| probes::answer(Arc::clone(&runtime), request);
            let task = tokio::spawn(server.serve(handler));
            self.probes = Some(Running { place: probes_place, token: None, socket, task });
        }
        Ok(lines)
    }

    /// Adds the listening sockets to those that a successor gets.
    pub(crate) fn offer(&self, sockets: &mut Sockets) {
        let all = [(Slot::Admin, &self.admin), (Slot::Probes, &self.probes)];
        for (slot, running) in all {
            let Some(running) = running else { continue };
            if let Ok(socket) = running.socket.as_fd().try_clone_to_owned() {
                sockets.add(slot, &running.place, socket);
            }
        }
    }
}

async fn bind_if_new(
    running: Option<&Running>,
    place: &Place,
    slot: Slot,
    adopted: &mut Sockets,
) -> Result<Option<(Server, OwnedFd)>, String> {
    if running.is_some_and(|running| running.place == *place) {
        return Ok(None);
    }
    let server = match adopted.take(&slot, place) {
        Some(socket) => Server::adopt(place, socket),
        None => Server::bind(place).await,
    };
    let both = server.and_then(|server| server.descriptor().map(|socket| (server, socket)));
    let what = if slot == Slot::Admin { "admin" } else { "probes" };
    both.map(Some).map_err(|error| format!("{what} cannot listen on {place}: {error}"))
}

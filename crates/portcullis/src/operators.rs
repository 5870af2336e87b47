//! The listeners for operators, rebound when their address changes.

use std::future::ready;
use std::sync::Arc;

use portcullis_config::snapshot::{AdminTerms, ListenAddress};
use portcullis_core::Secret;
use tokio::task::JoinHandle;

use crate::admin::Admin;
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
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Operators {
    /// Serves at the addresses of `terms`. Both are bound before either changes. Returns a line for
    /// each that is new, with its real address.
    pub(crate) async fn set(
        &mut self,
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
        let admin = bind_if_new(self.admin.as_ref(), &admin_place, "admin").await?;
        let probes = bind_if_new(self.probes.as_ref(), &probes_place, "probes").await?;
        let mut lines = Vec::new();
        if let Some(server) = admin {
            lines.push(format!("listening admin {}", server.address()));
            let state = Admin::new(Arc::clone(runtime), token.clone());
            let task = tokio::spawn(server.serve(move |request| ready(state.answer(&request))));
            self.admin = Some(Running { place: admin_place, token: Some(token.clone()), task });
        }
        if let Some(server) = probes {
            lines.push(format!("listening probes {}", server.address()));
            let runtime = Arc::clone(runtime);
            let handler = move |request| ready(probes::answer(&runtime, &request));
            let task = tokio::spawn(server.serve(handler));
            self.probes = Some(Running { place: probes_place, token: None, task });
        }
        Ok(lines)
    }
}

async fn bind_if_new(
    running: Option<&Running>,
    place: &Place,
    what: &str,
) -> Result<Option<Server>, String> {
    if running.is_some_and(|running| running.place == *place) {
        return Ok(None);
    }
    let shown = match place {
        Place::Tcp(address) => address.to_string(),
        Place::Unix(path) => format!("unix:{}", path.display()),
    };
    let server = Server::bind(place).await;
    server.map(Some).map_err(|error| format!("{what} cannot listen on {shown}: {error}"))
}

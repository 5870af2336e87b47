//! Certificates that are ordered: the engine with everything it needs of the process.

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::snapshot::TlsTerms;
use portcullis_core::Clock;
use portcullis_state::Durable;
use portcullis_tls::CertificateStore;
use portcullis_tls::acme::{Acme, AcmePlan, Pace, Published, Solvers};

use crate::runtime::Runtime;

/// How long the end of the process waits for answers to challenges to be taken away.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

/// The engine of this process. What is kept is served at once; nothing is ordered yet, because
/// nobody could answer the authority.
pub(crate) async fn start(runtime: &Arc<Runtime>, plan: Option<&AcmePlan>) -> Acme {
    let (durable, clock) = (Arc::clone(runtime.durable()), runtime.clock().clone());
    let acme = Acme::new(durable, clock, Arc::clone(runtime) as _, Pace::default());
    if let Some(plan) = plan {
        acme.load(plan).await;
    }
    acme
}

/// What `tls` asks to be ordered.
pub(crate) fn plan(
    tls: &TlsTerms,
    durable: &Arc<dyn Durable>,
    store: &CertificateStore,
    clock: &Clock,
) -> Option<AcmePlan> {
    let settings = tls.acme.clone()?;
    let dns = settings.dns.as_ref().map(|means| means.solver(clock));
    let published = Published::new(Arc::clone(durable));
    Some(AcmePlan {
        settings,
        names: tls.sources.acme.clone(),
        solvers: Solvers { published, dns },
        store: store.clone(),
    })
}

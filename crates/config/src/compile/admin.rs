//! `admin`.

use crate::at::At;
use crate::compile::Context;
use crate::compile::listeners::{address_of, clash, place_of};
use crate::problem::{Problem, Problems};
use crate::raw::admin::Admin;
use crate::snapshot::{AdminTerms, ListenAddress, ListenerPlan};

/// The shortest token, in bytes.
const SHORTEST_TOKEN: usize = 16;

impl Admin {
    /// Compiles the section; `listeners` may not have its addresses.
    pub(super) fn compile(
        self,
        at: &At,
        listeners: &[ListenerPlan],
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<AdminTerms> {
        let Self { address, token, probes } = self;
        let address_at = at.key("address");
        let address = place_of(&address, &address_at, context, problems);
        let probes_at = at.key("probes");
        let probes = address_of(&probes, &probes_at, problems);
        let token_at = at.key("token");
        let said = token.is_some();
        let token = token.and_then(|token| token.read(&token_at, context, problems));
        if token.as_ref().is_some_and(|token| token.expose().len() < SHORTEST_TOKEN) {
            let problem = Problem::new(token_at, "the token is too short to be safe");
            problems.push(problem.expected(format!("at least {SHORTEST_TOKEN} bytes")));
            return None;
        }
        if said && token.is_none() && context.reads_files() {
            return None;
        }
        let (address, probes) = (address?, probes?);
        let mut others: Vec<_> =
            listeners.iter().map(|plan| (&*plan.name, plan.address.clone())).collect();
        note_clash(&address, &others, &address_at, problems);
        others.push(("admin", address.clone()));
        note_clash(&ListenAddress::Tcp(probes), &others, &probes_at, problems);
        Some(AdminTerms { address, token, probes })
    }
}

fn note_clash(
    address: &ListenAddress,
    taken: &[(&str, ListenAddress)],
    at: &At,
    problems: &mut Problems,
) {
    if let Some((name, _)) = taken.iter().find(|(_, other)| clash(other, address)) {
        let message = format!("`{name}` listens on this address already");
        problems.push(Problem::new(at.clone(), message));
    }
}

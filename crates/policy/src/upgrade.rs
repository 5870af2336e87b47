//! Protocols that a request may turn its connection into (RFC 9110 §7.8): only those that the route
//! lists, and not for pages of other origins where a cookie says who it is.

use http::{HeaderMap, Method, header};
use portcullis_core::{Denial, Head};

use crate::{Route, RouteCors};

/// A protocol that a route may let a connection be turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeToken {
    /// RFC 6455.
    WebSocket,
}

impl UpgradeToken {
    /// Its name in `Upgrade`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
        }
    }

    /// Whether an `Upgrade` with these fields names it.
    pub fn is_named(self, headers: &HeaderMap) -> bool {
        lists(headers, &header::UPGRADE, self.as_str())
    }
}

/// What the connection is to become: `None` where the request asks for nothing that the route lists,
/// so that it is an ordinary one. `ambient`: its credential is one that browsers send by themselves.
pub(crate) fn admit_upgrade(
    route: &Route,
    head: &Head<'_>,
    ambient: bool,
) -> Result<Option<UpgradeToken>, Denial> {
    let is_upgrade = *head.method == Method::GET
        && !head.has_body
        && lists(head.headers, &header::CONNECTION, "upgrade");
    let wanted = route.upgrade.iter().find(|token| is_upgrade && token.is_named(head.headers));
    // A page of any origin may open a web socket, with the cookies of its host, and read from it.
    if wanted.is_some() && ambient && !is_own_origin(route, head) {
        return Err(Denial::OriginNotAllowed);
    }
    Ok(wanted.copied())
}

/// Whether a field that is a list of tokens has this one among them.
fn lists(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// Whether the page is of the same origin, or of one that `cors` names.
fn is_own_origin(route: &Route, head: &Head<'_>) -> bool {
    let mut origins = head.headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    let scheme = if head.https { "https" } else { "http" };
    if origin.as_bytes() == format!("{scheme}://{}", head.authority).as_bytes() {
        return true;
    }
    match &route.cors {
        RouteCors::Policy(policy) => origin.to_str().is_ok_and(|origin| policy.names(origin)),
        RouteCors::App | RouteCors::Off => false,
    }
}

//! What stages say that they saw: the same words in `explain` and in `/decisions`, without secrets.

use std::net::IpAddr;

use portcullis_core::Principal;

use crate::{Bound, Route};

/// Of a public route.
pub const PUBLIC: &str = "public: no credential is looked at";

/// Of a request without any.
pub const NO_CREDENTIAL: &str = "no credential";

/// The client, and the hops it came by.
pub fn client(address: IpAddr, hops: &[IpAddr]) -> String {
    let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
    format!("client {address} (hops {})", hops.join(", "))
}

/// The route of a path.
pub fn route(path: &str, route: &Route) -> String {
    format!("{path} is route {}", route.name)
}

/// A path whose routes take other methods.
pub fn other_methods(path: &str) -> String {
    format!("{path} takes other methods")
}

/// A path without a route.
pub fn no_route(path: &str) -> String {
    format!("no route for {path}")
}

/// What is said of a body before it comes.
pub fn body(length: Option<u64>, has_body: bool, maximum: u64) -> String {
    match length {
        Some(length) => format!("body of {length} bytes, {maximum} allowed"),
        None if has_body => format!("body of unknown length, {maximum} allowed"),
        None => "no body".to_owned(),
    }
}

/// Whom a credential stands for, and what it is bound to.
pub fn principal(principal: &Principal, bound: &Bound) -> String {
    format!("{} of issuer {}{bound}", principal.subject, principal.issuer_name)
}

/// What a principal brings along.
pub fn rights(principal: &Principal) -> String {
    let (scopes, roles) = (principal.scopes.join(" "), principal.roles.join(", "));
    format!("scopes [{scopes}], roles [{roles}]")
}

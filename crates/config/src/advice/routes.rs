//! A route as rules ask about it: what it says itself, and what it has from `defaults`.

use crate::advice::facts::named;
use crate::at::At;
use crate::raw::File;
use crate::raw::access::{Access, Credential, Rules};
use crate::raw::defaults::Defaults;
use crate::raw::forward::TokenMode;
use crate::raw::limits::Limit;
use crate::raw::response_headers::ResponseHeaders;
use crate::raw::routes::Route;
use crate::read::Items;

/// The methods of a route that says nothing of them.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// One route.
pub(super) struct RouteFacts<'a> {
    pub(super) at: At,
    pub(super) raw: &'a Route,
    pub(super) file: &'a File,
}

impl<'a> RouteFacts<'a> {
    pub(super) fn name(&self) -> &'a str {
        named(self.raw.name.as_ref())
    }

    pub(super) fn path(&self) -> &'a str {
        named(self.raw.path.as_ref())
    }

    pub(super) const fn defaults(&self) -> &'a Defaults {
        &self.file.defaults
    }

    /// What counts of a key that `defaults` may have, with its place.
    pub(super) fn said<'v, T>(
        &self,
        path: &[&str],
        own: Option<&'v T>,
        default: Option<&'v T>,
    ) -> Option<(At, &'v T)> {
        let below = |at: &At| path.iter().fold(at.clone(), |at, key| at.key(key));
        match (own, default) {
            (Some(value), _) => Some((below(&self.at), value)),
            (None, Some(value)) => Some((below(&At::root().key("defaults")), value)),
            (None, None) => None,
        }
    }

    /// Where its access is said.
    pub(super) fn access_at(&self) -> At {
        self.at.key("access")
    }

    pub(super) const fn is_public(&self) -> bool {
        matches!(self.raw.access, Some(Access::Public))
    }

    /// What it demands; `None` where it is public.
    pub(super) const fn rules(&self) -> Option<&'a Rules> {
        match &self.raw.access {
            Some(Access::Rules(rules)) => Some(rules),
            Some(Access::Public) | None => None,
        }
    }

    /// The credentials of which one suffices.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &'a Credential> {
        self.rules().and_then(|rules| rules.any_of.as_ref()).into_iter().flat_map(Items::iter)
    }

    /// Whether nobody needs a credential.
    pub(super) fn lets_anybody_in(&self) -> bool {
        let also = self.rules().is_some_and(|rules| rules.also.is_some());
        let anonymous = self.credentials().any(|one| matches!(one, Credential::Anonymous));
        self.is_public() || anonymous && !also
    }

    /// Names of the issuers whose tokens it takes.
    pub(super) fn issuers(&self) -> impl Iterator<Item = &'a str> {
        self.credentials().filter_map(|one| {
            let Credential::Named(named) = one else { return None };
            named.issuer.as_deref()
        })
    }

    /// Whether a token as such suffices: no scopes, no roles, nothing on top.
    pub(super) fn asks_for_no_permission(&self) -> bool {
        let Some(rules) = self.rules() else { return true };
        let bare = |one: &Credential| matches!(one, Credential::Named(named) if named.issuer.is_some() && named.scopes.is_none());
        rules.roles.is_none() && rules.also.is_none() && self.credentials().any(bare)
    }

    pub(super) fn methods(&self) -> Vec<&'a str> {
        let said = self.raw.methods.as_ref().or(self.defaults().methods.as_ref());
        said.map_or_else(|| METHODS.to_vec(), |list| list.iter().map(String::as_str).collect())
    }

    /// Whether it takes a method that changes something.
    pub(super) fn writes(&self) -> bool {
        self.methods().into_iter().any(|method| !is_safe(method))
    }

    /// The limits that it counts.
    pub(super) fn limits(&self) -> impl Iterator<Item = &'a Limit> {
        let names = self.raw.limits.as_ref().or(self.defaults().limits.as_ref());
        let names: Vec<&str> =
            names.into_iter().flat_map(|list| list.iter().map(String::as_str)).collect();
        let has = move |limit: &&Limit| names.contains(&named(limit.name.as_ref()));
        self.file.limits.iter().filter(has)
    }

    /// Name of the upstream.
    pub(super) fn upstream(&self) -> Option<&'a str> {
        self.raw.forward.as_ref()?.upstream.as_deref()
    }

    /// What is taken off the path.
    pub(super) fn strip_prefix(&self) -> Option<(At, &'a String)> {
        let own = self.raw.forward.as_ref().and_then(|forward| forward.strip_prefix.as_ref());
        let default = self.defaults().forward.strip_prefix.as_ref();
        self.said(&["forward", "strip_prefix"], own, default)
    }

    /// Which token the app gets.
    pub(super) fn token(&self) -> Option<(At, TokenMode)> {
        let own = self.raw.forward.as_ref().and_then(|forward| forward.identity.token.as_ref());
        let default = self.defaults().forward.identity.token.as_ref();
        let said = self.said(&["forward", "identity", "token"], own, default);
        said.map(|(at, mode)| (at, *mode))
    }

    /// What is done to one of the security fields, with its place.
    pub(super) fn field<T>(
        &self,
        key: &str,
        field: fn(&ResponseHeaders) -> Option<&T>,
    ) -> Option<(At, &'a T)> {
        let own = field(&self.raw.response_headers);
        let default = field(&self.defaults().response_headers);
        self.said(&["response_headers", key], own, default)
    }
}

/// Whether a method changes nothing (RFC 9110 §9.2.1).
pub(super) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "QUERY" | "PROPFIND" | "REPORT" | "SEARCH")
}

//! The head of one request as every stage sees it: normalised once, judged and forwarded the same.

use http::{HeaderMap, Method};

use crate::{Authority, CanonicalPath};

/// One request head. Borrows the headers, so that building it copies none of them.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The method, case as sent.
    pub method: &'a Method,
    /// The one authority: `Host` on HTTP/1.1, `:authority` on HTTP/2, in canonical form.
    pub authority: Authority,
    /// The one path: what policy judges is what the upstream receives.
    pub path: CanonicalPath,
    /// The query without its `?`, bytes as sent; `None` where there was no `?`.
    pub query: Option<&'a str>,
    /// All fields as received.
    pub headers: &'a HeaderMap,
    /// Whether the client's own connection was TLS, by us or by a trusted proxy's word.
    pub https: bool,
    /// Declared `Content-Length`, in bytes.
    pub content_length: Option<u64>,
    /// Whether a body follows, of declared length or not.
    pub has_body: bool,
}

//! Methods, by name.

use http::Method;

use crate::at::At;
use crate::problem::{Problem, Problems};

/// Methods that a route may list (RFC 9110 §9, RFC 5789, RFC 4918, and QUERY).
const KNOWN: [&str; 17] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
];

/// The method that `text` names.
pub(super) fn method(text: &str, at: &At, problems: &mut Problems) -> Option<Method> {
    if KNOWN.contains(&text) {
        return Method::from_bytes(text.as_bytes()).ok();
    }
    let upper = text.to_ascii_uppercase();
    let problem = if upper == "CONNECT" || upper == "TRACE" {
        Problem::new(at.clone(), format!("`{text}` is never forwarded"))
    } else {
        Problem::new(at.clone(), format!("`{text}` is not a method that is known"))
            .one_of(&upper, &KNOWN)
    };
    problems.push(problem);
    None
}

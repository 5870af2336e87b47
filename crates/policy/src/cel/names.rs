//! The variables that expressions know, with their fields and types.

use super::asked::{Field, Read};
use super::types::Type;

/// All of them.
pub(super) const VARIABLES: [&str; 6] = ["claims", "client", "now", "path", "principal", "request"];

/// Fields of `principal`.
pub(super) const OF_PRINCIPAL: [&str; 7] =
    ["expires", "iss", "issuer", "kind", "roles", "scopes", "subject"];
/// Fields of `request`.
pub(super) const OF_REQUEST: [&str; 7] =
    ["content_length", "headers", "host", "https", "method", "path", "query"];
/// Fields of `client`.
pub(super) const OF_CLIENT: [&str; 1] = ["address"];

/// The fields of a variable that has a fixed set of them.
pub(super) fn fields(variable: &str) -> &'static [&'static str] {
    match variable {
        "client" => &OF_CLIENT,
        "principal" => &OF_PRINCIPAL,
        "request" => &OF_REQUEST,
        _ => &[],
    }
}

/// What `variable.field` reads, and its type.
pub(super) fn field(variable: &str, field: &str) -> Option<(Read, Type)> {
    let texts = || Type::list(Type::Text);
    Some(match (variable, field) {
        ("client", "address") => (Read::ClientAddress, Type::Text),
        ("principal", "expires") => (Read::Principal(Field::Expires), Type::Timestamp),
        ("principal", "iss") => (Read::Principal(Field::Iss), Type::Text),
        ("principal", "issuer") => (Read::Principal(Field::Issuer), Type::Text),
        ("principal", "kind") => (Read::Principal(Field::Kind), Type::Text),
        ("principal", "roles") => (Read::Principal(Field::Roles), texts()),
        ("principal", "scopes") => (Read::Principal(Field::Scopes), texts()),
        ("principal", "subject") => (Read::Principal(Field::Subject), Type::Text),
        ("request", "content_length") => (Read::ContentLength, Type::Int),
        ("request", "host") => (Read::Host, Type::Text),
        ("request", "https") => (Read::Https, Type::Bool),
        ("request", "method") => (Read::Method, Type::Text),
        ("request", "path") => (Read::Path, Type::Text),
        _ => return None,
    })
}

/// Whether policies may read the field: not credentials, nor what a client says of itself that only we or
/// a trusted proxy may say. Some servers read any other sign as `-`.
pub(super) fn may_read(header: &str) -> bool {
    let hidden = ["authorization", "cookie", "dpop", "forwarded", "proxy-authorization"];
    let prefixes = ["x-forwarded-", "x-portcullis-"];
    let folded = header.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-");
    !hidden.contains(&&*folded) && !prefixes.iter().any(|prefix| folded.starts_with(prefix))
}

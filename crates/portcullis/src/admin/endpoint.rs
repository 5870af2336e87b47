//! What the admin listener answers: each path, and the methods that fit it.

use http::{Method, StatusCode};

use super::{Answer, Call, config};
use crate::{decisions, keys, revocations};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// What runs.
    Config,
    /// What was decided last.
    Decisions,
    /// One API key.
    Key,
    /// All API keys.
    Keys,
    /// One revocation.
    Revocation,
    /// All revocations.
    Revocations,
}

/// One that was found, and the step of the path that is not fixed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'p> {
    /// Which.
    pub endpoint: Endpoint,
    /// The step at `{id}`; empty where there is none.
    pub id: &'p str,
}

/// Each path; `{id}` stands for one step.
const PATHS: &[(&str, Endpoint, &[Method])] = &[
    ("/config", Endpoint::Config, &[Method::GET]),
    ("/decisions", Endpoint::Decisions, &[Method::GET]),
    ("/keys", Endpoint::Keys, &[Method::GET, Method::POST]),
    ("/keys/{id}", Endpoint::Key, &[Method::DELETE, Method::POST]),
    ("/revocations", Endpoint::Revocations, &[Method::GET, Method::POST]),
    ("/revocations/{id}", Endpoint::Revocation, &[Method::DELETE]),
];

impl Endpoint {
    /// The one at `path`, which is taken as it came: nothing here needs to be encoded.
    pub(super) fn find(path: &str) -> Option<Found<'_>> {
        PATHS.iter().find_map(|(pattern, endpoint, _)| {
            let id = matched(pattern, path)?;
            Some(Found { endpoint: *endpoint, id })
        })
    }

    /// What it can be asked with.
    pub(super) fn methods(self) -> &'static [Method] {
        PATHS.iter().find(|(_, endpoint, _)| *endpoint == self).map_or(&[], |(.., methods)| methods)
    }

    /// Answers; the method is one of [`Self::methods`].
    pub(super) async fn answer(self, method: &Method, call: Call<'_>) -> Answer {
        match self {
            Self::Config => Ok((StatusCode::OK, config(call.runtime))),
            Self::Decisions => decisions::answer(&call.runtime.recorder().decisions, call.query),
            Self::Key | Self::Keys => keys::answer(method, call).await,
            Self::Revocation => revocations::restore(call).await,
            Self::Revocations if *method == Method::POST => revocations::make(call).await,
            Self::Revocations => revocations::list(call).await,
        }
    }
}

/// The step at `{id}`, if `path` is one of `pattern`; empty where the pattern has none.
fn matched<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.strip_suffix("{id}") {
        None => (path == pattern).then_some(""),
        Some(folder) => {
            let id = path.strip_prefix(folder)?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            (!id.is_empty() && id.bytes().all(plain)).then_some(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_step_and_plain() {
        assert_eq!(matched("/config", "/config"), Some(""));
        assert_eq!(matched("/config", "/config/"), None);
        assert_eq!(matched("/keys/{id}", "/keys/a-1_b"), Some("a-1_b"));
        for path in ["/keys/", "/keys", "/keys/a/b", "/keys/a%2fb", "/keys/a?b", "/other/a"] {
            assert_eq!(matched("/keys/{id}", path), None, "{path}");
        }
    }

    #[test]
    fn each_endpoint_has_one_path_and_a_method() {
        for (index, (_, endpoint, methods)) in PATHS.iter().enumerate() {
            assert!(!methods.is_empty());
            assert_eq!(PATHS.iter().position(|(_, other, _)| other == endpoint), Some(index));
        }
        assert_eq!(Endpoint::find("/decisions").unwrap().endpoint, Endpoint::Decisions);
        assert_eq!(Endpoint::find("/none"), None);
    }
}

//! Security headers on answers: what is set, kept and removed, and where.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What is done to one field of an app's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldAction {
    /// Set where the app says nothing.
    IfMissing(HeaderValue),
    /// Left as the app says.
    Keep,
    /// Taken out.
    Remove,
    /// Set, whatever the app says.
    Replace(HeaderValue),
}

/// On which answers a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// On all.
    Always,
    /// On those a browser may render as a document.
    Documents,
    /// On those that leave over TLS.
    Tls,
}

/// One field and what is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The field.
    pub name: HeaderName,
    /// What is done.
    pub action: FieldAction,
    /// Where.
    pub applies: Applies,
}

/// Access to the fields of an answer, whatever library holds them.
pub trait Fields {
    /// Whether the field is there.
    fn contains(&self, name: &HeaderName) -> bool;
    /// Puts the field in the place of all of its name.
    fn insert(&mut self, name: &HeaderName, value: &HeaderValue);
    /// Takes out all of its name.
    fn remove(&mut self, name: &HeaderName);
}

impl Fields for HeaderMap {
    fn contains(&self, name: &HeaderName) -> bool {
        self.contains_key(name)
    }

    fn insert(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.insert(name.clone(), value.clone());
    }

    fn remove(&mut self, name: &HeaderName) {
        while Self::remove(self, name).is_some() {}
    }
}

/// `Content-Security-Policy` of our own answers, which load and frame nothing.
const OWN_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// The rules of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPolicy {
    rules: Vec<HeaderRule>,
}

impl HeaderPolicy {
    /// From rules in any order, each name once.
    pub fn new(rules: Vec<HeaderRule>) -> Self {
        Self { rules }
    }

    /// The rules.
    pub fn rules(&self) -> &[HeaderRule] {
        &self.rules
    }

    /// Applies the rules to an app's answer.
    pub fn apply(&self, fields: &mut impl Fields, document: bool, tls: bool) {
        for rule in &self.rules {
            let applies = match rule.applies {
                Applies::Always => true,
                Applies::Documents => document,
                Applies::Tls => tls,
            };
            match &rule.action {
                FieldAction::Remove => fields.remove(&rule.name),
                FieldAction::Replace(value) if applies => fields.insert(&rule.name, value),
                FieldAction::IfMissing(value) if applies && !fields.contains(&rule.name) => {
                    fields.insert(&rule.name, value);
                }
                FieldAction::IfMissing(_) | FieldAction::Keep | FieldAction::Replace(_) => {}
            }
        }
    }

    /// Sets the fields of an answer of our own: the route's values where it sets any, the safe ones
    /// where it keeps or removes them, and a policy that lets nothing load.
    pub fn apply_own(&self, fields: &mut impl Fields, tls: bool) {
        for safe in Self::default().rules {
            if safe.name == http::header::CONTENT_SECURITY_POLICY {
                fields.insert(&safe.name, &HeaderValue::from_static(OWN_CSP));
                continue;
            }
            let rule = self.rules.iter().find(|rule| rule.name == safe.name).unwrap_or(&safe);
            let value = match (&rule.action, &safe.action) {
                (FieldAction::IfMissing(value) | FieldAction::Replace(value), _)
                | (_, FieldAction::IfMissing(value) | FieldAction::Replace(value)) => value,
                (_, FieldAction::Keep | FieldAction::Remove) => continue,
            };
            if safe.applies != Applies::Tls || tls {
                fields.insert(&safe.name, value);
            }
        }
    }
}

impl Default for HeaderPolicy {
    /// The safe set that `language.yaml` calls the defaults of `response_headers`.
    fn default() -> Self {
        use FieldAction::{IfMissing, Remove, Replace};
        let value = HeaderValue::from_static;
        let rule = |name: &'static str, action, applies| HeaderRule {
            name: HeaderName::from_static(name),
            action,
            applies,
        };
        Self::new(vec![
            rule("strict-transport-security", Replace(value("max-age=31536000")), Applies::Tls),
            rule(
                "content-security-policy",
                IfMissing(value("frame-ancestors 'none'; base-uri 'self'; object-src 'none'")),
                Applies::Documents,
            ),
            rule("x-frame-options", IfMissing(value("DENY")), Applies::Always),
            rule("x-content-type-options", Replace(value("nosniff")), Applies::Always),
            rule("referrer-policy", IfMissing(value("no-referrer")), Applies::Always),
            rule("permissions-policy", IfMissing(value(MINIMAL_PERMISSIONS)), Applies::Always),
            rule("cross-origin-opener-policy", IfMissing(value("same-origin")), Applies::Always),
            rule("cross-origin-resource-policy", IfMissing(value("same-origin")), Applies::Always),
            rule("server", Remove, Applies::Always),
            rule("x-powered-by", Remove, Applies::Always),
        ])
    }
}

/// `permissions_policy: minimal`: none of the powerful features, for no origin.
pub const MINIMAL_PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), \
     geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// Whether a browser may render a body of this type as a document: one without a type counts.
pub fn is_document(content_type: Option<&HeaderValue>) -> bool {
    let Some(value) = content_type else { return true };
    let Ok(text) = value.to_str() else { return true };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty()
        || essence == "text/html"
        || essence.ends_with("/xml")
        || essence.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(n, v): &(&'static str, &'static str)| {
            (HeaderName::from_static(n), HeaderValue::from_static(v))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn defaults_replace_set_and_remove() {
        let mut answer = fields(&[
            ("server", "uvicorn"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-content-type-options", "sniff"),
            ("strict-transport-security", "max-age=1"),
        ]);
        HeaderPolicy::default().apply(&mut answer, true, true);
        assert!(!answer.contains_key("server"));
        assert_eq!(answer["x-frame-options"], "SAMEORIGIN");
        assert_eq!(answer["x-content-type-options"], "nosniff");
        assert_eq!(answer["strict-transport-security"], "max-age=31536000");
        assert!(answer.contains_key("content-security-policy"));
        assert!(answer.contains_key("permissions-policy"));
    }

    #[test]
    fn hsts_is_for_tls_and_csp_for_documents() {
        let mut answer = HeaderMap::new();
        HeaderPolicy::default().apply(&mut answer, false, false);
        assert!(!answer.contains_key("strict-transport-security"));
        assert!(!answer.contains_key("content-security-policy"));
    }

    #[test]
    fn our_own_answers_load_nothing_whatever_the_route_keeps() {
        let name = http::header::CONTENT_SECURITY_POLICY;
        let keep = HeaderRule { name, action: FieldAction::Keep, applies: Applies::Documents };
        let mut answer = HeaderMap::new();
        HeaderPolicy::new(vec![keep]).apply_own(&mut answer, true);
        assert_eq!(answer["content-security-policy"], OWN_CSP);
        assert_eq!(answer["x-content-type-options"], "nosniff");
        assert_eq!(answer["x-frame-options"], "DENY");
        assert_eq!(answer["strict-transport-security"], "max-age=31536000");
    }

    #[test]
    fn documents_are_what_a_browser_renders() {
        for (kind, expected) in [
            (Some("text/html; charset=utf-8"), true),
            (Some("application/json"), false),
            (Some("image/svg+xml"), true),
            (Some("application/xhtml+xml"), true),
            (None, true),
        ] {
            let value = kind.map(HeaderValue::from_static);
            assert_eq!(is_document(value.as_ref()), expected, "{kind:?}");
        }
    }
}

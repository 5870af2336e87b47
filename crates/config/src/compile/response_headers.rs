//! `response_headers` of a route and of `defaults`.

use http::HeaderValue;
use portcullis_policy::headers::MINIMAL_PERMISSIONS;
use portcullis_policy::{FieldAction, HeaderPolicy, HeaderRule};

use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::raw::response_headers::{FieldRule, ResponseHeaders, TransportRule};

/// `Strict-Transport-Security` for subdomains too.
const WITH_SUBDOMAINS: &str = "max-age=31536000; includeSubDomains";
/// `Strict-Transport-Security` for the host alone.
const HOST_ALONE: &str = "max-age=31536000";

/// What was said of one field.
enum Said {
    Field(FieldRule),
    Transport(TransportRule),
}

impl ResponseHeaders {
    /// The policy that these rules make of `base`: what is not said stays.
    pub(super) fn compile(
        self,
        at: &At,
        base: &HeaderPolicy,
        problems: &mut Problems,
    ) -> Option<HeaderPolicy> {
        let mut rules = base.rules().to_vec();
        let mut sound = !problems.touch(at);
        for (key, field, said) in self.said() {
            let at = at.key(key);
            let action = match said {
                Said::Field(rule) => rule.compile(field, &at, problems),
                Said::Transport(rule) => rule.compile(&at, problems),
            };
            match (action, rules.iter_mut().find(|rule| rule.name == field)) {
                (Some(action), Some(rule)) => set(rule, action),
                (None, _) | (_, None) => sound = false,
            }
        }
        sound.then(|| HeaderPolicy::new(rules))
    }

    /// What is said, with the key of the file and the field's name.
    fn said(self) -> impl Iterator<Item = (&'static str, &'static str, Said)> {
        let Self {
            content_security_policy,
            content_type_options,
            cross_origin_opener_policy,
            cross_origin_resource_policy,
            frame_options,
            permissions_policy,
            referrer_policy,
            server,
            strict_transport_security,
            x_powered_by,
        } = self;
        let fields = [
            ("content_security_policy", "content-security-policy", content_security_policy),
            ("content_type_options", "x-content-type-options", content_type_options),
            (
                "cross_origin_opener_policy",
                "cross-origin-opener-policy",
                cross_origin_opener_policy,
            ),
            (
                "cross_origin_resource_policy",
                "cross-origin-resource-policy",
                cross_origin_resource_policy,
            ),
            ("frame_options", "x-frame-options", frame_options),
            ("permissions_policy", "permissions-policy", permissions_policy),
            ("referrer_policy", "referrer-policy", referrer_policy),
            ("server", "server", server),
            ("x_powered_by", "x-powered-by", x_powered_by),
        ];
        let fields = fields.map(|(key, field, rule)| (key, field, rule.map(Said::Field)));
        let transport = strict_transport_security.map(Said::Transport);
        fields
            .into_iter()
            .chain([("strict_transport_security", "strict-transport-security", transport)])
            .filter_map(|(key, field, said)| Some((key, field, said?)))
    }
}

fn set(rule: &mut HeaderRule, action: FieldAction) {
    rule.action = action;
}

impl FieldRule {
    fn compile(self, field: &str, at: &At, problems: &mut Problems) -> Option<FieldAction> {
        Some(match self {
            Self::IfMissing(text) => {
                FieldAction::IfMissing(value(&text, field, &at.key("if_missing"), problems)?)
            }
            Self::Keep => FieldAction::Keep,
            Self::Remove => FieldAction::Remove,
            Self::Value(text) => FieldAction::Replace(value(&text, field, at, problems)?),
        })
    }
}

impl TransportRule {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<FieldAction> {
        let field = "strict-transport-security";
        Some(match self {
            Self::IfMissing(text) => {
                FieldAction::IfMissing(value(&text, field, &at.key("if_missing"), problems)?)
            }
            Self::IncludeSubdomains(true) => {
                FieldAction::Replace(HeaderValue::from_static(WITH_SUBDOMAINS))
            }
            Self::IncludeSubdomains(false) => {
                FieldAction::Replace(HeaderValue::from_static(HOST_ALONE))
            }
            Self::Keep => FieldAction::Keep,
            Self::Remove => FieldAction::Remove,
            Self::Value(text) => FieldAction::Replace(value(&text, field, at, problems)?),
        })
    }
}

/// A value that means something in `field`.
fn value(text: &str, field: &str, at: &At, problems: &mut Problems) -> Option<HeaderValue> {
    let text = match (field, text) {
        ("permissions-policy", "minimal") => MINIMAL_PERMISSIONS,
        _ => text,
    };
    let known: Option<&[&str]> = match field {
        "cross-origin-opener-policy" => Some(&[
            "same-origin",
            "same-origin-allow-popups",
            "noopener-allow-popups",
            "unsafe-none",
        ]),
        "cross-origin-resource-policy" => Some(&["same-origin", "same-site", "cross-origin"]),
        "x-content-type-options" => Some(&["nosniff"]),
        "x-frame-options" => Some(&["DENY", "SAMEORIGIN"]),
        _ => None,
    };
    if let Some(known) = known.filter(|known| !known.contains(&text)) {
        let problem = Problem::new(at.clone(), format!("`{text}` means nothing in `{field}`"));
        problems.push(problem.one_of(text, known));
        return None;
    }
    if field == "strict-transport-security" && !is_transport(text) {
        let problem = Problem::new(at.clone(), format!("`{text}` means nothing in `{field}`"));
        let problem = problem.expected("such as \"max-age=31536000\" (RFC 6797 §6.1)");
        problems.push(problem.help("for the subdomains too: {include_subdomains: true}"));
        return None;
    }
    match HeaderValue::try_from(text) {
        Ok(value) if !text.trim().is_empty() => Some(value),
        Ok(_) | Err(_) => {
            problems.push(Problem::new(at.clone(), "this cannot be the value of a field"));
            None
        }
    }
}

fn is_transport(text: &str) -> bool {
    text.split(';').any(|directive| {
        let age = directive.trim().to_ascii_lowercase();
        age.strip_prefix("max-age=").is_some_and(|age| age.parse::<u64>().is_ok())
    })
}

//! `access` of a route.

use portcullis_authn::Possession;
use portcullis_authn::dpop::ALGORITHMS;
use portcullis_core::Schemes;
use portcullis_policy::{Access, CertificateWay, Demand, KeyWay, TokenWay};

use crate::at::At;
use crate::compile::check::{non_empty, texts};
use crate::compile::sections::Sections;
use crate::compile::{Context, access_certificates, api_keys, proof};
use crate::problem::{Problem, Problems};
use crate::raw::access as raw;
use crate::read::Items;

impl raw::Access {
    /// The names of its policies, which need to know the route's path.
    pub(super) fn take_policies(&mut self) -> Option<Items<String>> {
        match self {
            Self::Public => None,
            Self::Rules(rules) => rules.policies.take(),
        }
    }

    /// Compiles the demand of a route, but for its policies.
    pub(super) fn compile(
        self,
        at: &At,
        sections: &Sections,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Access> {
        match self {
            Self::Public => Some(Access::Public { origin: context.origin(at) }),
            Self::Rules(rules) => rules.compile(at, sections, context, problems),
        }
    }
}

#[derive(Default)]
struct Ways {
    tokens: Vec<TokenWay>,
    api_keys: Option<Box<KeyWay>>,
    certificates: Vec<CertificateWay>,
    anonymous: bool,
    /// The first issuer whose tokens have no roles.
    without_roles: Option<String>,
}

impl raw::Rules {
    fn compile(
        self,
        at: &At,
        sections: &Sections,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Access> {
        let Self { any_of, also, roles, policies: _ } = self;
        let any_of = problems.required(at, "any_of", any_of);
        let any_of_at = at.key("any_of");
        let any_of = any_of.and_then(|list| non_empty(list, &any_of_at, problems));
        let ways = any_of.and_then(|list| ways(list, &any_of_at, sections, context, problems));
        let also = access_certificates::also(also, &at.key("also"), context, problems);
        let roles_at = at.key("roles");
        let roles = match roles {
            Some(roles) => {
                let roles = texts(roles, &roles_at, problems);
                if let Some(ways) = &ways {
                    check_roles(ways, &roles_at, problems)?;
                }
                roles?
            }
            None => Vec::new(),
        };
        let (Ways { tokens, api_keys, certificates, anonymous, .. }, also) = (ways?, also?);
        let in_head = !tokens.is_empty() || api_keys.is_some();
        if !in_head && !anonymous && !also.is_empty() {
            let message = "every way of `any_of` is a certificate already";
            let problem = Problem::new(at.key("also"), message).on_key();
            problems.push(problem.help("say in `any_of` which names it must have"));
            return None;
        }
        if !in_head && certificates.is_empty() {
            let problem = Problem::new(any_of_at, "`anonymous` alone lets everybody in");
            problems.push(problem.help("write `access: public`, or name a credential beside it"));
            return None;
        }
        let origin = context.origin(at);
        let api_key = api_keys.as_ref().map(|way| way.field.as_str().into());
        let schemes = Schemes { api_key, ..schemes(&tokens) };
        let dpop = proof::memory(&tokens, context);
        let demand = Demand {
            tokens,
            api_keys,
            certificates,
            also,
            anonymous,
            roles,
            policies: Vec::new(),
            dpop,
            schemes,
            origin,
        };
        Some(Access::AnyOf(demand))
    }
}

/// The ways to send a token.
fn schemes(tokens: &[TokenWay]) -> Schemes {
    let takes = |wanted: fn(Possession) -> bool| {
        tokens.iter().any(|way| wanted(way.issuer.settings().proof.dpop))
    };
    Schemes {
        bearer: takes(|dpop| dpop != Possession::Required),
        dpop: takes(|dpop| dpop != Possession::None).then(|| ALGORITHMS.into()),
        api_key: None,
    }
}

fn check_roles(ways: &Ways, at: &At, problems: &mut Problems) -> Option<()> {
    let problem = if ways.anonymous {
        Problem::new(at.clone(), "roles cannot be asked of `anonymous`")
            .help("take `anonymous` out of `any_of`, or the roles")
    } else if ways.api_keys.is_some() {
        Problem::new(at.clone(), "roles cannot be asked of an API key: it has scopes alone")
            .help("take `api_key` out of `any_of`, or the roles")
    } else if !ways.certificates.is_empty() {
        Problem::new(at.clone(), "roles cannot be asked of a client certificate")
            .help("take `client_certificate` out of `any_of`, or the roles")
    } else if let Some(name) = &ways.without_roles {
        Problem::new(at.clone(), format!("tokens of the issuer `{name}` have no roles"))
            .help(format!("say in the issuer `{name}` where they are: `claims: {{roles: [path]}}`"))
    } else {
        return Some(());
    };
    problems.push(problem);
    None
}

fn ways(
    raw: Items<raw::Credential>,
    at: &At,
    sections: &Sections,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Ways> {
    let mut all = Ways::default();
    let mut sound = !problems.touch(at);
    for (at, credential) in raw.into_at(at) {
        match credential {
            raw::Credential::Anonymous if all.anonymous => {
                problems.push(Problem::new(at, "`anonymous` stands here twice"));
            }
            raw::Credential::Anonymous => all.anonymous = true,
            raw::Credential::ApiKey => {
                let any = api_keys::any(&sections.key_field, &at, context);
                sound &= all.add_key(Some(any), &at, problems);
            }
            raw::Credential::ClientCertificate => {
                let any = access_certificates::any(&at, context);
                sound &= all.add_certificate(Some(any), &at, problems);
            }
            raw::Credential::Named(named) => {
                sound &= named.add(&at, &mut all, sections, context, problems);
            }
        }
    }
    sound.then_some(all)
}

impl Ways {
    /// Whether the way was sound.
    fn add_certificate(
        &mut self,
        way: Option<CertificateWay>,
        at: &At,
        problems: &mut Problems,
    ) -> bool {
        let Some(way) = way else { return false };
        let useless = self.certificates.iter().any(|other| {
            other.names.is_empty() || way.names.is_empty() || other.names == way.names
        });
        if useless {
            let problem = Problem::new(at.clone(), "another entry takes the same certificates");
            problems.push(problem.help("`client_certificate` alone takes every one of the trust"));
            return false;
        }
        self.certificates.push(way);
        true
    }

    /// Whether the way was sound.
    fn add_key(&mut self, way: Option<KeyWay>, at: &At, problems: &mut Problems) -> bool {
        let Some(way) = way else { return false };
        if self.api_keys.is_some() {
            let problem = Problem::new(at.clone(), "another entry takes API keys already");
            problems.push(problem.help("one entry says which scopes a key must have"));
            return false;
        }
        self.api_keys = Some(Box::new(way));
        true
    }
}

/// In words.
const CERTIFICATE: &str = "a client certificate";

impl raw::Named {
    /// Adds the way that it is to `all`; whether it was sound.
    fn add(
        mut self,
        at: &At,
        all: &mut Ways,
        sections: &Sections,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> bool {
        if let Some(names) = self.client_certificate.take() {
            let alone = self.is_alone(at, CERTIFICATE, problems);
            let at = at.key("client_certificate");
            let way = names.compile(&at, context, problems);
            return all.add_certificate(way, &at, problems) && alone;
        }
        if let Some(scopes) = self.api_key.take() {
            let alone = self.is_alone(at, "an API key", problems);
            let at = at.key("api_key");
            let way = scopes.compile(&sections.key_field, &at, context, problems);
            return all.add_key(way, &at, problems) && alone;
        }
        let way = self.compile(at, all, sections, context, problems);
        let sound = way.is_some();
        all.tokens.extend(way);
        sound
    }

    /// Notes what stands beside a credential of another kind, in words.
    fn is_alone(&self, at: &At, what: &str, problems: &mut Problems) -> bool {
        let (key, message, help) = if self.issuer.is_some() && what == CERTIFICATE {
            let help = "give each an entry of its own, or ask for the certificate by `also`";
            ("issuer", "a token and a certificate are two credentials".to_owned(), help)
        } else if self.issuer.is_some() || self.api_key.is_some() {
            let key = if self.issuer.is_some() { "issuer" } else { "api_key" };
            (key, format!("this and {what} are two credentials"), "give each an entry of its own")
        } else if self.scopes.is_some() && what == CERTIFICATE {
            ("scopes", "a client certificate has no scopes".to_owned(), "")
        } else if self.scopes.is_some() {
            let message = "scopes of a key stand with it".to_owned();
            ("scopes", message, "write `{api_key: {scopes: […]}}`")
        } else {
            return true;
        };
        let problem = Problem::new(at.key(key), message).on_key();
        problems.push(if help.is_empty() { problem } else { problem.help(help) });
        false
    }

    fn compile(
        self,
        at: &At,
        all: &mut Ways,
        sections: &Sections,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<TokenWay> {
        let Self { issuer, scopes, api_key: _, client_certificate: _ } = self;
        let name = problems.required(at, "issuer", issuer);
        let scopes = match scopes {
            Some(scopes) => scope_list(scopes, &at.key("scopes"), problems)?,
            None => Vec::new(),
        };
        let terms = sections.issuers.find(&name?, &at.key("issuer"), problems)?;
        let settings = terms.issuer.settings();
        let same = |way: &&TokenWay| way.issuer.settings().issuer == settings.issuer;
        if let Some(other) = all.tokens.iter().find(same) {
            let other = &other.issuer.settings().name;
            let message =
                format!("`{other}` has the same `issuer`: which one is asked cannot be told");
            let problem = Problem::new(at.key("issuer"), message);
            problems.push(problem.help("one entry for each issuer of a route"));
            return None;
        }
        let opaque = |way: &&TokenWay| way.issuer.is_opaque();
        if terms.issuer.is_opaque()
            && let Some(other) = all.tokens.iter().find(opaque)
        {
            let other = &other.issuer.settings().name;
            let message =
                format!("tokens of `{other}` are opaque too: which one is asked cannot be told");
            let problem = Problem::new(at.key("issuer"), message);
            problems.push(problem.help("at most one issuer of a route has `introspection`"));
            return None;
        }
        if !terms.has_roles && all.without_roles.is_none() {
            all.without_roles = Some(settings.name.to_string());
        }
        let issuer = std::sync::Arc::clone(&terms.issuer);
        Some(TokenWay { issuer, scopes, origin: context.origin(at) })
    }
}

/// Scopes are words without blanks (RFC 6749 §3.3).
pub(super) fn scope_list(
    raw: Items<String>,
    at: &At,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let is_scope =
        |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    let mut sound = true;
    for (at, scope) in raw.at(at) {
        if scope.is_empty() || !scope.bytes().all(is_scope) {
            let problem = Problem::new(at, format!("`{scope}` is not a scope"));
            problems.push(if scope.contains(' ') {
                problem.help("write each scope as an entry of its own")
            } else {
                problem.expected("printable ASCII without blanks, quotes and backslashes")
            });
            sound = false;
        }
    }
    let scopes = texts(raw, at, problems)?;
    sound.then_some(scopes)
}

//! `access` of a route.

use portcullis_core::Schemes;
use portcullis_policy::{Access, CertificateWay, Demand, TokenWay};

use crate::at::At;
use crate::compile::check::{non_empty, texts};
use crate::compile::issuers::IssuerTerms;
use crate::compile::names::Named;
use crate::compile::{Context, access_certificates};
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
        issuers: &Named<IssuerTerms>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Access> {
        match self {
            Self::Public => Some(Access::Public { origin: context.origin(at) }),
            Self::Rules(rules) => rules.compile(at, issuers, context, problems),
        }
    }
}

#[derive(Default)]
struct Ways {
    tokens: Vec<TokenWay>,
    certificates: Vec<CertificateWay>,
    anonymous: bool,
    /// The first issuer whose tokens have no roles.
    without_roles: Option<String>,
}

impl raw::Rules {
    fn compile(
        self,
        at: &At,
        issuers: &Named<IssuerTerms>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Access> {
        let Self { any_of, also, roles, policies: _ } = self;
        let any_of = problems.required(at, "any_of", any_of);
        let any_of_at = at.key("any_of");
        let any_of = any_of.and_then(|list| non_empty(list, &any_of_at, problems));
        let ways = any_of.and_then(|list| ways(list, &any_of_at, issuers, context, problems));
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
        let (Ways { tokens, certificates, anonymous, .. }, also) = (ways?, also?);
        if tokens.is_empty() && !anonymous && !also.is_empty() {
            let message = "every way of `any_of` is a certificate already";
            let problem = Problem::new(at.key("also"), message).on_key();
            problems.push(problem.help("say in `any_of` which names it must have"));
            return None;
        }
        if tokens.is_empty() && certificates.is_empty() {
            let problem = Problem::new(any_of_at, "`anonymous` alone lets everybody in");
            problems.push(problem.help("write `access: public`, or name a credential beside it"));
            return None;
        }
        let origin = context.origin(at);
        let schemes = Schemes { bearer: !tokens.is_empty(), ..Schemes::default() };
        let policies = Vec::new();
        let demand =
            Demand { tokens, certificates, also, anonymous, roles, policies, schemes, origin };
        Some(Access::AnyOf(demand))
    }
}

fn check_roles(ways: &Ways, at: &At, problems: &mut Problems) -> Option<()> {
    let problem = if ways.anonymous {
        Problem::new(at.clone(), "roles cannot be asked of `anonymous`")
            .help("take `anonymous` out of `any_of`, or the roles")
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
    issuers: &Named<IssuerTerms>,
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
            raw::Credential::ClientCertificate => {
                let any = access_certificates::any(&at, context);
                sound &= all.add_certificate(Some(any), &at, problems);
            }
            raw::Credential::Named(raw::Named {
                client_certificate: Some(names),
                issuer,
                scopes,
            }) => {
                let certificate_at = at.key("client_certificate");
                if issuer.is_some() || scopes.is_some() {
                    problems.push(not_a_token(&at, issuer.is_some()));
                    sound = false;
                }
                let way = names.compile(&certificate_at, context, problems);
                sound &= all.add_certificate(way, &certificate_at, problems);
            }
            raw::Credential::Named(token) => {
                match token.compile(&at, &mut all, issuers, context, problems) {
                    Some(way) => all.tokens.push(way),
                    None => sound = false,
                }
            }
        }
    }
    sound.then_some(all)
}

fn not_a_token(at: &At, issuer: bool) -> Problem {
    if issuer {
        return Problem::new(at.key("issuer"), "a token and a certificate are two credentials")
            .on_key()
            .help("give each an entry of its own, or ask for the certificate by `also`");
    }
    Problem::new(at.key("scopes"), "a client certificate has no scopes").on_key()
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
}

impl raw::Named {
    fn compile(
        self,
        at: &At,
        all: &mut Ways,
        issuers: &Named<IssuerTerms>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<TokenWay> {
        let Self { issuer, scopes, client_certificate: _ } = self;
        let name = problems.required(at, "issuer", issuer);
        let scopes = match scopes {
            Some(scopes) => scope_list(scopes, &at.key("scopes"), problems)?,
            None => Vec::new(),
        };
        let terms = issuers.find(&name?, &at.key("issuer"), problems)?;
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
        if !terms.has_roles && all.without_roles.is_none() {
            all.without_roles = Some(settings.name.to_string());
        }
        let issuer = std::sync::Arc::clone(&terms.issuer);
        Some(TokenWay { issuer, scopes, origin: context.origin(at) })
    }
}

/// Scopes are words without blanks (RFC 6749 §3.3).
fn scope_list(raw: Items<String>, at: &At, problems: &mut Problems) -> Option<Vec<String>> {
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

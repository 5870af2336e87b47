//! `*.tests.yaml`: requests, and what the rules are to say of them. Read as strictly as the
//! configuration: every mistake with its place.

mod compile;
mod raw;
mod values;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use portcullis_authn::ReadFrom;
use portcullis_core::{AlternativeName, Timestamp};
use serde_json::{Map, Value};

use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::read::read;
use crate::report::{Report, Source};
use crate::snapshot::Snapshot;
use crate::yaml::parse::parse;
use crate::yaml::tree::Node;

/// How the names of such files end.
pub const ENDING: &str = ".tests.yaml";

/// A file of cases without mistakes.
#[derive(Debug)]
pub struct CasesFile {
    /// The configuration that they test.
    pub config: PathBuf,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
    source: Source,
    tree: Node,
}

/// One request, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, once in a file.
    pub name: String,
    /// Its line, from 1.
    pub line: u32,
    /// The method.
    pub method: String,
    /// The URL, with scheme and host.
    pub url: String,
    /// Its fields.
    pub headers: Vec<(String, String)>,
    /// The TCP peer; `None`: this machine, and nobody on a unix socket.
    pub address: Option<IpAddr>,
    /// The listener it comes in on; `None`: the first that fits the scheme.
    pub listener: Option<String>,
    /// When it is judged; `None`: now.
    pub time: Option<Timestamp>,
    /// A token that it carries.
    pub token: Option<TokenCase>,
    /// An API key that it carries.
    pub api_key: Option<ApiKeyCase>,
    /// A certificate that the client shows.
    pub certificate: Option<CertificateCase>,
    /// How often it is sent: the last one counts.
    pub repeat: u32,
    /// Whether all of them are served at the same time.
    pub at_once: bool,
    /// What is to come of it.
    pub expect: Expect,
    at: At,
}

/// A token, as its issuer would sign it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub struct TokenCase {
    /// The issuer's name in the configuration.
    pub issuer: String,
    /// Its subject.
    pub subject: String,
    /// Its audience; `None`: the first that the issuer's tokens must have.
    pub audience: Option<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Further claims; what stands here replaces what else would, a null takes it out.
    pub claims: Map<String, Value>,
    /// Whether its time is over.
    pub expired: bool,
    /// Whether somebody else's key signs it.
    pub wrong_key: bool,
    /// Whether it is bound to the certificate of the case (RFC 8705 §3).
    pub bound_to_certificate: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The proof beside it; it is bound to a key where there is one (RFC 9449).
    pub dpop: Option<DpopCase>,
    /// What the server says that is asked about it, where it is opaque.
    pub introspection: IntrospectionCase,
    /// Where it is sent; `None`: at the first place that the issuer's tokens are read from.
    pub place: Option<ReadFrom>,
}

/// The proof beside a token that is bound to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopCase {
    /// A good one.
    Good,
    /// None.
    Missing,
    /// One by another key.
    OtherKey,
    /// One for another method.
    OtherRequest,
    /// One that was made too long ago.
    Old,
    /// One that came with an earlier request.
    Replayed,
    /// One without the nonce that it needs.
    WithoutNonce,
}

/// What the server says that is asked about an opaque token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntrospectionCase {
    /// That it is good, and its claims.
    #[default]
    Active,
    /// That it is not.
    Inactive,
    /// Nothing: it cannot be asked.
    Unavailable,
}

/// An API key of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyCase {
    /// Whose it is.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether its secret is another.
    pub wrong: bool,
    /// Whether its time is over.
    pub expired: bool,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A certificate that was verified.
#[derive(Clone, Debug)]
pub struct CertificateCase {
    /// Its subject alternative names.
    pub names: Vec<AlternativeName>,
    /// Its subject (RFC 4514).
    pub subject: String,
}

/// What is to come of a request; what is `None` is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// `allow`, `deny`, `metadata`, `preflight` or `redirect`.
    pub verdict: &'static str,
    /// The code of the refusal.
    pub code: Option<String>,
    /// The route.
    pub route: Option<String>,
    /// The reason, whole.
    pub reason: Option<String>,
    /// The line that decided, as `FILE:LINE`, or its number alone.
    pub rule: Option<String>,
}

/// Reads the file at `path`. Blocks on the disk. `config` is the configuration that it tests, where the
/// command line says which.
pub fn load(path: &Path, config: Option<&Path>) -> Result<CasesFile, Report> {
    let name = path.display().to_string();
    let text = match crate::load::read_text(path) {
        Ok(text) => text,
        Err(message) => {
            let mut problems = Problems::default();
            problems.push(Problem::new(At::root(), message));
            return Err(Report::new(Source::new(&name, ""), None, problems));
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let source = Source::new(&name, text);
    let mut problems = Problems::default();
    let Some(tree) = parse(text, &mut problems) else {
        return Err(Report::new(source, None, problems));
    };
    let file: raw::File = read(&tree, &mut problems);
    let said = file.config.clone();
    let cases = compile::compile(file, &source, &tree, &mut problems);
    if !problems.is_empty() {
        return Err(Report::new(source, Some(tree), problems));
    }
    let config = match (config, said) {
        (Some(config), _) => config.to_owned(),
        (None, Some(said)) => path.parent().unwrap_or_else(|| Path::new("")).join(said),
        (None, None) => config_of(path),
    };
    Ok(CasesFile { config, cases, source, tree })
}

/// The configuration that a file of cases tests by its name.
fn config_of(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(ENDING).unwrap_or(name);
    path.with_file_name(format!("{stem}.yaml"))
}

impl CasesFile {
    /// The name of the file.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Whether all that the cases name is in the configuration.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), Report> {
        let mut problems = Problems::default();
        for case in &self.cases {
            case.check(snapshot, &mut problems);
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Report::new(self.source.clone(), Some(self.tree.clone()), problems))
    }
}

impl Case {
    fn check(&self, snapshot: &Snapshot, problems: &mut Problems) {
        let mut known = |at: At, name: Option<&str>, what: &str, names: Vec<String>| {
            let Some(name) = name.filter(|name| !names.iter().any(|known| known == name)) else {
                return;
            };
            let message = format!("the configuration has no {what} `{name}`");
            problems.push(Problem::new(at, message).one_of(name, &names));
        };
        let request = self.at.key("request").key("listener");
        let listeners = snapshot.listeners.iter().map(|plan| plan.name.to_string()).collect();
        known(request, self.listener.as_deref(), "listener", listeners);
        let mut issuers: Vec<String> = snapshot.issuers.keys().map(ToString::to_string).collect();
        issuers.sort();
        let issuer = self.at.key("credential").key("token").key("issuer");
        known(issuer, self.token.as_ref().map(|token| &*token.issuer), "issuer", issuers);
        let routes = snapshot.pipeline.routes.names().iter().map(ToString::to_string).collect();
        known(self.at.key("expect").key("route"), self.expect.route.as_deref(), "route", routes);
        self.check_token(snapshot, problems);
        if self.api_key.is_some() && snapshot.api_keys.field.is_none() {
            let at = self.at.key("credential").key("api_key");
            let message = "this has no effect: no route of the configuration takes API keys";
            problems.push(Problem::new(at, message).on_key());
        }
    }

    /// An opaque token has no signature, and of others no server is asked.
    fn check_token(&self, snapshot: &Snapshot, problems: &mut Problems) {
        let Some(token) = &self.token else { return };
        let Some(issuer) = snapshot.issuers.get(token.issuer.as_str()) else { return };
        let (key, stands, tokens) = if issuer.is_opaque() {
            ("wrong_key", token.wrong_key, "opaque")
        } else {
            let asked = token.introspection != IntrospectionCase::Active;
            ("introspection", asked, "signed")
        };
        if stands {
            let at = self.at.key("credential").key("token").key(key);
            let message = format!("this has no effect: tokens of `{}` are {tokens}", token.issuer);
            problems.push(Problem::new(at, message).on_key());
        }
    }
}

#[cfg(test)]
mod tests;

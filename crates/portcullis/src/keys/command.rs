//! `portcullis keys`: makes API keys, lists, rotates and revokes them. Asks the running gateway, or the
//! store where none can be asked.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use portcullis_authn::ApiKeys;
use portcullis_config::snapshot::{LogTarget, Snapshot};
use portcullis_config::{LoadOptions, Loaded};
use portcullis_core::Clock;
use portcullis_state::{Durable, StateFolder};
use serde_json::{Value, json};

use super::asked::{Asked, Done, Event, OVERLAP};
use super::refusal;
use crate::admin_client::{AdminClient, Reached};
use crate::cli::{Common, print_line};
use crate::run::{Failure, state_folder};
use crate::store::{self, Store};

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists keys: whose, what for, until when, and how often each was used.
    List(ListArgs),
    /// Makes a key and prints it, once, on standard output.
    New(NewArgs),
    /// Ends a key, for good, within a second.
    Revoke(RevokeArgs),
    /// Gives a key a new secret and prints it, once; the one before is good for a while longer.
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct NewArgs {
    /// Whose it is: the subject that apps and logs are told.
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// What it may do; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends: RFC 3339, or a duration from now on, such as 90d. Default: when it is revoked.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// A network or address that it may be used from; may be repeated. Default: any.
    #[arg(long, value_name = "CIDR")]
    allow: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// Its id, as `list` shows it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RotateArgs {
    /// Its id, as `list` shows it.
    #[arg(value_name = "ID")]
    id: String,
    /// How long the secret before is good still; 0s ends it at once.
    #[arg(long, value_name = "DURATION", default_value = OVERLAP)]
    overlap: String,
    #[command(flatten)]
    common: Common,
}

/// Exit codes: 0 done, 1 refused, 2 it is not known whether it was done.
pub(crate) async fn run(args: KeysArgs) -> Result<(), Failure> {
    let (asked, request, common) = args.what.read()?;
    let value = ask(&common.config, asked, request).await?;
    print(&value, common.json);
    Ok(())
}

/// What the admin listener is asked: the method, the path and the body.
type Question = (Method, String, Option<Value>);

impl What {
    fn read(self) -> Result<(Asked, Question, Common), Failure> {
        let wrong = |told: String| failure(StatusCode::BAD_REQUEST, &told);
        match self {
            Self::List(ListArgs { common }) => {
                Ok((Asked::List, (Method::GET, "/keys".to_owned(), None), common))
            }
            Self::New(NewArgs { owner, scopes, expires, allow, common }) => {
                let body = json!({
                    "owner": owner, "scopes": scopes, "expires": expires, "allow": allow,
                });
                let now = Clock::system().now();
                let asked = Asked::new_key(owner, scopes, expires.as_deref(), &allow, now);
                let question = (Method::POST, "/keys".to_owned(), Some(body));
                Ok((asked.map_err(wrong)?, question, common))
            }
            Self::Revoke(RevokeArgs { id, common }) => {
                let question = (Method::DELETE, path(&id)?, None);
                Ok((Asked::Revoke(id), question, common))
            }
            Self::Rotate(RotateArgs { id, overlap, common }) => {
                let asked = Asked::rotate(&id, &overlap).map_err(wrong)?;
                let body = Some(json!({"overlap": overlap}));
                Ok((asked, (Method::POST, path(&id)?, body), common))
            }
        }
    }
}

/// An id goes into a path.
fn path(id: &str) -> Result<String, Failure> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(format!("/keys/{id}"));
    }
    Err(failure(StatusCode::NOT_FOUND, "there is no such key: ids have letters and digits alone"))
}

async fn ask(file: &Path, asked: Asked, question: Question) -> Result<Value, Failure> {
    let clock = Clock::system();
    let loaded = portcullis_config::load(file, &LoadOptions::new(clock.clone()));
    let Loaded { snapshot, .. } =
        loaded.map_err(|report| Failure::refused(report.render_text(false)))?;
    let folder = state_folder().map_err(|failure| unclear(&failure.text))?;
    let client = AdminClient::new(&snapshot.admin, &folder);
    let (method, path, body) = question;
    let reached = client.ask(method, &path, body.as_ref()).await;
    match reached.map_err(|error| unclear(&error))? {
        Reached::Answer(status, value) if status.is_success() => Ok(value),
        Reached::Answer(status, problem) => {
            let detail = problem.get("detail").or_else(|| problem.get("code"));
            Err(failure(status, detail.and_then(Value::as_str).unwrap_or_default()))
        }
        Reached::NobodyThere => directly(&snapshot, &folder, &clock, asked).await,
    }
}

/// What is done where no gateway can be asked: those that run on the same store see it within a second.
async fn directly(
    snapshot: &Snapshot,
    folder: &Path,
    clock: &Clock,
    asked: Asked,
) -> Result<Value, Failure> {
    let makes = matches!(asked, Asked::New(_));
    let (terms, path, now) = (snapshot.state.clone(), folder.to_owned(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || -> Result<_, store::StoreError> {
        if makes {
            let store = Store::open(terms, StateFolder::open(path)?, now)?;
            return Ok(Some(Arc::clone(store.durable())));
        }
        let found = store::look(&terms, &path, now)?;
        Ok(found.map(|store| Arc::new(store) as Arc<dyn Durable>))
    });
    let opened = opened.await.map_err(|error| unclear(&error))?;
    let keys = ApiKeys::new(clock.clone());
    match (opened.map_err(|error| unclear(&error))?, &asked) {
        (Some(durable), _) => keys.bind(durable),
        (None, Asked::List) => return Ok(json!({"keys": []})),
        (None, _) => return Err(failure(StatusCode::NOT_FOUND, "there is no such key")),
    }
    let done = asked.carry_out(&keys).await;
    let Done { value, event, .. } = done.map_err(|error| {
        let told = refusal(&error);
        failure(told.status(), told.detail())
    })?;
    if let Some(event) = event {
        audit(snapshot, &event, clock);
    }
    Ok(value)
}

/// The line that a gateway would have written. Standard output is for the key.
fn audit(snapshot: &Snapshot, event: &Event, clock: &Clock) {
    let line = event.line(clock.now());
    let written = match &snapshot.telemetry.audit_log {
        None => return,
        Some(LogTarget::File(path)) => {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        }
        Some(LogTarget::Stderr | LogTarget::Stdout) => {
            writeln!(std::io::stderr().lock(), "{line}")
        }
    };
    if let Err(error) = written {
        tracing::warn!(%error, "the audit log could not be written");
    }
}

fn failure(status: StatusCode, detail: &str) -> Failure {
    let code = if status.is_server_error() { 2 } else { 1 };
    Failure { code, text: format!("portcullis keys: {detail} ({})", status.as_u16()) }
}

fn unclear(error: &dyn std::fmt::Display) -> Failure {
    Failure { code: 2, text: format!("portcullis keys: {error}") }
}

fn print(value: &Value, for_programs: bool) {
    if for_programs {
        print_line(&value.to_string());
    } else if let Some(all) = value.get("keys").and_then(Value::as_array) {
        let lines: Vec<String> = all.iter().map(line).collect();
        print_line(&if lines.is_empty() { "no keys".to_owned() } else { lines.join("\n") });
    } else if let Some(key) = value.get("key").and_then(Value::as_str) {
        // Standard output has the key alone, so that it can go into a file as it is.
        writeln!(std::io::stderr().lock(), "{}\nshown once, and kept nowhere:", line(value)).ok();
        print_line(key);
    } else {
        print_line(&line(value));
    }
}

fn line(one: &Value) -> String {
    let text = |name: &str| one.get(name).and_then(Value::as_str);
    let list = |name: &str| {
        let all = one.get(name).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    };
    let [id, state, owner] = ["id", "state", "owner"].map(|name| text(name).unwrap_or_default());
    let mut parts = vec![format!("{id}  {state}  {owner}  scopes [{}]", list("scopes"))];
    let allow = list("allow");
    if !allow.is_empty() {
        parts.push(format!("from {allow}"));
    }
    if let Some(at) = text("revoked") {
        parts.push(format!("revoked {at}"));
    }
    parts.push(text("expires").map_or_else(|| "no end".to_owned(), |at| format!("ends {at}")));
    let secrets = one.get("secrets").and_then(Value::as_array).into_iter().flatten();
    for at in secrets.filter_map(|secret| secret.get("expires").and_then(Value::as_str)) {
        parts.push(format!("the secret before ends {at}"));
    }
    if let Some(uses) = one.get("uses").and_then(Value::as_u64) {
        let latest = text("last_used").unwrap_or("never");
        parts.push(format!("{uses} uses, last {latest}"));
    }
    parts.join("  ")
}

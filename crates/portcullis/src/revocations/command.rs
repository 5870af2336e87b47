//! `portcullis tokens`: revokes tokens, shows what is revoked, takes it back. Asks the running gateway,
//! or the store where none runs.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use portcullis_authn::Revocations;
use portcullis_config::snapshot::Snapshot;
use portcullis_config::{LoadOptions, Loaded};
use portcullis_core::Clock;
use serde_json::{Value, json};

use super::{unavailable, unknown, view};
use crate::admin::Answer;
use crate::admin_client::{AdminClient, Reached};
use crate::cli::{Common, print_line};
use crate::revocations::wanted::Wanted;
use crate::run::{Failure, state_folder};
use crate::store;

/// Longest token file, in bytes.
const LONGEST: u64 = 64 << 10;

/// Arguments of `tokens`.
#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists what is revoked, the latest first.
    List(ListArgs),
    /// Takes a revocation back: its tokens are good again, until they end.
    Restore(RestoreArgs),
    /// Revokes one token by its `jti`, those of a subject, or all that were issued before a time.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RestoreArgs {
    /// Its id, as `list` shows it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["jti", "subject", "issued_before", "token_file"])]
struct RevokeArgs {
    /// The issuer's name in the file, or its `iss`. A token says it itself.
    #[arg(long, value_name = "NAME", required_unless_present = "token_file")]
    issuer: Option<String>,
    /// The token with this `jti`.
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// All tokens of this subject that were issued until now.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// All tokens of the issuer that were issued before this time: RFC 3339, or `now`.
    #[arg(long, value_name = "TIME")]
    issued_before: Option<String>,
    /// The token in this file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// When the tokens end, where it is known better than by `maximum_lifetime`: RFC 3339.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Exit codes: 0 done, 1 refused, 2 it is not known whether it was done.
pub(crate) async fn run(args: TokensArgs) -> Result<(), Failure> {
    match args.what {
        What::List(ListArgs { common }) => {
            let value = ask(&common.config, Asked::List).await?;
            tell(common.json, &value, &table(&value))
        }
        What::Restore(RestoreArgs { id, common }) => {
            let value = ask(&common.config, Asked::Restore(id)).await?;
            tell(common.json, &value, &format!("taken back: {}", line(&value)))
        }
        What::Revoke(RevokeArgs {
            issuer,
            jti,
            subject,
            issued_before,
            token_file,
            expires,
            common,
        }) => {
            let token = token_file.as_deref().map(read_token).transpose()?;
            let wanted = Wanted { issuer, jti, subject, issued_before, token, expires };
            let value = ask(&common.config, Asked::Revoke(wanted)).await?;
            tell(common.json, &value, &format!("revoked: {}", line(&value)))
        }
    }
}

enum Asked {
    List,
    Restore(String),
    Revoke(Wanted),
}

async fn ask(file: &Path, asked: Asked) -> Result<Value, Failure> {
    let clock = Clock::system();
    let loaded = portcullis_config::load(file, &LoadOptions::new(clock.clone()));
    let Loaded { snapshot, .. } =
        loaded.map_err(|report| Failure::refused(report.render_text(false)))?;
    let folder = state_folder().map_err(|failure| unclear(&failure.text))?;
    let client = AdminClient::new(&snapshot.admin, &folder);
    let (method, path, body) = match &asked {
        Asked::List => (Method::GET, "/revocations".to_owned(), None),
        Asked::Restore(id) => (Method::DELETE, format!("/revocations/{}", plain(id)?), None),
        Asked::Revoke(wanted) => (Method::POST, "/revocations".to_owned(), Some(json!(wanted))),
    };
    let reached = client.ask(method, &path, body.as_ref()).await;
    let answer = match reached.map_err(|error| unclear(&error))? {
        Reached::Answer(status, value) if status.is_success() => Ok((status, value)),
        Reached::Answer(status, problem) => return Err(problem_of(status, &problem)),
        Reached::NobodyThere => directly(&snapshot, &folder, &clock, asked).await?,
    };
    answer.map(|(_, value)| value).map_err(|error| failure_of(error.status(), error.detail()))
}

/// What is done where no gateway runs: the next that starts on the store finds it, and those that run
/// on it without an admin listener here see it within a second.
async fn directly(
    snapshot: &Snapshot,
    folder: &Path,
    clock: &Clock,
    asked: Asked,
) -> Result<Answer, Failure> {
    let (terms, path, now) = (snapshot.state.clone(), folder.to_owned(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || store::look(&terms, &path, now)).await;
    let store = opened.map_err(|error| unclear(&error))?.map_err(|error| unclear(&error))?;
    let Some(store) = store else {
        return match asked {
            Asked::List => Ok(Ok((StatusCode::OK, json!({"revocations": []})))),
            Asked::Restore(id) => Ok(Err(unknown(&id))),
            Asked::Revoke(_) => {
                Err(unclear(&"there is no store yet: no gateway has run with this file"))
            }
        };
    };
    let revocations = Revocations::new(clock.clone());
    revocations.bind(Arc::new(store));
    Ok(match asked {
        Asked::List => revocations.list().await.map_err(|error| unavailable(&error)).map(|all| {
            (StatusCode::OK, json!({"revocations": all.iter().map(view).collect::<Vec<_>>()}))
        }),
        Asked::Restore(id) => match revocations.restore(&id).await {
            Ok(Some(one)) => Ok((StatusCode::OK, view(&one))),
            Ok(None) => Err(unknown(&id)),
            Err(error) => Err(unavailable(&error)),
        },
        Asked::Revoke(wanted) => {
            let made = wanted.make(&revocations, &snapshot.issuers, clock).await;
            made.map(|one| (StatusCode::CREATED, view(&one)))
        }
    })
}

fn problem_of(status: StatusCode, problem: &Value) -> Failure {
    let detail = problem.get("detail").or_else(|| problem.get("code"));
    failure_of(status, detail.and_then(Value::as_str).unwrap_or_default())
}

fn failure_of(status: StatusCode, detail: &str) -> Failure {
    let code = if status.is_server_error() { 2 } else { 1 };
    Failure { code, text: format!("portcullis tokens: {detail} ({})", status.as_u16()) }
}

fn unclear(error: &dyn std::fmt::Display) -> Failure {
    Failure { code: 2, text: format!("portcullis tokens: {error}") }
}

/// An id goes into a path.
fn plain(id: &str) -> Result<&str, Failure> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(id);
    }
    Err(failure_of(StatusCode::NOT_FOUND, "there is no such revocation"))
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    let told = |error| format!("the token in {} cannot be read: {error}", file.display());
    read.map_err(|error| Failure { code: 1, text: told(error) })?;
    Ok(text.trim().to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the last step of each command")]
fn tell(for_programs: bool, value: &Value, text: &str) -> Result<(), Failure> {
    let _: ExitCode = if for_programs { print_line(&value.to_string()) } else { print_line(text) };
    Ok(())
}

fn table(value: &Value) -> String {
    let all = value.get("revocations").and_then(Value::as_array);
    let lines: Vec<String> = all.into_iter().flatten().map(line).collect();
    if lines.is_empty() { "nothing is revoked".to_owned() } else { lines.join("\n") }
}

fn line(one: &Value) -> String {
    let text = |name: &str| one.get(name).and_then(Value::as_str);
    let which = ["jti", "subject", "issued_before"]
        .iter()
        .find_map(|name| text(name).map(|value| format!("{name} {value}")));
    let until = text("expires").map_or_else(
        || "kept until it is taken back".to_owned(),
        |expires| format!("kept until {expires}"),
    );
    let [id, issuer] = ["id", "issuer"].map(|name| text(name).unwrap_or_default());
    format!("{id}  {issuer}  {}  {until}", which.unwrap_or_default())
}

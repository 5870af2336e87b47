//! `portcullis certificates`: what is kept and what the file names, without asking a running
//! gateway.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use portcullis_config::snapshot::Snapshot;
use portcullis_config::{LoadOptions, Loaded};
use portcullis_core::{Clock, Timestamp};
use portcullis_state::{Durable, SqliteDurable};
use portcullis_tls::acme::{NameRecord, kept_certificate};
use portcullis_tls::{
    CertificateOrigin, CertificateSources, CertificateStatus, CertificateStore, CertifiedPair,
    FilePair,
};
use serde_json::{Value, json};

use crate::certificates::{HeldUp, Records, View};
use crate::cli::{CertificatesArgs, print_line};
use crate::run::{Failure, state_folder};
use crate::store;

/// Lists them. Exit codes: 0 listed, whatever state they are in; 1 the file is refused even without
/// what it names; 2 the state cannot be opened.
pub(crate) async fn list(args: CertificatesArgs) -> Result<(), Failure> {
    let clock = Clock::system();
    let snapshot = read(&args.config, &clock)?;
    let views = views(&snapshot, &clock).await?;
    let text = if args.json {
        json!(views.iter().map(json_of).collect::<Vec<_>>()).to_string()
    } else {
        table(&views)
    };
    let _: ExitCode = print_line(&text);
    Ok(())
}

/// The file; where it has mistakes that show only with the files and secrets that it names, without
/// those: a pair that cannot be read is what this is to tell, and no secret but one matters here.
fn read(file: &Path, clock: &Clock) -> Result<Snapshot, Failure> {
    let whole = LoadOptions::new(clock.clone());
    let report = match portcullis_config::load(file, &whole) {
        Ok(Loaded { snapshot, .. }) => return Ok(snapshot),
        Err(report) => report,
    };
    let without = LoadOptions { read_files: false, read_state_key: true, ..whole };
    let loaded = portcullis_config::load(file, &without);
    // The first report has all of the second, and what was found in files besides.
    let text = report.render_text(false);
    match loaded {
        Ok(loaded) => {
            // It would not be served as it stands, which the list alone does not say.
            writeln!(std::io::stderr().lock(), "{text}").ok();
            Ok(loaded.snapshot)
        }
        Err(_) => Err(Failure::refused(text)),
    }
}

async fn views(snapshot: &Snapshot, clock: &Clock) -> Result<Vec<View>, Failure> {
    let terms = &snapshot.tls;
    let is_good = |pair: &FilePair| CertifiedPair::read(pair, clock.now());
    let (files, bad) =
        terms.sources.files.iter().partition::<Vec<_>, _>(|pair| is_good(pair).is_ok());
    // One for development is made at each start and kept nowhere.
    let (acme, self_signed) = (terms.sources.acme.clone(), Vec::new());
    let sources =
        CertificateSources { files: files.into_iter().cloned().collect(), acme, self_signed };
    let store = CertificateStore::open(&sources, None, clock.clone()).map_err(|mistakes| {
        let texts: Vec<String> =
            mistakes.iter().map(|(origin, error)| format!("{origin}: {error}")).collect();
        unreadable(&texts.join("; "))
    })?;
    let (mut records, mut held_up) = (Records::new(), HeldUp::new());
    if let Some(durable) = durable(snapshot, clock).await? {
        for name in &sources.acme {
            // One that cannot be read says so, and hides no other.
            match NameRecord::load(&durable, name).await {
                Ok(record) => drop(records.insert(name.clone(), record)),
                Err(error) => drop(held_up.insert(name.clone(), error.to_string())),
            }
            if let Err(error) = serve_kept(&store, &durable, name, clock.now()).await {
                held_up.insert(name.clone(), error);
            }
        }
    }
    let mut all = store.status();
    all.extend(bad.into_iter().map(|pair| {
        let error = is_good(pair).err().map(|error| error.to_string());
        not_served(CertificateOrigin::Files(pair.clone()), Vec::new(), error)
    }));
    let own = terms.sources.self_signed.clone();
    all.extend((!own.is_empty()).then(|| not_served(CertificateOrigin::SelfSigned, own, None)));
    Ok(all.into_iter().map(|one| View::new(one, &records, &held_up, terms.acme.as_ref())).collect())
}

/// The store, where certificates are ordered and there is one.
async fn durable(snapshot: &Snapshot, clock: &Clock) -> Result<Option<SqliteDurable>, Failure> {
    if snapshot.tls.sources.acme.is_empty() {
        return Ok(None);
    }
    let (terms, folder, clock) = (snapshot.state.clone(), folder()?, clock.clone());
    let opened = tokio::task::spawn_blocking(move || store::look(&terms, &folder, clock)).await;
    opened.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))
}

fn folder() -> Result<PathBuf, Failure> {
    state_folder().map_err(|_| unreadable(&"there is no state folder: set STATE_DIRECTORY"))
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure { code: 2, text: format!("portcullis cannot tell of certificates: {error}") }
}

/// Puts the certificate that is kept for `name` into the store, or says why it cannot be served.
async fn serve_kept(
    store: &CertificateStore,
    durable: &dyn Durable,
    name: &str,
    now: Timestamp,
) -> Result<(), String> {
    let kept = kept_certificate(durable, name, now).await.map_err(|error| error.to_string())?;
    let Some(pair) = kept else { return Ok(()) };
    pair.and_then(|pair| store.install(name, pair)).map_err(|error| error.to_string())
}

fn not_served(
    origin: CertificateOrigin,
    names: Vec<String>,
    last_error: Option<String>,
) -> CertificateStatus {
    let (key, not_before, not_after, days_left) = (None, None, None, None);
    CertificateStatus { origin, names, key, not_before, not_after, days_left, last_error }
}

fn json_of(view: &View) -> Value {
    let mut all = view.json();
    if let Some(entries) = all.as_object_mut() {
        entries.insert("file".to_owned(), json!(view.file()));
    }
    all
}

/// One line a certificate, in columns, and one more for what went wrong.
fn table(views: &[View]) -> String {
    let head = ["NAMES", "SOURCE", "DAYS LEFT", "ENDS"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(views.iter().map(row)).collect();
    let width = |column: fn(&[String; 4]) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let [first, second, third] =
        [width(|row| row[0].len()), width(|row| row[1].len()), width(|row| row[2].len())];
    let mut text = String::new();
    let notes = std::iter::once(None).chain(views.iter().map(note));
    for ([names, source, days, ends], note) in rows.iter().zip(notes) {
        let line = format!("{names:first$}  {source:second$}  {days:>third$}  {ends}");
        writeln!(text, "{}", line.trim_end()).ok();
        if let Some(note) = note {
            writeln!(text, "    {note}").ok();
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn row(view: &View) -> [String; 4] {
    let none = || "-".to_owned();
    let days = view.days_left().map_or_else(none, |days| days.to_string());
    let ends = match view.not_after() {
        Some(end) => end.rfc3339(),
        None if view.source() == "self_signed" => "made anew at each start".to_owned(),
        None => "none yet".to_owned(),
    };
    let names = match (view.names(), view.file()) {
        ([], Some(file)) => file.display().to_string(),
        (names, _) => names.join(", "),
    };
    [names, view.source().to_owned(), days, ends]
}

fn note(view: &View) -> Option<String> {
    let error = view.last_error()?;
    let next = view.next_attempt().map(|at| format!("; next attempt {}", at.rfc3339()));
    Some(format!("last error: {error}{}", next.unwrap_or_default()))
}

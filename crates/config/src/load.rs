//! The ways in: a file, or its text.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::Clock;
use portcullis_policy::Handover;

use crate::advice::{Advice, advise};
use crate::at::At;
use crate::compile::{Context, Shown};
use crate::environment::Environment;
use crate::homes;
use crate::problem::{Problem, Problems};
use crate::raw::File;
use crate::read::read;
use crate::report::{Report, Source};
use crate::snapshot::Snapshot;
use crate::view::redacted;
use crate::yaml::parse::{MAXIMUM_SIZE, parse};
use crate::yaml::substitute::substitute;
use crate::yaml::tree::Node;

/// How a file is read.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where `${NAME}` and `{env: NAME}` come from.
    pub environment: Environment,
    /// Whether the files and secrets that the file names are read; `false` is `--no-files`.
    pub read_files: bool,
    /// Whether `state.encryption_key` is read, even where no other secret is.
    pub read_state_key: bool,
    /// What the snapshot takes over from the one before, and the clock.
    pub handover: Handover,
}

impl LoadOptions {
    /// With the environment of the process, files read, and nothing to take over.
    pub fn new(clock: Clock) -> Self {
        let environment = Environment::process();
        let handover = Handover::empty(clock);
        Self { environment, read_files: true, read_state_key: false, handover }
    }
}

/// A file without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub snapshot: Snapshot,
    /// What is better done in another way, in the order of the rules.
    pub advice: Vec<Advice>,
    source: Source,
}

impl Loaded {
    /// The name of the file.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The text of a line, from 1.
    pub fn line(&self, line: u32) -> Option<&str> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        self.source.text().lines().nth(index)
    }

    /// The advice for people, as `check` prints it.
    pub fn render_advice(&self, colour: bool) -> String {
        crate::report::render_advice(&self.source, &self.advice, colour)
    }
}

/// Reads the file at `path`. Blocks on the disk. A file that cannot be read is a mistake like any
/// other.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    match read_text(path) {
        Ok(text) => check(&name, &text, folder, options),
        Err(message) => Err(unreadable(&name, message)),
    }
}

/// Checks `text` as if it were the file `name`; relative paths in it start at the working folder.
pub fn check_text(name: &str, text: &str, options: &LoadOptions) -> Result<Loaded, Report> {
    check(name, text, Path::new(""), options)
}

pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    use std::io::Read;

    let limit = MAXIMUM_SIZE as u64 + 1;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    if bytes.len() > MAXIMUM_SIZE {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        format!("the file is not UTF-8: the first wrong byte is at {good}")
    })
}

fn too_large() -> String {
    format!("the file is larger than {}MiB", MAXIMUM_SIZE / 1024 / 1024)
}

fn unreadable(name: &str, message: String) -> Report {
    let mut problems = Problems::default();
    problems.push(Problem::new(At::root(), message));
    Report::new(Source::new(name, ""), None, problems)
}

fn check(name: &str, text: &str, folder: &Path, options: &LoadOptions) -> Result<Loaded, Report> {
    if text.len() > MAXIMUM_SIZE {
        return Err(unreadable(name, too_large()));
    }
    let hash = hex(digest(&SHA256, text.as_bytes()).as_ref());
    // A byte order mark says nothing in UTF-8; editors write it all the same.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(name, text);
    let mut problems = Problems::default();
    let Some(mut tree) = parse(text, &mut problems) else {
        return Err(Report::new(source, None, problems));
    };
    let unread = |at: &At| !options.read_files && is_secret(at) && !is_state_key(at, options);
    substitute(&mut tree, &At::root(), &options.environment, &unread, &mut problems);
    let compiled = compile(&source, &tree, folder, hash, options, &mut problems);
    match compiled {
        Some((snapshot, advice)) if problems.is_empty() => Ok(Loaded { snapshot, advice, source }),
        Some(_) | None => {
            if problems.is_empty() {
                // Nothing may be refused without a word.
                problems.push(Problem::new(At::root(), "the file could not be compiled"));
            }
            Err(Report::new(source, Some(tree), problems))
        }
    }
}

fn compile(
    source: &Source,
    tree: &Node,
    folder: &Path,
    hash: String,
    options: &LoadOptions,
    problems: &mut Problems,
) -> Option<(Snapshot, Vec<Advice>)> {
    let file: File = read(tree, problems);
    homes::hint(problems);
    let redacted = redacted(&file, tree);
    let raw = file.clone();
    let context = Context::new(source, tree, options, folder);
    let snapshot = file.compile(&context, Shown { hash, redacted }, problems)?;
    let advice = advise(&raw, &snapshot, source, tree);
    Some((snapshot, advice))
}

/// Places where a secret is asked for, so that `--no-files` does not need it.
const SECRETS: [&str; 5] = [
    "admin.token",
    "certificates.acme.dns.rfc2136.secret",
    "certificates.acme.external_account.hmac",
    "identity.signing_key",
    "state.encryption_key",
];

fn is_secret(at: &At) -> bool {
    let pattern = at.pattern();
    SECRETS.contains(&pattern.as_str())
}

fn is_state_key(at: &At, options: &LoadOptions) -> bool {
    options.read_state_key && at.pattern() == "state.encryption_key"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

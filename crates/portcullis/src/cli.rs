//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::run::{Failure, Options};
use crate::{cases, certificates, check, demo, explain, keys, logs, revocations, run};

/// The security gateway in front of APIs you already have.
#[derive(Debug, Parser)]
#[command(name = "portcullis", disable_version_flag = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists certificates: names, sources, days left, the last error of each. Asks no running gateway.
    Certificates(CertificatesArgs),
    /// Reads the file as `run` would, without serving: all mistakes, then security advice.
    Check(CheckArgs),
    /// Serves the example file, with a demo app and a demo issuer inside the process.
    Demo,
    /// Runs the real pipeline on a made-up request and tells what each stage saw and decided.
    Explain(ExplainArgs),
    /// Makes, lists, rotates and revokes API keys.
    Keys(keys::command::KeysArgs),
    /// Serves.
    Run(RunArgs),
    /// Prints the JSON Schema of gateway.yaml.
    Schema,
    /// Runs the cases of `*.tests.yaml` on the real pipeline, and tells what of the rules they test.
    Test(TestArgs),
    /// Revokes tokens before they end. Asks the running gateway, or the store where none runs.
    Tokens(revocations::command::TokensArgs),
    /// Prints version, commit, features and crypto provider.
    Version,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.yaml")]
    config: PathBuf,
    /// Takes the listening sockets over from the process that runs on the same state folder, which
    /// drains and ends. Starts as always where none runs.
    #[arg(long)]
    upgrade: bool,
}

/// What every command takes that asks the running gateway, or the store.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `certificates`.
#[derive(Debug, Args)]
pub(crate) struct CertificatesArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// For programs: an array of objects.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.yaml")]
    pub file: PathBuf,
    /// Opens none of the files and secrets it names, for a check on another machine.
    #[arg(long)]
    pub no_files: bool,
    /// How mistakes and advice are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Advice at or above this level makes the exit code 3.
    #[arg(long, value_enum, default_value_t = FailOn::None)]
    pub fail_on: FailOn,
    /// Prints where the certificate of each name will come from, in the place of advice.
    #[arg(long)]
    pub certificates: bool,
    /// Prints every rule of the advice, in the place of reading a file.
    #[arg(long)]
    pub rules: bool,
}

/// How `check` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: an array of objects.
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
}

/// From which level on advice fails `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Never.
    None,
    /// Any advice.
    Low,
    /// Serious advice only.
    High,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// The request's method.
    pub method: String,
    /// The request's URL, with scheme and host.
    pub url: String,
    /// A request field, `name: value`; may be repeated. Not for secrets.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Reads a bearer token from FILE, or from standard input for `-`; without it,
    /// `$PORTCULLIS_TOKEN` is used where it is set.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Reads an API key from FILE, or from standard input for `-`; without it, `$PORTCULLIS_API_KEY` is
    /// used where it is set.
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// The certificate that the client shows, PEM, with what it sends along; verified as the handshake
    /// would. Its key is not needed.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The listener that the request comes in on. Default: the first of the file that speaks TLS for
    /// https, the first that does not for http.
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// The TCP peer's address. Default: 127.0.0.1; none on a unix socket.
    #[arg(long, value_name = "IP")]
    pub address: Option<std::net::IpAddr>,
    /// The time at which the request is judged, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub format: ExplainFormat,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Files of cases. Default: every `*.tests.yaml` beside the configuration that tests it.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The configuration, in the place of the one that each file names or is named after.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Writes the outcome to FILE too, as CI reads it (`JUnit`).
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// For programs: one object with every case and the coverage.
    #[arg(long)]
    pub json: bool,
    /// Fetches the keys of the issuers, for cases with tokens of their own in `headers`. Without it
    /// nobody is asked for anything.
    #[arg(long)]
    pub fetch_keys: bool,
    /// Fails where less than this part of the routes' outcomes and of the policies is tested, in per
    /// cent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub fail_under: u8,
}

/// How `explain` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people.
    Text,
    /// For programs: one object.
    Json,
}

/// Runs the command; its exit codes are a contract (see docs/cli.md).
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match cli.command {
        Command::Certificates(args) => in_runtime(certificates::command::list(args)),
        Command::Check(args) => check::check(&args),
        Command::Demo => in_runtime(demo::run()),
        Command::Explain(args) => explain::explain(&args),
        Command::Keys(args) => in_runtime(keys::command::run(args)),
        Command::Run(RunArgs { config: file, upgrade }) => {
            in_runtime(run::serve(Options { file, upgrade, on_ready: None }))
        }
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&portcullis_config::schema());
            print_line(&schema.unwrap_or_default())
        }
        Command::Test(args) => cases::test(&args),
        Command::Tokens(args) => in_runtime(revocations::command::run(args)),
        Command::Version => print_line(&version()),
    }
}

fn in_runtime(task: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    logs::start_own_log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::start(error.to_string())),
    };
    let result = runtime.block_on(task);
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    writeln!(std::io::stderr().lock(), "{}", failure.text).ok();
    ExitCode::from(failure.code)
}

/// Prints to standard output; a closed pipe is no failure of ours.
pub(crate) fn print_line(text: &str) -> ExitCode {
    writeln!(std::io::stdout().lock(), "{text}").ok();
    ExitCode::SUCCESS
}

/// On one line and without what a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

fn version() -> String {
    format!(
        "portcullis {}\ncommit {}\nfeatures default\ncrypto provider aws-lc-rs",
        env!("CARGO_PKG_VERSION"),
        option_env!("PORTCULLIS_COMMIT").unwrap_or("unknown"),
    )
}

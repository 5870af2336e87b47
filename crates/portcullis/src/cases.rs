//! `portcullis test`: the cases of `*.tests.yaml` on the real pipeline.

mod coverage;
mod holder;
mod mint;
mod print;
mod run;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use portcullis_authn::KeyCache;
use portcullis_config::cases::{self, Case, CasesFile, ENDING};
use portcullis_core::Clock;

use crate::cli::{TestArgs, print_line, shown};
use coverage::Coverage;
use mint::Keys;
use run::{Bench, Outcome};

/// The configuration, where nothing says which.
const CONFIG: &str = "gateway.yaml";

/// A case that was run.
#[derive(Clone, Debug)]
struct Done {
    file: String,
    case: Case,
    outcome: Outcome,
    /// What is not as expected; empty where all is.
    wrong: String,
    took: Duration,
}

/// All that was run, and what of each configuration it tests.
#[derive(Debug, Default)]
struct Run {
    done: Vec<Done>,
    coverage: BTreeMap<PathBuf, Coverage>,
}

/// Exit codes: 0 all as expected, 1 not, or too little is tested, 2 a file is wrong.
pub(crate) fn test(args: &TestArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = match runtime {
        Ok(runtime) => runtime.block_on(ran(args)),
        Err(error) => Err(error.to_string()),
    };
    let ran = ran.and_then(|run| {
        if let Some(file) = &args.junit {
            let written = print::junit(&run)
                .and_then(|xml| std::fs::write(file, xml).map_err(|error| error.to_string()));
            written.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(run)
    });
    match ran {
        Ok(run) => {
            print_line(&if args.json { print::json(&run) } else { print::text(&run) });
            let good = run.failed() == 0 && run.percent() >= u64::from(args.fail_under);
            ExitCode::from(u8::from(!good))
        }
        Err(reason) => {
            print_line(reason.trim_end());
            ExitCode::from(2)
        }
    }
}

impl Run {
    fn failed(&self) -> usize {
        self.done.iter().filter(|done| !done.wrong.is_empty()).count()
    }

    /// How many outcomes are tested, of how many, over all configurations.
    fn count(&self) -> (usize, usize) {
        let counts = self.coverage.values().map(Coverage::count);
        counts.fold((0, 0), |(tested, all), (more, of)| (tested + more, all + of))
    }

    fn percent(&self) -> u64 {
        let (tested, of) = self.count();
        let (tested, of) = (tested as u64, of as u64);
        (tested * 100).checked_div(of).unwrap_or(100)
    }
}

async fn ran(args: &TestArgs) -> Result<Run, String> {
    let clock = Clock::system();
    let mut keys = Keys::default();
    let mut run = Run::default();
    for file in files(args)? {
        let first = Bench::new(&file.config, clock.clone(), &HashMap::new()).await;
        let first = first.map_err(|report| report.render_text(false))?;
        let fetched = if args.fetch_keys { first.fetched().await } else { HashMap::new() };
        file.check(&first.snapshot).map_err(|report| report.render_text(false))?;
        let coverage = run.coverage.entry(file.config.clone());
        let coverage = coverage.or_insert_with(|| Coverage::new(&first.snapshot));
        for case in &file.cases {
            let done = one(&file, case, (&mut keys, &fetched), &clock).await?;
            if done.wrong.is_empty() {
                coverage.note(&done.outcome);
            }
            run.done.push(done);
        }
    }
    Ok(run)
}

async fn one(
    file: &CasesFile,
    case: &Case,
    (keys, fetched): (&mut Keys, &HashMap<Arc<str>, KeyCache>),
    clock: &Clock,
) -> Result<Done, String> {
    let since = clock.monotonic();
    // Time stands still in a case: no limit regains anything while it runs.
    let at = case.time.unwrap_or_else(|| clock.now());
    let bench = Bench::new(&file.config, Clock::manual(at), fetched).await;
    let bench = bench.map_err(|report| report.render_text(false))?;
    let outcome = bench.run(case, keys).await;
    let place = |why: String| format!("{}:{}: {}: {why}", file.name(), case.line, case.name);
    let outcome = outcome.map_err(|why| shown(&place(why)))?;
    let wrong = outcome.judge(case);
    let took = clock.monotonic().saturating_sub(since);
    Ok(Done { file: file.name().to_owned(), case: case.clone(), outcome, wrong, took })
}

/// The files to run: those that are named, or those beside the configuration that test it.
fn files(args: &TestArgs) -> Result<Vec<CasesFile>, String> {
    let load = |path: &Path, config: Option<&Path>| {
        cases::load(path, config).map_err(|report| report.render_text(false))
    };
    if !args.files.is_empty() {
        return args.files.iter().map(|path| load(path, args.config.as_deref())).collect();
    }
    let said = portcullis_config::Environment::process().get("PORTCULLIS_CONFIG");
    let config = args.config.clone().or_else(|| said.map(PathBuf::from));
    let config = config.unwrap_or_else(|| PathBuf::from(CONFIG));
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let listed = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let beside = |entry: std::fs::DirEntry| config.with_file_name(entry.file_name());
    let mut paths: Vec<PathBuf> = listed.flatten().map(beside).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ENDING));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let file = load(&path, None)?;
        if file.config.file_name() == config.file_name() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(format!("no *{ENDING} beside {} tests it", config.display()));
    }
    Ok(files)
}

//! `portcullis check`: the file as `run` would read it, without serving.

use std::process::ExitCode;

use portcullis_config::advice::{Rule, Severity, rules};
use portcullis_config::report::render_sarif;
use portcullis_config::{LoadOptions, Loaded, Report};
use portcullis_core::Clock;
use serde_json::json;

use crate::certificates::planned::{Planned, planned};
use crate::cli::{CheckArgs, FailOn, Format, print_line};

/// Prints mistakes or advice. Exit codes: 0 fine, 1 mistakes, 3 advice at or above `--fail-on`.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    if args.rules {
        print_line(&rules_text(args.format));
        return ExitCode::SUCCESS;
    }
    let mut options = LoadOptions::new(Clock::system());
    options.read_files = !args.no_files;
    if args.certificates && args.format == Format::Sarif {
        print_line("--certificates has no form for code scanning: take text or json");
        return ExitCode::from(2);
    }
    match portcullis_config::load(&args.file, &options) {
        Ok(loaded) => {
            let names =
                planned(&loaded.snapshot.tls, options.read_files, options.handover.clock.now());
            let text = if args.certificates {
                names_text(args.format, &names)
            } else {
                advice_text(args, &loaded, &names)
            };
            print_line(&text);
            let fails = loaded.advice.iter().any(|one| fails(args.fail_on, one.rule.severity));
            if fails { ExitCode::from(3) } else { ExitCode::SUCCESS }
        }
        Err(report) => {
            print_line(&mistakes_text(args, &report));
            ExitCode::from(1)
        }
    }
}

/// What `check` can advise, for people or for programs.
fn rules_text(format: Format) -> String {
    let all = rules();
    match format {
        Format::Json => {
            json!(all.iter().map(|rule| rule.to_json()).collect::<Vec<_>>()).to_string()
        }
        Format::Sarif => render_sarif("", &[], &[]),
        Format::Text => {
            let one = |rule: &&Rule| {
                format!(
                    "{} {:4} {}: {}",
                    rule.number,
                    rule.severity.as_str(),
                    rule.name,
                    rule.title
                )
            };
            all.iter().map(one).collect::<Vec<_>>().join("\n")
        }
    }
}

fn fails(level: FailOn, severity: Severity) -> bool {
    match level {
        FailOn::None => false,
        FailOn::Low => true,
        FailOn::High => severity == Severity::High,
    }
}

fn mistakes_text(args: &CheckArgs, report: &Report) -> String {
    match args.format {
        Format::Json => report.render_json(),
        Format::Sarif => render_sarif(&args.file.display().to_string(), &report.entries(), &[]),
        Format::Text => report.render_text(false).trim_end().to_owned(),
    }
}

fn names_text(format: Format, names: &[Planned]) -> String {
    match format {
        Format::Json => json!(names.iter().map(Planned::json).collect::<Vec<_>>()).to_string(),
        Format::Text | Format::Sarif => {
            names.iter().map(Planned::text).collect::<Vec<_>>().join("\n")
        }
    }
}

fn advice_text(args: &CheckArgs, loaded: &Loaded, names: &[Planned]) -> String {
    let advice = &loaded.advice;
    let file = args.file.display().to_string();
    match args.format {
        Format::Json => {
            let list: Vec<_> = advice.iter().map(|one| one.to_json(&file)).collect();
            json!(list).to_string()
        }
        Format::Sarif => render_sarif(&file, &[], advice),
        Format::Text => {
            let lines = names.iter().map(|name| format!("  {}\n", name.text()));
            let lines: String = lines.collect();
            let lines = if names.is_empty() { lines } else { format!("certificates:\n{lines}\n") };
            let (text, count) = (loaded.render_advice(false), advice.len());
            format!("{text}{lines}{file}: no mistakes, advice: {count}")
        }
    }
}

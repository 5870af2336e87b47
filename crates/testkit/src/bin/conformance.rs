//! `make conformance`: the score of the gateway and of others, as JSON and as the table of
//! docs/conformance.md.
#![expect(clippy::expect_used, reason = "a tool of the tests: what fails must end it, and says so")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use portcullis_testkit::conformance::peers::Kind;
use portcullis_testkit::conformance::report::{Row, markdown, replace};
use portcullis_testkit::conformance::{Case, Lane, Score, corpus, gateway, generated, run};
use portcullis_testkit::tools;
use serde_json::{Map, Value, json};

/// Ways into each gateway.
const LANES: usize = 8;

struct Cases {
    published: Vec<Case>,
    urls: Vec<Case>,
    generated: Vec<Case>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().expect("the program to score");
    let root = PathBuf::from(arguments.next().expect("a folder for scratch files"));
    let only: Vec<String> = arguments.collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| name.contains(o.as_str()));
    let folder = tools::vectors("").expect("the vectors are there");
    let cases = Cases {
        published: corpus::published(&folder),
        urls: corpus::urls(&folder),
        generated: generated::all(),
    };
    let mut rows = Vec::new();
    if wanted("Portcullis") {
        let (_gateways, lanes) = gateway::lanes(&program, &root, LANES / 2);
        rows.push(row("Portcullis, cleartext", &lanes.plain, &cases));
        rows.push(row("Portcullis, TLS", &lanes.tls, &cases));
    }
    for kind in Kind::ALL {
        if !wanted(&format!("{kind:?}")) {
            continue;
        }
        match kind.start(&root, LANES) {
            Some(peer) => rows.push(row(&peer.name, &peer.lanes, &cases)),
            None => say(&format!("{kind:?} is not installed: scripts/setup.sh conformance")),
        }
    }
    let table = markdown(&rows);
    let scores: Map<String, Value> =
        rows.iter().map(|row| (row.name.clone(), scores(row))).collect();
    write(&root.join("conformance.json"), &format!("{:#}\n", Value::Object(scores)));
    if only.is_empty() {
        let page = tools::workspace().join("docs/conformance.md");
        let text = std::fs::read_to_string(&page).expect("the page is there");
        write(&page, &replace(&text, &table).expect("the page has its marks"));
    }
    say(&table);
}

fn row(name: &str, lanes: &[Lane], cases: &Cases) -> Row {
    say(&format!("{name} …"));
    let score = |cases: &[Case]| Score::of(cases, &run(lanes, cases));
    let row = Row {
        name: name.to_owned(),
        published: score(&cases.published),
        urls: score(&cases.urls),
        generated: score(&cases.generated),
    };
    say(&markdown(std::slice::from_ref(&row)));
    row
}

fn scores(row: &Row) -> Value {
    json!({
        "published": row.published.to_json(),
        "urls": row.urls.to_json(),
        "generated": row.generated.to_json(),
    })
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the file can be written");
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}

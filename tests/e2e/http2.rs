//! HTTP/2 frame by frame: the cases of `parties/h2_cases.py`, a real client's library on the other
//! side, over TLS and in cleartext, with identity and limits on. C21 to C27 and C30 are among them.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_testkit::{Process, tools};
use serde_json::Value;

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const CONFIG: &str = r#"
limits: [{name: many, key: address, rate: 100000/min}]
routes:
  - {name: public, path: "/public/{*rest}", access: public, forward: {upstream: u}}
  - {name: raw, path: "/raw/{*rest}", encoded_slash: true, access: public, forward: {upstream: u}}
  - {name: admin, path: "/admin/{*rest}", access: {any_of: [{issuer: corporate}]}, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, limits: [many], forward: {upstream: u, identity: {headers: {x-auth-subject: subject}}}}
"#;

/// What became of a case.
struct Outcome {
    name: String,
    wrong: Option<String>,
}

static OVER_TLS: LazyLock<Option<Vec<Outcome>>> = LazyLock::new(|| {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG]);
    world.gateway.write("authority.crt", world.authority.pem());
    let file = world.gateway.launch().folder().join("authority.crt");
    run(&world, "https", Some(&file.display().to_string()))
});

static IN_CLEARTEXT: LazyLock<Option<Vec<Outcome>>> = LazyLock::new(|| {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG]);
    run(&world, "plain", None)
});

/// Runs all cases against one listener.
fn run(world: &World, listener: &str, authority: Option<&str>) -> Option<Vec<Outcome>> {
    let python = tools::python()?;
    let script = tools::workspace().join("tests/e2e/parties/h2_cases.py");
    let mut arguments = vec![
        "-B".to_owned(),
        script.display().to_string(),
        world.gateway.address(listener).to_string(),
        "api.test".to_owned(),
        world.issuer.token().sign(),
    ];
    arguments.extend(authority.map(str::to_owned));
    let process = Process::start(&python, &arguments, &tools::workspace(), &[]);
    let code = process.wait(Duration::from_mins(2));
    assert_eq!(code, 0, "{}", process.stderr().join("\n"));
    let results: Vec<Value> =
        process.stdout().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let refused = results.iter().filter(|result| result["sees"] != "once").count();
    assert!(refused >= 300, "only {refused} cases to be refused were run");
    assert!(results.len() - refused >= 55, "cases to be served are missing");
    let outcome = |result: &Value| Outcome {
        name: result["name"].as_str().unwrap_or_default().to_owned(),
        wrong: wrong(world, result),
    };
    Some(results.iter().map(outcome).collect())
}

/// What is wrong with a case: its own verdict, or what the upstream saw.
fn wrong(world: &World, result: &Value) -> Option<String> {
    if let Some(wrong) = result["wrong"].as_str() {
        return Some(wrong.to_owned());
    }
    let mark = result["mark"].as_str().unwrap_or_default();
    let seen = world.upstream.seen(mark);
    match (result["sees"].as_str().unwrap_or_default(), seen.as_slice()) {
        ("anything", _) | ("no end", []) => None,
        ("nothing", []) => {
            // Not even a part of it.
            let raw = (0..world.upstream.connections()).map(|at| world.upstream.raw(at));
            let some = raw.filter(|raw| String::from_utf8_lossy(raw).contains(mark)).count();
            (some > 0).then(|| "the upstream saw some of it".to_owned())
        }
        ("once", [seen]) => {
            let expected = result["as_seen"].as_object();
            expected.into_iter().flatten().find_map(|(name, value)| {
                let is = match name.as_str() {
                    "target" => Some(seen.target.as_str()),
                    name => seen.field(name),
                };
                (is != value.as_str()).then(|| format!("{name} is {is:?}, not {value}"))
            })
        }
        (_, seen) => Some(format!("the upstream saw it {} times", seen.len())),
    }
}

/// Asserts that the cases whose names contain `id` went well on both listeners.
#[track_caller]
fn all_well(id: &str) {
    for (listener, outcomes) in [("https", &*OVER_TLS), ("plain", &*IN_CLEARTEXT)] {
        let Some(outcomes) = outcomes else { return };
        let of_case: Vec<_> = outcomes.iter().filter(|outcome| outcome.name.contains(id)).collect();
        assert!(!of_case.is_empty(), "there is no case {id}");
        let wrong: Vec<String> = of_case
            .iter()
            .filter_map(|case| Some(format!("{}: {}", case.name, case.wrong.as_ref()?)))
            .collect();
        assert!(wrong.is_empty(), "{listener}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

#[test]
fn every_case_over_tls_and_in_cleartext() {
    all_well("");
}

#[test]
fn c21_over_http2() {
    all_well("c21 ");
}

#[test]
fn c22_over_http2() {
    all_well("c22 ");
}

#[test]
fn c23_over_http2() {
    all_well("c23 ");
}

#[test]
fn c24_over_http2() {
    all_well("c24 ");
}

#[test]
fn c25_over_http2() {
    all_well("c25 ");
}

#[test]
fn c26_over_http2() {
    all_well("c26 ");
}

#[test]
fn c27_over_http2() {
    all_well("c27 ");
}

#[test]
fn c30_over_http2() {
    all_well("c30 ");
}

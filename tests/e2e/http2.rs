//! HTTP/2 frame by frame: the cases of `parties/h2_cases.py`, a real client's library on the other
//! side, over TLS and in cleartext, with identity and limits on.

use std::time::Duration;

use portcullis_testkit::{Process, tools};
use serde_json::Value;

use crate::world::{BASE, HOSTS, ISSUERS, UPSTREAMS, World};

const CONFIG: &str = r#"
limits: [{name: many, key: address, rate: 100000/min}]
routes:
  - {name: open, path: "/open/{*rest}", access: public, forward: {upstream: u}}
  - {name: api, path: "/api/{*rest}", access: {any_of: [{issuer: corporate}]}, limits: [many], forward: {upstream: u}}
"#;

fn world() -> World {
    World::start(&[BASE, HOSTS, UPSTREAMS, ISSUERS, CONFIG])
}

/// Runs all cases against one listener; a line for each that went wrong.
fn wrong(world: &World, listener: &str, authority: Option<&str>) -> Option<Vec<String>> {
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
    assert!(refused >= 250, "only {refused} cases to be refused were run");
    assert!(results.len() - refused >= 40, "cases to be served are missing");
    Some(results.iter().filter_map(|result| verdict(world, result)).collect())
}

/// What is wrong with a case: its own verdict, or what the upstream saw.
fn verdict(world: &World, result: &Value) -> Option<String> {
    let text = |key: &str| result[key].as_str().unwrap_or_default();
    let (name, mark) = (text("name"), text("mark"));
    if let Some(wrong) = result["wrong"].as_str() {
        return Some(format!("{name}: {wrong}"));
    }
    let seen = world.upstream.seen(mark).len();
    match text("sees") {
        "nothing" => {
            // Not even a part of it.
            let parts = (0..world.upstream.connections())
                .filter(|at| String::from_utf8_lossy(&world.upstream.raw(*at)).contains(mark))
                .count();
            (parts > 0).then(|| format!("{name}: the upstream saw some of it"))
        }
        "no end" => (seen != 0).then(|| format!("{name}: the upstream saw all of it")),
        "once" => (seen != 1).then(|| format!("{name}: the upstream saw it {seen} times")),
        _ => None,
    }
}

#[test]
fn every_case_over_tls() {
    let world = world();
    world.gateway.write("authority.crt", world.authority.pem());
    let file = world.gateway.launch().folder().join("authority.crt");
    let Some(wrong) = wrong(&world, "https", Some(&file.display().to_string())) else { return };
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_in_cleartext() {
    let world = world();
    let Some(wrong) = wrong(&world, "plain", None) else { return };
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

//! `cors`.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use portcullis_policy::{CorsPolicy, OriginPattern};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{self, non_empty};
use crate::compile::methods::method;
use crate::problem::{Problem, Problems};
use crate::raw::cors as raw;
use crate::read::Items;

/// The longest time that browsers keep a preflight's answer.
const LONGEST_AGE: Duration = Duration::from_hours(24);

#[derive(Default)]
struct Origins {
    patterns: Vec<OriginPattern>,
    any: bool,
    null: bool,
}

impl raw::Cors {
    /// Compiles one policy.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<(Arc<str>, Arc<CorsPolicy>)> {
        let Self { name, origins, methods, headers, expose_headers, credentials, max_age } = self;
        let name = check::name(name, at, problems);
        if name.as_deref() == Some("app") {
            let message = "`app` stands for the app's own answers";
            problems.push(Problem::new(at.key("name"), message).help("choose another name"));
        }
        let origins = problems.required(at, "origins", origins);
        let origins = origins.and_then(|list| compile_origins(list, &at.key("origins"), problems));
        if credentials && origins.as_ref().is_some_and(|origins| origins.any) {
            let message = "any origin together with credentials lets every site act as the user";
            let problem = Problem::new(at.key("credentials"), message);
            problems.push(problem.help("list the origins, or take `credentials` out"));
        }
        let methods_at = at.key("methods");
        let methods = non_empty(methods, &methods_at, problems).and_then(|list| {
            let one = |(at, text): (At, String)| method(&text, &at, problems);
            list.into_at(&methods_at).map(one).collect::<Vec<_>>().into_iter().collect()
        });
        let headers = fields(headers, &at.key("headers"), problems);
        let expose_headers = fields(expose_headers, &at.key("expose_headers"), problems);
        if max_age.get() > LONGEST_AGE {
            let problem = Problem::new(at.key("max_age"), format!("{max_age} is too long"));
            problems.push(problem.expected("at most 24h, which is what browsers keep at most"));
        }
        let (name, Origins { patterns, any, null }) = (name?, origins?);
        let policy = CorsPolicy {
            name: Arc::clone(&name),
            origins: patterns,
            any_origin: any,
            null_origin: null,
            methods: methods?,
            headers: headers?,
            expose_headers: expose_headers?,
            credentials,
            max_age: max_age.get(),
            origin: context.origin(at),
        };
        Some((name, Arc::new(policy)))
    }
}

fn compile_origins(raw: Items<String>, at: &At, problems: &mut Problems) -> Option<Origins> {
    let mut origins = Origins::default();
    let mut sound = true;
    for (at, text) in non_empty(raw, at, problems)?.into_at(at) {
        match text.as_str() {
            "*" => origins.any = true,
            "null" => origins.null = true,
            _ => {
                let pattern = OriginPattern::parse(&text);
                if pattern.is_none() {
                    problems.push(not_an_origin(&text, at));
                    sound = false;
                }
                origins.patterns.extend(pattern);
            }
        }
    }
    sound.then_some(origins)
}

fn not_an_origin(text: &str, at: At) -> Problem {
    let problem = Problem::new(at, format!("`{text}` is not an origin as browsers send it"))
        .expected("`https://app.example.com`, `https://*.example.com` for one label, or `*`");
    let mut likely = text.to_ascii_lowercase();
    if !likely.contains("://") {
        likely = format!("https://{likely}");
    }
    let end = likely.find("://").map_or(0, |start| start + 3);
    let host = likely.get(end..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let scheme = likely.get(..end).unwrap_or_default();
    let port = if scheme == "http://" { ":80" } else { ":443" };
    let likely = format!("{scheme}{}", host.strip_suffix(port).unwrap_or(host));
    match OriginPattern::parse(&likely) {
        Some(_) => problem.help(format!("did you mean `{likely}`?")),
        None => problem,
    }
}

fn fields(raw: Items<String>, at: &At, problems: &mut Problems) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    let mut sound = true;
    for (at, text) in raw.into_at(at) {
        match HeaderName::try_from(&text) {
            Ok(name) if text != "*" => names.push(Box::from(name.as_str())),
            Ok(_) | Err(_) => {
                let problem = Problem::new(at, format!("`{text}` is not the name of a field"));
                problems.push(problem.expected("a name such as `content-type`"));
                sound = false;
            }
        }
    }
    sound.then_some(names)
}

//! `request` and `timeouts` of a route.

use std::time::Duration;

use portcullis_policy::{BodyRules, MediaType, RouteTimeouts};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{non_empty, own_or_default, positive};
use crate::problem::{Problem, Problems};
use crate::raw::request as raw;
use crate::read::Items;

/// Most bytes of a body where nothing is said.
const MAXIMUM: u64 = 1024 * 1024;
/// Longest request where nothing is said.
const TOTAL: Duration = Duration::from_mins(1);

/// What body the route at `at` takes.
pub(super) fn body(
    own: raw::Request,
    at: &At,
    default: raw::Request,
    default_at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<BodyRules> {
    let raw::Request { body: raw::Body { maximum, types } } = own;
    let raw::Request { body: raw::Body { maximum: default_maximum, types: default_types } } =
        default;
    let place = |at: &At, key: &str| at.key("request").key("body").key(key);
    let maximum = own_or_default(
        maximum,
        place(at, "maximum"),
        default_maximum,
        place(default_at, "maximum"),
    );
    let types =
        own_or_default(types, place(at, "types"), default_types, place(default_at, "types"));
    let said = maximum.as_ref().map(|(at, _)| at).or(types.as_ref().map(|(at, _)| at));
    let origin = said.map(|at| context.origin(at)).unwrap_or_default();
    let types = match types {
        Some((at, types)) => media_types(types, &at, problems)?,
        None => Vec::new(),
    };
    let maximum = maximum.map_or(MAXIMUM, |(_, size)| size.bytes());
    Some(BodyRules { maximum, types, origin, report_only: None })
}

fn media_types(raw: Items<String>, at: &At, problems: &mut Problems) -> Option<Vec<MediaType>> {
    let mut types = Vec::new();
    let mut sound = !problems.touch(at);
    for (at, text) in non_empty(raw, at, problems)?.into_at(at) {
        let media_type = MediaType::parse(&text);
        if media_type.is_none() {
            let problem = Problem::new(at, format!("`{text}` is not a media type"));
            problems.push(problem.expected("`type/subtype` or `type/*`, without parameters"));
            sound = false;
        }
        types.extend(media_type);
    }
    sound.then_some(types)
}

/// How long the route at `at` may take.
pub(super) fn timeouts(
    own: raw::RouteTimeouts,
    at: &At,
    default: raw::RouteTimeouts,
    default_at: &At,
    problems: &mut Problems,
) -> Option<RouteTimeouts> {
    let raw::RouteTimeouts { total } = own;
    let raw::RouteTimeouts { total: default_total } = default;
    let place = |at: &At| at.key("timeouts").key("total");
    match own_or_default(total, place(at), default_total, place(default_at)) {
        Some((at, total)) => Some(RouteTimeouts { total: positive(total, &at, problems)? }),
        None => Some(RouteTimeouts { total: TOTAL }),
    }
}

//! What is declared and used nowhere is a mistake: somebody thinks that it works.

use crate::at::At;
use crate::problem::{Place, Problem, Problems, nearest};
use crate::yaml::tree::{Kind, Node};

/// Sections whose entries are used by routes, the key of a route that uses them, and a word for one.
const USES: [(&str, &str, &str); 5] = [
    ("cors", "cors", "cors policy"),
    ("issuers", "access", "issuer"),
    ("limits", "limits", "limit"),
    ("policies", "access", "policy"),
    ("upstreams", "forward", "upstream"),
];

/// Notes the entries that no route names. A route that is wrong in some other way still counts, so
/// that one mistake does not bring about a second.
pub(crate) fn note_unused(tree: &Node, problems: &mut Problems) {
    note_unused_keys(tree, problems);
    let routes = tree.get("routes").map(Node::items).unwrap_or_default();
    let users: Vec<&Node> = routes.iter().chain(tree.get("defaults")).collect();
    for (section, key, what) in USES {
        let at = At::root().key(section);
        let names = tree.get(section).map(|section| declared(section, &at)).unwrap_or_default();
        for (name, place) in &names {
            let is_declared = |text: &str| names.iter().any(|(other, _)| *other == text);
            let meant = |text: &str| text == *name || !is_declared(text) && is_near(text, name);
            if !users.iter().any(|user| uses(user, key, &meant)) {
                let message = format!("the {what} `{name}` is used nowhere");
                let problem = Problem::new(place.clone(), message);
                let problem = Problem { place: place_of(section), ..problem };
                problems
                    .push(problem.help(format!("name it in a route's `{key}`, or take it out")));
            }
        }
    }
}

/// Notes `api_keys` where no route takes any.
fn note_unused_keys(tree: &Node, problems: &mut Problems) {
    let routes = tree.get("routes").map(Node::items).unwrap_or_default();
    let meant = |text: &str| text == "api_key" || is_near(text, "api_key");
    let takes = |route: &Node| {
        let any_of = route.get("access").and_then(|access| access.get("any_of"));
        any_of.is_some_and(|any_of| any_of.mentions(&meant) || any_of.has_key(&meant))
    };
    if tree.get("api_keys").is_some() && !routes.iter().any(takes) {
        let problem = Problem::new(At::root().key("api_keys"), "no route takes API keys").on_key();
        let help = "name `api_key` in `any_of` of a route, or take the section out";
        problems.push(problem.help(help));
    }
}

/// Whether the names of a section are keys or values.
fn place_of(section: &str) -> Place {
    if section == "policies" { Place::Key } else { Place::Value }
}

/// The names of a section and where they stand: keys of a mapping, or `name` in the items of a list.
fn declared<'t>(section: &'t Node, at: &At) -> Vec<(&'t str, At)> {
    if let Kind::Mapping(entries) = &section.kind {
        return entries.iter().map(|entry| (&*entry.key, at.key(&entry.key))).collect();
    }
    let named = section.items().iter().enumerate().filter_map(|(index, item)| {
        let name = item.get("name").and_then(Node::text)?;
        Some((name, at.index(index).key("name")))
    });
    named.collect()
}

/// Whether a text for which `meant` holds stands below the key `wanted`, or below one that may be
/// meant for it.
fn uses(user: &Node, wanted: &str, meant: &dyn Fn(&str) -> bool) -> bool {
    let Kind::Mapping(entries) = &user.kind else { return false };
    let is_wanted = |key: &str| key == wanted || is_near(key, wanted);
    entries.iter().any(|entry| is_wanted(&entry.key) && entry.value.mentions(meant))
}

fn is_near(written: &str, name: &str) -> bool {
    nearest(written, &[name]).is_some()
}

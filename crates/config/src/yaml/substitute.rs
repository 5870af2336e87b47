//! `${NAME}`, `${NAME:-default}` and `$$` in the strings of the tree.
//!
//! It runs after the YAML was read, so that a value from the environment can never become syntax;
//! what was put in is not looked at again.

use crate::at::At;
use crate::environment::Environment;
use crate::problem::{Problem, Problems};
use crate::yaml::tree::{Kind, Node, Scalar, Shape};

/// Replaces the references in every string below `node`. A reference at a path for which
/// `may_be_unset` holds is left empty where the variable is not set.
pub(crate) fn substitute(
    node: &mut Node,
    at: &At,
    environment: &Environment,
    may_be_unset: &dyn Fn(&At) -> bool,
    problems: &mut Problems,
) {
    match &mut node.kind {
        Kind::Mapping(entries) => {
            for entry in entries {
                let below = at.key(&entry.key);
                substitute(&mut entry.value, &below, environment, may_be_unset, problems);
            }
        }
        Kind::Scalar(scalar) if scalar.text.contains('$') => {
            if let Err(problem) = fill(scalar, at, environment, may_be_unset(at)) {
                problems.push(*problem);
            }
        }
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                substitute(item, &at.index(index), environment, may_be_unset, problems);
            }
        }
    }
}

fn fill(
    scalar: &mut Scalar,
    at: &At,
    environment: &Environment,
    may_be_unset: bool,
) -> Result<(), Box<Problem>> {
    if !matches!(scalar.shape, Shape::Quoted | Shape::Word) {
        return Ok(());
    }
    let written = std::mem::take(&mut scalar.text);
    let mut filled = String::with_capacity(written.len());
    let mut rest = written.as_str();
    let mut references = 0_usize;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (inner, after) = after.split_once('}').ok_or_else(|| Box::new(unfinished(at)))?;
            let (name, default) = reference(inner, at)?;
            match value(name, default, environment) {
                Some(value) => filled.push_str(&value),
                None if may_be_unset => {}
                None => return Err(Box::new(unset(name, at))),
            }
            references += 1;
            rest = after;
        } else {
            filled.push('$');
            rest = after;
        }
    }
    filled.push_str(rest);
    let whole = references == 1
        && written.starts_with("${")
        && written.find('}') == Some(written.len() - 1);
    scalar.shape = if whole { Shape::Reference } else { scalar.shape };
    scalar.written = (references > 0).then_some(written);
    scalar.text = filled;
    Ok(())
}

fn unfinished(at: &At) -> Problem {
    let problem = Problem::new(at.clone(), "a `${` without its `}`");
    problem.help("write `$${` for the characters themselves")
}

fn unset(name: &str, at: &At) -> Problem {
    Problem::new(at.clone(), format!("the environment variable `{name}` is not set"))
        .help(format!("set it, or give a default: `${{{name}:-default}}`"))
}

/// The parts of `NAME` or `NAME:-default`.
fn reference<'i>(inner: &'i str, at: &At) -> Result<(&'i str, Option<&'i str>), Box<Problem>> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Ok((name, default));
    }
    let message = format!("`${{{inner}}}` names no environment variable");
    let problem = Problem::new(at.clone(), message)
        .expected("`${NAME}` or `${NAME:-default}`, with a name of letters, digits and _")
        .help("write `$${` for the characters themselves");
    Err(Box::new(problem))
}

/// The value: the default counts where the variable is not set or empty, as in a shell.
fn value(name: &str, default: Option<&str>, environment: &Environment) -> Option<String> {
    match (environment.get(name), default) {
        (Some(value), None) => Some(value),
        (Some(value), Some(_)) if !value.is_empty() => Some(value),
        (_, default) => default.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse::parse;

    const PASSWORD: &str = r#"S3cret$USER!x{y}#z: "q""#;

    fn read(text: &str) -> (Node, Problems) {
        let environment = Environment::fixed([("PW", PASSWORD), ("EMPTY", ""), ("USER", "me")]);
        let mut problems = Problems::default();
        let mut tree = parse(text, &mut problems).expect("YAML");
        substitute(&mut tree, &At::root(), &environment, &|_| false, &mut problems);
        (tree, problems)
    }

    #[track_caller]
    fn check(value: &str, expected: &str) {
        let (tree, problems) = read(&format!("# ${{MISSING}}\nx: {value}\n"));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(tree.get("x").and_then(Node::text), Some(expected), "{value}");
    }

    #[test]
    fn c46_values_come_from_the_environment_byte_for_byte() {
        check("${PW}", PASSWORD);
        check("\"${PW}\"", PASSWORD);
        check("pa$USER-word", "pa$USER-word");
        check("$$x", "$x");
        check("$${PW}", "${PW}");
        check("${MISSING:-dft}", "dft");
        check("'${EMPTY:-dft}'", "dft");
        check("'a${EMPTY}b'", "ab");
        check("https://${USER}.test:${PORT:-80}/", "https://me.test:80/");
    }

    #[test]
    fn c46_a_missing_variable_is_named() {
        let (_, problems) = read("x: ['${MISSING}']\n");
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.message, "the environment variable `MISSING` is not set");
        assert_eq!(problem.at.to_string(), "x[0]");
    }

    #[test]
    fn c46_doubtful_references_are_refused() {
        for text in ["x: '${PW'", "x: '${}'", "x: '${1A}'", "x: '${A B}'"] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        }
    }

    #[test]
    fn a_whole_reference_is_told_from_text() {
        let shape = |text: &str| {
            let (tree, _) = read(text);
            let Some(Node { kind: Kind::Scalar(scalar), .. }) = tree.get("x").cloned() else {
                panic!("no scalar in {text}")
            };
            scalar.shape
        };
        assert_eq!(shape("x: ${PW}"), Shape::Reference);
        assert_eq!(shape("x: '${PW}'"), Shape::Reference);
        assert_eq!(shape("x: '${PW}x'"), Shape::Quoted);
        assert_eq!(shape("x: ${PW}${PW}"), Shape::Word);
        assert_eq!(shape("x: $${PW}"), Shape::Word);
    }
}

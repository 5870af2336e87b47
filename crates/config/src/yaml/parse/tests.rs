//! What the file may be, and what of YAML is refused.

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut problems = Problems::default();
    let tree = parse(text, &mut problems);
    (tree, problems.into_vec())
}

/// One mistake: its line and message.
#[track_caller]
fn check(text: &str, line: usize, message: &str) {
    let (_, problems) = read(text);
    let [problem] = problems.as_slice() else { panic!("{text}: {problems:#?}") };
    let crate::problem::Place::Span(span) = problem.place else { panic!("{problem:?}") };
    assert_eq!((line_of(text, span.start), problem.message.as_str()), (line, message), "{text}");
}

#[track_caller]
fn check_scalar(written: &str, text: &str, shape: Shape) {
    let (tree, problems) = read(&format!("a: {written}\n"));
    assert!(problems.is_empty(), "{written}: {problems:?}");
    let node = tree.as_ref().and_then(|tree| tree.get("a")).cloned();
    let Some(Node { kind: Kind::Scalar(scalar), .. }) = node else { panic!("{written}: {node:?}") };
    assert_eq!((scalar.text.as_str(), scalar.shape), (text, shape), "{written}");
}

#[test]
fn c47_scalars_are_kept_as_written() {
    for word in
        ["yes", "no", "on", "off", "08443", "0644", "1_000", "12:30", ".inf", "0X1F", "=", "a b"]
    {
        check_scalar(word, word, Shape::Word);
    }
    for number in ["1e3", "0x1F", "0o17", "-5", "1.0", ".5", "443", "0"] {
        check_scalar(number, number, Shape::Number);
    }
    for boolean in ["true", "false", "True", "FALSE"] {
        check_scalar(boolean, boolean, Shape::Boolean);
    }
    check_scalar("\"443\"", "443", Shape::Quoted);
    check_scalar("''", "", Shape::Quoted);
    check_scalar("~", "", Shape::Null);
    check_scalar("", "", Shape::Null);
    check_scalar("!!str 5", "5", Shape::Word);
    check_scalar("|\n  x\n", "x\n", Shape::Word);
}

#[test]
fn c47_duplicate_keys_are_refused_at_any_depth() {
    check("a: 1\nb: 2\na: 3\n", 3, "the key `a` stands here twice");
    check("a:\n- {b: {c: 1,\n  c: 2}}\n", 3, "the key `c` stands here twice");
    check("a: 1\n\"a\": 1\n", 2, "the key `a` stands here twice");
}

#[test]
fn c47_merge_keys_are_refused() {
    check("a: &a {b: 1}\nc:\n  <<: *a\n", 3, "the merge key `<<` is not accepted");
}

#[test]
fn c47_aliases_that_multiply_are_refused_fast() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = format!("*a{},", level - 1).repeat(9);
        bomb = format!("{bomb}a{level}: &a{level} [{below}]\n");
    }
    let (tree, problems) = read(&bomb);
    assert!(tree.is_none());
    assert_eq!(
        problems[0].message,
        "the file, with its aliases followed, is too large or too deep"
    );
    let (tree, problems) = read("a: &a {b: 1}\nc: *a\n");
    assert!(problems.is_empty(), "one alias is fine");
    assert_eq!(tree.unwrap().get("c").and_then(|c| c.get("b")).and_then(Node::text), Some("1"));
}

#[test]
fn c47_deep_nesting_is_refused() {
    let (tree, problems) = read(&format!("a: {}{}", "[".repeat(3_000), "]".repeat(3_000)));
    assert!(tree.is_none());
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn c47_one_document_without_tabs() {
    check("a: 1\n---\nb: 2\n", 2, "a second document begins here");
    let tab =
        "this is not readable as YAML: tabs disallowed within this context (block indentation)";
    check("a:\n\tb: 1\n", 2, tab);
    let (_, problems) = read("a:\n\tb: 1\n");
    assert_eq!(problems[0].help.as_deref(), Some("indent with blanks: YAML does not take tabs"));
}

#[test]
fn c47_keys_are_text() {
    check("? [a]\n: 1\n", 1, "a key must be text");
    check("b: 1\n~: 2\n", 2, "a key must be text");
}

#[test]
fn what_is_no_yaml_is_one_mistake() {
    check("a: [1\n", 1, "this is not readable as YAML: unclosed bracket '['");
    check("a: *zz\n", 1, "this is not readable as YAML: alias references unknown anchor");
    check("a: !foo 3\n", 1, "this is not readable as YAML: unsupported tag `!foo`");
}

#[test]
fn an_empty_file_is_an_empty_mapping() {
    for text in ["", "# nothing\n", "---\n", "{}", "\n\n"] {
        let (tree, problems) = read(text);
        assert!(problems.is_empty(), "{text:?}: {problems:?}");
        assert_eq!(tree.map(|tree| tree.kind), Some(Kind::Mapping(Vec::new())), "{text:?}");
    }
}

#[test]
fn a_long_comment_is_no_trouble() {
    let (tree, problems) = read(&format!("{}a: 1\n{}", "# x\n".repeat(500), "# y\n".repeat(500)));
    assert!(tree.is_some() && problems.is_empty(), "{problems:?}");
}

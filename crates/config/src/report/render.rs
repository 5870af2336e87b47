//! One mistake or advice in the manner of rustc.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::advice::Advice;
use crate::problem::{Place, Problem};
use crate::report::Source;
use crate::yaml::tree::{Node, Span};

/// A mistake: title, place, the line with carets, what was expected, what may help, the path.
pub(super) fn problem(
    source: &Source,
    tree: Option<&Node>,
    problem: &Problem,
    colour: bool,
) -> String {
    let known = tree.is_some() || matches!(problem.place, Place::Span(_));
    let span = known.then(|| source.span(tree, problem));
    let mut notes = Vec::new();
    if !problem.at.to_string().is_empty() {
        notes.push((Level::NOTE.with_name("path"), problem.at.to_string()));
    }
    if let Some(expected) = &problem.expected {
        notes.push((Level::NOTE.with_name("expected"), expected.clone()));
    }
    if let Some(help) = &problem.help {
        notes.push((Level::HELP, help.clone()));
    }
    show(source, Level::ERROR, None, &problem.message, span, notes, colour)
}

/// An advice: the same, with its number, why, the fix and where more is said.
pub(super) fn advice(source: &Source, advice: &Advice, colour: bool) -> String {
    let rule = advice.rule;
    let notes = vec![
        (Level::NOTE.with_name("path"), advice.path.clone()),
        (Level::NOTE.with_name("why"), rule.why.to_owned()),
        (Level::HELP, rule.fix.to_owned()),
        (Level::NOTE.with_name("see"), rule.references_text()),
    ];
    let id = format!("{}/{}", rule.number, rule.severity.as_str());
    show(source, Level::WARNING, Some(&id), &advice.message, advice.span, notes, colour)
}

fn show(
    source: &Source,
    level: Level<'_>,
    id: Option<&str>,
    title: &str,
    span: Option<Span>,
    notes: Vec<(Level<'_>, String)>,
    colour: bool,
) -> String {
    let title = level.primary_title(title);
    let title = match id {
        Some(id) => title.id(id),
        None => title,
    };
    let mut group = match span {
        None => Group::with_title(title),
        Some(Span { start, end }) => {
            let end = end.max(start).min(source.text().len());
            let start = start.min(end);
            let annotation = AnnotationKind::Primary.span(start..end);
            let snippet = Snippet::source(source.text()).path(source.name()).line_start(1);
            title.element(snippet.annotation(annotation))
        }
    };
    for (level, note) in notes {
        group = group.element(level.message(note));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.render(&[group]);
    format!("{text}\n\n")
}

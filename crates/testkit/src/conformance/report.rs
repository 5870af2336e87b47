//! The table of docs/conformance.md.

use std::fmt::Write as _;

use super::score::Score;

/// Where the generated part of the page begins and ends.
pub const BEGIN: &str = "<!-- begin: make conformance -->";
/// See [`BEGIN`].
pub const END: &str = "<!-- end: make conformance -->";

/// One gateway: its name, and its scores over the sets.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name and version.
    pub name: String,
    /// Over the public sets of raw requests.
    pub published: Score,
    /// Over the URLs.
    pub urls: Score,
    /// Over the generated ones.
    pub generated: Score,
}

/// The table.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::new();
    let Some(first) = rows.first() else { return text };
    let sizes = [&first.published, &first.urls, &first.generated].map(|score| score.requests);
    writeln!(
        text,
        "Requests: {} of the public sets, {} made of URLs, {} generated. The first columns count the\n\
         public sets; the last two count malformed requests that arrived of the others.\n",
        sizes[0], sizes[1], sizes[2]
    )
    .ok();
    text.push_str(
        "| gateway | malformed arrived | of these but for bytes in the target | severe arrived (58) | ambiguous arrived (57) | of these not isolated | \
         compliant refused (28) | split | changed | next request damaged | malformed: URLs | malformed: generated |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let score = &row.published;
        let counts = [
            score.malformed.len(),
            score.malformed.len() - score.malformed_target,
            score.severe.len(),
            score.ambiguous_arrived.len(),
            score.ambiguous.len(),
            score.compliant.len(),
            score.split.len(),
            score.changed.len(),
            score.damaged.len(),
            row.urls.malformed.len(),
            row.generated.malformed.len(),
        ];
        let cells: Vec<String> = counts.iter().map(ToString::to_string).collect();
        writeln!(text, "| {} | {} |", row.name, cells.join(" | ")).ok();
    }
    text
}

/// The page with its generated part replaced.
pub fn replace(page: &str, generated: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{generated}\n{END}{after}"))
}

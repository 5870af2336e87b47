//! Where the certificates of a file will come from, as `portcullis check` tells it.

use portcullis_config::snapshot::TlsTerms;
use portcullis_core::Timestamp;
use portcullis_tls::CertifiedPair;
use serde_json::{Value, json};

/// One name, and how it gets its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The name; `None` where the file that has it was not read.
    name: Option<String>,
    way: Way,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Files(String),
    Acme { challenge: &'static str, directory: String },
    SelfSigned,
}

/// All names of `terms`. Reads certificate files, if `reads_files`.
pub(crate) fn planned(terms: &TlsTerms, reads_files: bool, now: Timestamp) -> Vec<Planned> {
    let mut all = Vec::new();
    for pair in &terms.sources.files {
        let way = Way::Files(pair.certificate.display().to_string());
        let read = reads_files.then(|| CertifiedPair::read(pair, now).ok()).flatten();
        let names = read.map_or_else(|| vec![None], |read| named(read.names()));
        all.extend(names.into_iter().map(|name| Planned { name, way: way.clone() }));
    }
    if let Some(acme) = &terms.acme {
        all.extend(terms.sources.acme.iter().map(|name| {
            let challenge = acme.challenge_for(name).as_str();
            let way = Way::Acme { challenge, directory: acme.directory.clone() };
            Planned { name: Some(name.clone()), way }
        }));
    }
    let own = named(&terms.sources.self_signed);
    all.extend(own.into_iter().map(|name| Planned { name, way: Way::SelfSigned }));
    all
}

fn named(names: &[String]) -> Vec<Option<String>> {
    names.iter().cloned().map(Some).collect()
}

impl Planned {
    /// For people, one line.
    pub(crate) fn text(&self) -> String {
        let name = self.name.as_deref().unwrap_or("(not read)");
        match &self.way {
            Way::Files(file) => format!("{name}: files ({file})"),
            Way::Acme { challenge, directory } => {
                format!("{name}: acme ({challenge}, {directory})")
            }
            Way::SelfSigned => format!("{name}: self_signed"),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let (source, file, challenge, directory) = match &self.way {
            Way::Files(file) => ("files", Some(file), None, None),
            Way::Acme { challenge, directory } => ("acme", None, Some(challenge), Some(directory)),
            Way::SelfSigned => ("self_signed", None, None, None),
        };
        json!({
            "name": self.name,
            "source": source,
            "file": file,
            "challenge": challenge,
            "directory": directory,
        })
    }
}

//! `tls.client_certificates` of listeners and hosts.

use std::path::PathBuf;

use portcullis_tls::{ClientMode, ClientTerms, ClientTrust, TlsError};

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::texts;
use crate::problem::{Problem, Problems};
use crate::raw::client_certificates as raw;
use crate::raw::issuers::TrustFile;

impl raw::ClientCertificates {
    /// Compiles the demand; the outer `None` is a mistake, the inner one asks for none.
    #[expect(clippy::option_option, reason = "a mistake and nothing asked for are two things")]
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Option<ClientTerms>> {
        let Self { mode, trust, crl } = self;
        let mode = match mode {
            raw::ClientMode::None if problems.touch(&at.key("mode")) => return None,
            raw::ClientMode::None => {
                return without_effect(at, trust.is_some(), crl.is_some(), problems);
            }
            raw::ClientMode::Optional => ClientMode::Optional,
            raw::ClientMode::Required => ClientMode::Required,
        };
        let trust_at = at.key("trust");
        let trust = problems.required(at, "trust", trust).and_then(|TrustFile { file }| {
            let file = problems.required(&trust_at, "file", file)?;
            context.path(&trust_at.key("file"), &file, problems)
        });
        let crls = match crl {
            Some(crl) => crl.compile(&at.key("crl"), context, problems)?,
            None => Vec::new(),
        };
        let terms = ClientTerms { mode, trust: trust?, crls };
        if context.reads_files() {
            let clock = context.options.handover.clock.clone();
            if let Err(error) = ClientTrust::open(terms.clone(), clock) {
                problems.push(Problem::new(place(at, &terms, &error), error.to_string()));
                return None;
            }
        }
        Some(Some(terms))
    }
}

impl raw::RevocationLists {
    fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Vec<PathBuf>> {
        let files = problems.required(at, "files", self.files)?;
        let at = at.key("files");
        let paths = texts(files, &at, problems)?;
        let paths = paths.iter().enumerate();
        paths.map(|(index, path)| context.path(&at.index(index), path, problems)).collect()
    }
}

/// The rest says nothing where no certificate is asked for.
#[expect(clippy::option_option, reason = "as the function it stands for")]
fn without_effect(
    at: &At,
    trust: bool,
    crl: bool,
    problems: &mut Problems,
) -> Option<Option<ClientTerms>> {
    let said = [("trust", trust), ("crl", crl)].into_iter().find(|(_, said)| *said);
    let Some((key, _)) = said else { return Some(None) };
    let message = "this has no effect: `mode: none` asks for no certificate";
    let problem = Problem::new(at.key(key), message).on_key();
    problems.push(problem.help("say `mode: optional` or `mode: required`"));
    None
}

/// The line that a mistake in the files belongs to.
fn place(at: &At, terms: &ClientTerms, error: &TlsError) -> At {
    let in_crl = if let TlsError::Unreadable { path, .. } = error {
        *path != terms.trust
    } else {
        matches!(error, TlsError::InvalidCrl { .. })
    };
    if in_crl { at.key("crl").key("files") } else { at.key("trust").key("file") }
}

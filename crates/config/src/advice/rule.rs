//! What a rule is.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::advice::facts::Facts;
use crate::at::At;

/// How much an advice weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look.
    Low,
    /// Open to misuse.
    High,
}

impl Severity {
    /// The word of the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// A numbered rule. A number is never used for another rule, nor a name.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its number, such as `A001`.
    pub number: &'static str,
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Where more is said about it.
    pub references: &'static [Reference],
    /// What it is found by.
    pub(super) find: fn(&Facts<'_>, &mut Found),
}

impl Rule {
    /// For programs: all of the rule.
    pub fn to_json(&self) -> Value {
        json!({
            "rule": self.number,
            "name": self.name,
            "severity": self.severity.as_str(),
            "title": self.title,
            "why": self.why,
            "fix": self.fix,
            "references": self.references_json(),
        })
    }

    /// For programs: name and address of each reference.
    pub(super) fn references_json(&self) -> Vec<Value> {
        let one = |one: &Reference| json!({"name": one.to_string(), "url": one.url()});
        self.references.iter().map(one).collect()
    }

    /// The references for people, with commas.
    pub fn references_text(&self) -> String {
        self.references.iter().map(Reference::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// Where more is said about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An item of the OWASP API Security Top 10 of 2023, from 1.
    Api(u8),
    /// A requirement of the OWASP Application Security Verification Standard 5.0.0, such as `9.2.3`.
    Asvs(&'static str),
    /// An RFC and its section.
    Rfc(u16, &'static str),
}

impl Reference {
    /// Where it can be read.
    pub fn url(&self) -> String {
        match self {
            Self::Api(item) => {
                let page = match item {
                    1 => "0xa1-broken-object-level-authorization",
                    2 => "0xa2-broken-authentication",
                    3 => "0xa3-broken-object-property-level-authorization",
                    4 => "0xa4-unrestricted-resource-consumption",
                    5 => "0xa5-broken-function-level-authorization",
                    6 => "0xa6-unrestricted-access-to-sensitive-business-flows",
                    7 => "0xa7-server-side-request-forgery",
                    8 => "0xa8-security-misconfiguration",
                    9 => "0xa9-improper-inventory-management",
                    10 => "0xaa-unsafe-consumption-of-apis",
                    _ => "0x11-t10",
                };
                format!("https://owasp.org/API-Security/editions/2023/en/{page}/")
            }
            Self::Asvs(requirement) => {
                let chapter = match requirement.split('.').next().unwrap_or_default() {
                    "1" => "0x10-V1-Encoding-and-Sanitization.md",
                    "2" => "0x11-V2-Validation-and-Business-Logic.md",
                    "3" => "0x12-V3-Web-Frontend-Security.md",
                    "4" => "0x13-V4-API-and-Web-Service.md",
                    "5" => "0x14-V5-File-Handling.md",
                    "6" => "0x15-V6-Authentication.md",
                    "7" => "0x16-V7-Session-Management.md",
                    "8" => "0x17-V8-Authorization.md",
                    "9" => "0x18-V9-Self-contained-Tokens.md",
                    "10" => "0x19-V10-OAuth-and-OIDC.md",
                    "11" => "0x20-V11-Cryptography.md",
                    "12" => "0x21-V12-Secure-Communication.md",
                    "13" => "0x22-V13-Configuration.md",
                    "14" => "0x23-V14-Data-Protection.md",
                    "15" => "0x24-V15-Secure-Coding-and-Architecture.md",
                    "16" => "0x25-V16-Security-Logging-and-Error-Handling.md",
                    _ => "",
                };
                format!("https://github.com/OWASP/ASVS/blob/master/5.0/en/{chapter}")
            }
            Self::Rfc(number, section) => {
                format!("https://www.rfc-editor.org/rfc/rfc{number}#section-{section}")
            }
        }
    }
}

impl fmt::Display for Reference {
    /// As documents cite it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(item) => write!(f, "OWASP API{item}:2023"),
            Self::Asvs(requirement) => write!(f, "ASVS v5.0.0-{requirement}"),
            Self::Rfc(number, section) => write!(f, "RFC {number} §{section}"),
        }
    }
}

/// What a rule found: where, and what. A place is told once.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<(At, String)>);

impl Found {
    /// Notes what is at `at`.
    pub(super) fn note(&mut self, at: At, message: impl Into<String>) {
        if !self.0.iter().any(|(other, _)| *other == at) {
            self.0.push((at, message.into()));
        }
    }
}

impl IntoIterator for Found {
    type Item = (At, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

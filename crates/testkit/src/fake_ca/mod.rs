//! An ACME server (RFC 8555, RFC 9773) that does as it is told: refuses, delays, fails validations,
//! issues for minutes, and counts.

mod book;
mod jws;
mod requests;
mod script;
mod serve;
mod validate;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::clock::{Clock, Timestamp};

use crate::CertificateAuthority;
use crate::authority::Trust;
use book::Book;
use script::Script;
pub use script::{Refusal, Validation};

/// The server, on a free port of 127.0.0.1, over TLS.
pub struct FakeCa {
    shared: Arc<Shared>,
    https: CertificateAuthority,
}

pub(crate) struct Shared {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) issuer: CertificateAuthority,
    pub(crate) book: Mutex<Book>,
    pub(crate) script: Mutex<Script>,
}

impl Shared {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

impl Default for FakeCa {
    fn default() -> Self {
        Self::start()
    }
}

impl FakeCa {
    /// Starts it: every validation succeeds, certificates are good for an hour.
    pub fn start() -> Self {
        Self::start_at(Clock::system())
    }

    /// The same in the time of `clock`.
    pub fn start_at(clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let https = CertificateAuthority::new();
        let tls = https.issue(&["localhost", "127.0.0.1"]).server_config();
        let shared = Arc::new(Shared {
            address,
            clock,
            issuer: CertificateAuthority::new(),
            book: Mutex::default(),
            script: Mutex::default(),
        });
        serve::start(listener, tls, &shared);
        Self { shared, https }
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        self.shared.url("/directory")
    }

    /// Whom to trust for the directory's HTTPS, PEM.
    pub fn trust_pem(&self) -> &str {
        self.https.pem()
    }

    /// Whom a client trusts that is to verify its certificates.
    pub fn trust(&self) -> Trust {
        self.shared.issuer.trust()
    }

    /// What comes of validations of `name` from now on.
    pub fn validation(&self, name: &str, what: Validation) {
        self.shared.script.lock().validations.insert(name.to_owned(), what);
    }

    /// Answers requests of this kind with `refusal`, those for `name` alone where one is given.
    pub fn refuse(&self, kind: &str, name: Option<&str>, refusal: Refusal) {
        self.shared.script.lock().refuse(kind, name, Some(refusal));
    }

    /// No longer.
    pub fn accept(&self, kind: &str, name: Option<&str>) {
        self.shared.script.lock().refuse(kind, name, None);
    }

    /// Answers requests of this kind so much later; what they ask for is done first.
    pub fn delay(&self, kind: &str, by: Duration) {
        self.shared.script.lock().delays.insert(kind.to_owned(), by);
    }

    /// How long orders stay `processing` after they were finalized.
    pub fn processing(&self, time: Duration) {
        self.shared.script.lock().processing = time;
    }

    /// How long certificates are good for.
    pub fn lifetime(&self, lifetime: Duration) {
        self.shared.script.lock().lifetime = lifetime;
    }

    /// The window for renewals (RFC 9773) of every certificate, and the seconds after which to ask
    /// again; without it there is no such resource.
    pub fn renewal_window(&self, window: Option<(Timestamp, Timestamp, u64)>) {
        self.shared.script.lock().window = window;
    }

    /// Issues for this name, whatever was ordered.
    pub fn issue_for(&self, name: Option<&str>) {
        self.shared.script.lock().issue_for = name.map(str::to_owned);
    }

    /// Refuses the next `count` nonces.
    pub fn reject_nonces(&self, count: usize) {
        self.shared.script.lock().rejected_nonces = count;
    }

    /// Forgets every account and order, as one that lost its disk.
    pub fn forget(&self) {
        let mut book = self.shared.book.lock();
        let calls = std::mem::take(&mut book.calls);
        *book = Book { calls, ..Book::default() };
    }

    /// How many requests of this kind came: `newAccount`, `newOrder`, `finalize`, `challenge`…
    pub fn count(&self, kind: &str) -> usize {
        self.shared.book.lock().calls.iter().filter(|call| call.kind == kind).count()
    }

    /// How many of them were for `name`.
    pub fn count_for(&self, kind: &str, name: &str) -> usize {
        let book = self.shared.book.lock();
        let meant = |call: &&book::Call| call.kind == kind && call.name == name;
        book.calls.iter().filter(meant).count()
    }

    /// How many validations of `name` failed.
    pub fn failed_validations(&self, name: &str) -> usize {
        self.count_for("failedValidation", name)
    }

    /// When requests of this kind for `name` came.
    pub fn times_of(&self, kind: &str, name: &str) -> Vec<Timestamp> {
        let book = self.shared.book.lock();
        let meant = |call: &&book::Call| call.kind == kind && call.name == name;
        book.calls.iter().filter(meant).map(|call| call.at).collect()
    }

    /// The token and the key authorization of the latest order for `name`, once a validation was
    /// asked for.
    pub fn pending(&self, name: &str) -> Option<(String, String)> {
        let book = self.shared.book.lock();
        let order = book.orders.iter().rev().find(|order| order.name == name && order.asked)?;
        Some((order.token.clone(), format!("{}.{}", order.token, order.thumbprint)))
    }

    /// The certificates that orders said they replace (RFC 9773 §5).
    pub fn replaced(&self) -> Vec<String> {
        self.shared.book.lock().orders.iter().filter_map(|order| order.replaces.clone()).collect()
    }

    /// Contacts of the accounts.
    pub fn contacts(&self) -> Vec<Vec<String>> {
        self.shared.book.lock().accounts.iter().map(|account| account.contact.clone()).collect()
    }

    /// Values of `User-Agent` that came.
    pub fn user_agents(&self) -> Vec<String> {
        self.shared.book.lock().agents.iter().cloned().collect()
    }
}

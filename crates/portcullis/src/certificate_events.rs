//! What is told of certificates that were read again.

use portcullis_tls::ReloadReport;

use crate::reload::Reloader;

impl Reloader {
    /// Tells what happened, in our own log and in the audit log.
    pub(crate) fn tell(&self, report: &ReloadReport) {
        if report.replaced > 0 {
            self.note("certificates-replaced", &report.replaced.to_string());
        }
        for name in &report.lost {
            let detail = format!("no certificate is for {name} any more, clients are refused");
            self.warn("certificate-name-lost", &detail);
        }
        for (origin, error) in &report.failed {
            self.note("certificate-refused", &format!("{origin}: {error}"));
            self.runtime.metrics().certificates.reload_failures.inc();
        }
        for (origin, error) in &report.expired {
            let detail = format!("{origin}: {error}; it is served on, and clients refuse it");
            self.warn("certificate-expired", &detail);
        }
    }
}

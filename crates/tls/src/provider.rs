//! The one crypto provider: aws-lc-rs, post-quantum key exchange first.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};

/// The provider of every handshake. The hybrid X25519MLKEM768 is preferred, so that traffic
/// recorded today stays closed to a quantum computer of tomorrow.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        Arc::new(CryptoProvider {
            kx_groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            ..default_provider()
        })
    };
    Arc::clone(PROVIDER.get_or_init(make))
}

/// Makes [`provider`] the default of the process, for libraries that ask for it. Belongs in the
/// first line of `main`; a second call does nothing.
pub fn install() {
    CryptoProvider::clone(&provider()).install_default().ok();
}

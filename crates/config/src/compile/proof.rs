//! `issuers[].proof`.

use portcullis_authn::{Possession, Proof};

use crate::raw::issuers as raw;

impl raw::Proof {
    pub(super) fn compile(self) -> Proof {
        let Self { certificate } = self;
        Proof { certificate: certificate.compile() }
    }
}

impl raw::Possession {
    const fn compile(self) -> Possession {
        match self {
            Self::None => Possession::None,
            Self::Optional => Possession::Optional,
            Self::Required => Possession::Required,
        }
    }
}

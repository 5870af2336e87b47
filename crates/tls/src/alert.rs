//! The fatal alerts we send ourselves, because rustls has no way to be told to.

/// A fatal alert that ends a handshake before rustls has a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// We cannot say what the answer would be (RFC 8446 §6.2: `internal_error`).
    InternalError,
    /// No server name was sent and none is assumed: `unrecognized_name`, as other servers have it.
    /// RFC 8446 §9.2 would have `missing_extension`, which scanners take for a broken server.
    MissingServerName,
    /// The protocol that was asked for is not spoken for this name (RFC 7301 §3.2:
    /// `no_application_protocol`).
    NoApplicationProtocol,
    /// The client can verify none of the certificates for the name it sent (RFC 8446 §4.4.2.2:
    /// `handshake_failure`).
    NoSuitableCertificate,
    /// No certificate is for the name that was sent (RFC 6066 §3: `unrecognized_name`).
    UnrecognizedName,
}

impl Alert {
    /// Its number in the IANA registry of TLS alerts.
    pub const fn code(self) -> u8 {
        match self {
            Self::InternalError => 80,
            Self::NoSuitableCertificate => 40,
            Self::NoApplicationProtocol => 120,
            Self::MissingServerName | Self::UnrecognizedName => 112,
        }
    }

    /// Its name in the IANA registry, for logs; two of one name are told apart.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InternalError => "internal_error",
            Self::NoSuitableCertificate => "handshake_failure",
            Self::MissingServerName => "no_server_name",
            Self::NoApplicationProtocol => "no_application_protocol",
            Self::UnrecognizedName => "unrecognized_name",
        }
    }

    /// The whole record (RFC 8446 §5.1, §6): sent in clear, as no keys are agreed on yet.
    pub const fn record(self) -> [u8; 7] {
        [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, self.code()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_a_fatal_alert() {
        assert_eq!(Alert::UnrecognizedName.record(), [21, 3, 3, 0, 2, 2, 0x70]);
        assert_eq!(Alert::NoSuitableCertificate.record(), [21, 3, 3, 0, 2, 2, 40]);
        assert_eq!(Alert::MissingServerName.record(), [21, 3, 3, 0, 2, 2, 112]);
    }
}

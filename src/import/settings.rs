//! What the service that wrote the sessions was configured with.

use std::fmt;

use crate::{
    error::ConfigError,
    import::format::{ClientPart, Format, Protection},
    transport::cookie::CookieConfig,
};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) format: Format,
    pub(super) cookie: CookieConfig,
    /// What precedes the id in a key.
    pub(super) prefix: String,
    pub(super) protection: Protection,
    pub(super) cookie_keys: Vec<Secret>,
    pub(super) stored_keys: Vec<Secret>,
    /// `None` if the signature is of the id alone.
    pub(super) client_parts: Option<Vec<ClientPart>>,
}

/// A key or a secret, which `Debug` does not show.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

impl Settings {
    pub(super) fn new(format: Format) -> Self {
        let client_parts = matches!(format, Format::AxumSession)
            .then(|| vec![ClientPart::PeerAddress, ClientPart::UserAgent]);
        Self {
            format,
            cookie: CookieConfig::new(format.cookie_name()),
            prefix: format.key_prefix().to_owned(),
            protection: Protection::Plain,
            cookie_keys: Vec::new(),
            stored_keys: Vec::new(),
            client_parts,
        }
    }

    /// Whether protection and keys are those that the library has.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fault = |setting, fault| Err(ConfigError::new(setting, fault));
        if !self.format.protections().contains(&self.protection) {
            return fault("import cookie", "is not protected like this by the library");
        }
        let is_short = |key: &Secret| key.as_bytes().len() < self.format.key_len_min();
        if self.cookie_keys.iter().chain(&self.stored_keys).any(is_short) {
            return fault("import key", "is too short: 64 bytes for crates of Rust, else 1");
        }
        match (self.format, self.stored_keys.is_empty()) {
            (Format::Django, true) => fault("import key", "Django's SECRET_KEY is missing"),
            (Format::Django | Format::AxumSession, _) | (_, true) => Ok(()),
            (_, false) => fault("import key", "the library neither signs nor encrypts its bytes"),
        }
    }
}

impl Secret {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

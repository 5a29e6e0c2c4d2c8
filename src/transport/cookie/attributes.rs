//! Validation of a cookie's configuration (RFC 6265bis sections 4.1 and 5).

use crate::{
    error::ConfigError,
    session::token::TEXT_LEN,
    transport::cookie::{CookieConfig, PAIR_MAX, SameSite},
};

/// Browsers' limit on an attribute (RFC 6265bis section 5.6).
const ATTRIBUTE_MAX: usize = 1024;

pub(super) fn check(cookie: &CookieConfig) -> Result<(), ConfigError> {
    name(&cookie.name)?;
    path(&cookie.path)?;
    if let Some(text) = &cookie.domain {
        domain(text)?;
    }
    prefix(cookie)?;
    if cookie.same_site == SameSite::None && !cookie.secure {
        return Err(ConfigError::new("cookie same-site", "None needs Secure"));
    }
    if cookie.partitioned && !cookie.secure {
        return Err(ConfigError::new("cookie partitioned", "needs Secure"));
    }
    cookie.check_domains()?;
    cookie.check_former()
}

fn name(name: &str) -> Result<(), ConfigError> {
    // A token of RFC 9110 section 5.6.2.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(ConfigError::new("cookie name", "is not a token of RFC 9110"));
    }
    if name.len() + TEXT_LEN > PAIR_MAX {
        return Err(ConfigError::new("cookie name", "is too long: browsers keep 4096 bytes"));
    }
    Ok(())
}

fn path(path: &str) -> Result<(), ConfigError> {
    if !path.starts_with('/') {
        return Err(ConfigError::new("cookie path", "does not start with /"));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
        return Err(ConfigError::new(
            "cookie path",
            "has a semicolon or a character that is not visible ASCII",
        ));
    }
    if path.len() > ATTRIBUTE_MAX {
        return Err(ConfigError::new("cookie path", "is longer than 1024 bytes"));
    }
    Ok(())
}

fn domain(domain: &str) -> Result<(), ConfigError> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if domain.len() > 253 || !domain.split('.').all(label) {
        return Err(ConfigError::new("cookie domain", "is not a host name"));
    }
    Ok(())
}

/// Browsers compare prefixes case-insensitively (RFC 6265bis section 5.4); the `Http` ones are from
/// a later draft.
fn prefix(cookie: &CookieConfig) -> Result<(), ConfigError> {
    let name = cookie.name.to_ascii_lowercase();
    let host = name.starts_with("__host-");
    let http = name.starts_with("__http-") || name.starts_with("__host-http-");
    if (host || http || name.starts_with("__secure-")) && !cookie.secure {
        return Err(ConfigError::new("cookie name", "has a prefix that needs Secure"));
    }
    if http && !cookie.http_only {
        return Err(ConfigError::new("cookie name", "has a prefix that needs HttpOnly"));
    }
    if host && cookie.domain.is_some() {
        return Err(ConfigError::new("cookie domain", "cannot go with the prefix __Host-"));
    }
    if host && cookie.path != "/" {
        return Err(ConfigError::new("cookie path", "must be / with the prefix __Host-"));
    }
    Ok(())
}

//! Passwords: hashed slowly, a few at a time, and in the same time whether or not there is such a
//! user.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{self, PasswordHasher, PasswordVerifier},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use tower_redis_session::directory::UserInfo;

use crate::failure::Failure;

/// A hash takes 19 MiB and a core, so that is what a guesser pays; the server pays it too, hence
/// few at a time.
const HASHES_AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// Argon2id with the parameters that OWASP recommends, which are the crate's defaults.
pub(crate) fn hashed(password: &str) -> password_hash::Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| password_hash::Error::Crypto)?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt)?;
    Ok(hash.to_string())
}

/// Checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    /// Nobody's password: it is what the guess for a name that does not exist is checked against,
    /// so that the time tells nothing.
    decoy: String,
    slots: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> password_hash::Result<Self> {
        let decoy = hashed("a password that opens nothing")?;
        Ok(Self { decoy, slots: Arc::new(Semaphore::new(HASHES_AT_ONCE)) })
    }

    /// Whether `password` is right for the user that was found, if one was.
    pub(crate) async fn check(
        &self,
        found: Option<(UserInfo, String)>,
        password: &str,
    ) -> Result<Option<UserInfo>, Failure> {
        let (user, hash) = found.unzip();
        let hash = hash.unwrap_or_else(|| self.decoy.clone());
        let password = password.to_owned();
        let slot = timeout(PATIENCE, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| Failure::Busy)?
            .map_err(|_| Failure::Busy)?;
        // Cancellation safety: when the client leaves, the hash in work is finished unseen, and
        // keeps its slot until then.
        let verify = move || {
            let _slot = slot;
            Argon2::default().verify_password(password.as_bytes(), hash.as_str())
        };
        let right = spawn_blocking(verify).await.map_err(|_| Failure::Internal)?.is_ok();
        Ok(user.filter(|user| right && user.active))
    }
}

//! The demonstration's users and their platforms. A real server would keep them in a database.

use std::time::Duration;

use argon2::{
    Argon2,
    password_hash::{self, PasswordHasher, PasswordVerifier},
};
use serde::Serialize;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::failure::Failure;

/// A hash takes 19 MiB and a core, so that is what a guesser pays; the server pays it too, hence
/// few at a time.
const HASHES_AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who may sign in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct User {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) display_name: &'static str,
    pub(crate) platforms: Vec<Platform>,
}

impl User {
    /// One of this user's platforms; somebody else's is not found.
    pub(crate) fn platform(&self, id: &str) -> Option<&Platform> {
        self.platforms.iter().find(|platform| platform.id == id)
    }
}

/// An account on a Fediverse server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Platform {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) instance_url: &'static str,
    pub(crate) username: &'static str,
}

/// Names and passwords that the sign-in page shows.
pub(crate) const DEMO_CREDENTIALS: [(&str, &str); 2] =
    [("alice", "wonderland"), ("bob", "hedgehog")];

/// All users.
#[derive(Debug)]
pub(crate) struct Accounts {
    users: Vec<(User, String)>,
    decoy: String,
    slots: Semaphore,
}

impl Accounts {
    /// The demonstration's users, their passwords hashed with fresh salts. Takes a moment.
    pub(crate) fn demonstration() -> password_hash::Result<Self> {
        let mut users = Vec::new();
        for (name, password) in DEMO_CREDENTIALS {
            if let Some(user) = people().into_iter().find(|user| user.name == name) {
                users.push((user, hashed(password)?));
            }
        }
        // Nobody's password: it is what the guess for a name that does not exist is checked
        // against, so that the time tells nothing.
        let decoy = hashed("a password that opens nothing")?;
        Ok(Self { users, decoy, slots: Semaphore::new(HASHES_AT_ONCE) })
    }

    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().map(|(user, _)| user).find(|user| user.id == id)
    }

    /// The user of that name, if the password is right. Takes as long when there is no such name.
    pub(crate) async fn check(&self, name: &str, password: &str) -> Result<Option<&User>, Failure> {
        let found = self.users.iter().find(|(user, _)| user.name == name);
        let hash = found.map_or(&self.decoy, |(_, hash)| hash).clone();
        let password = password.to_owned();
        let _slot = timeout(PATIENCE, self.slots.acquire())
            .await
            .map_err(|_| Failure::Busy)?
            .map_err(|_| Failure::Busy)?;
        // Cancellation safety: when the client leaves, the hash in work is finished unseen.
        let right =
            spawn_blocking(move || Argon2::default().verify_password(password.as_bytes(), &*hash))
                .await
                .map_err(|_| Failure::Internal)?
                .is_ok();
        Ok(found.filter(|_| right).map(|(user, _)| user))
    }
}

/// Argon2id with the parameters that OWASP recommends, which are the crate's defaults.
fn hashed(password: &str) -> password_hash::Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| password_hash::Error::Crypto)?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt)?;
    Ok(hash.to_string())
}

fn people() -> [User; 2] {
    let platform = |id, name, kind, instance_url, username| Platform {
        id,
        name,
        kind,
        instance_url,
        username,
    };
    [
        User {
            id: "1",
            name: "alice",
            display_name: "Alice",
            platforms: vec![
                platform("11", "Garden notes", "Mastodon", "https://social.example.org", "alice"),
                platform("12", "Photographs", "Pixelfed", "https://photos.example.net", "alice.l"),
                platform("13", "Work", "Mastodon", "https://town.example.com", "alice_at_work"),
            ],
        },
        User {
            id: "2",
            name: "bob",
            display_name: "Bob",
            platforms: vec![
                platform("21", "Model railway", "Pixelfed", "https://pixels.example.com", "bob"),
                platform("22", "Chatter", "Mastodon", "https://social.example.org", "bob_b"),
            ],
        },
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_name_opens() {
        let accounts = Accounts::demonstration().unwrap();
        for (name, user, password, expected) in [
            ("right", "alice", "wonderland", Some("1")),
            ("wrong", "alice", "hedgehog", None),
            ("empty", "alice", "", None),
            ("nobody", "carol", "wonderland", None),
            ("nobody, with the decoy's", "carol", "a password that opens nothing", None),
        ] {
            let found = accounts.check(user, password).await.unwrap().map(|user| user.id);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_user_finds_only_their_own_platforms() {
        let [alice, bob] = people();
        assert!(alice.platform("11").is_some());
        assert!(bob.platform("11").is_none());
    }

    #[test]
    fn platforms_are_on_domains_kept_for_examples() {
        for platform in people().iter().flat_map(|user| &user.platforms) {
            assert!(platform.instance_url.contains(".example."), "{}", platform.instance_url);
        }
    }
}

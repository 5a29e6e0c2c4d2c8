//! A source of users in memory that counts who asks, and holds whom the test wants held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tower_redis_session::{
    Error, RedisConfig,
    directory::{
        CachedDirectory, CachedDirectoryBuilder, Credentials, Directory, PlatformInfo, UserInfo,
    },
};

use std::time::Duration;
use test_support::Gates;

/// Clones are one source.
#[derive(Clone, Debug, Default)]
pub struct Source(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    rows: Mutex<Rows>,
    asked: Mutex<BTreeMap<&'static str, u64>>,
    held: Mutex<BTreeSet<&'static str>>,
    away: AtomicBool,
    gates: Gates,
}

#[derive(Debug, Default)]
pub struct Rows {
    pub users: BTreeMap<String, UserInfo>,
    pub platforms: BTreeMap<String, Vec<PlatformInfo>>,
    pub settings: BTreeMap<String, Settings>,
    pub credentials: BTreeMap<(String, String), String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub max_posts_per_run: u32,
    pub processing_delay: f64,
    pub note: String,
}

pub fn settings(max_posts_per_run: u32) -> Settings {
    Settings { max_posts_per_run, processing_delay: 0.5, note: String::new() }
}

pub fn user(id: &str) -> UserInfo {
    let mut user = UserInfo::new(id, format!("{id} \"the\" ü"));
    user.email = Some(format!("{id}@example.org"));
    user.role = "member".to_owned();
    user
}

pub fn platform(id: &str, default: bool) -> PlatformInfo {
    let mut platform = PlatformInfo::new(id, "https://photos.example.net");
    platform.name = format!("Platform {id}");
    platform.kind = "pixelfed".to_owned();
    platform.username = "alice.l".to_owned();
    platform.default = default;
    platform
}

pub const TOKEN: &str = "access-token-that-nobody-may-read";

impl Source {
    /// Alice with two platforms, credentials for both, and settings; bob with nothing.
    pub fn new() -> Self {
        let source = Self::default();
        source.change(|rows| {
            for id in ["alice", "bob"] {
                rows.users.insert(id.to_owned(), user(id));
            }
            let both = vec![platform("11", false), platform("12", true)];
            rows.platforms.insert("alice".to_owned(), both);
            rows.settings.insert("alice".to_owned(), settings(50));
            for id in ["11", "12"] {
                let place = ("alice".to_owned(), id.to_owned());
                rows.credentials.insert(place, format!("{TOKEN}-{id}"));
            }
        });
        source
    }

    pub fn change(&self, change: impl FnOnce(&mut Rows)) {
        change(&mut self.0.rows.lock().unwrap());
    }

    pub fn set_posts(&self, max_posts_per_run: u32) {
        self.change(|rows| {
            rows.settings.insert("alice".to_owned(), settings(max_posts_per_run));
        });
    }

    /// How often it was asked for `user`, `platforms`, `settings` or `credentials`.
    pub fn asked(&self, what: &'static str) -> u64 {
        self.0.asked.lock().unwrap().get(what).copied().unwrap_or(0)
    }

    /// Whoever asks for that from now on stays at the gate of that name, after the row was read.
    pub fn hold(&self, what: &'static str) {
        self.0.held.lock().unwrap().insert(what);
    }

    /// Holds nobody from now on; those at the gate stay.
    pub fn unhold(&self, what: &'static str) {
        self.0.held.lock().unwrap().remove(what);
    }

    pub fn gates(&self) -> &Gates {
        &self.0.gates
    }

    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }

    async fn answer<T>(
        &self,
        what: &'static str,
        read: impl FnOnce(&Rows) -> T,
    ) -> Result<T, Error> {
        *self.0.asked.lock().unwrap().entry(what).or_default() += 1;
        if self.0.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the source is away"));
        }
        let answer = read(&self.0.rows.lock().unwrap());
        let held = self.0.held.lock().unwrap().contains(what);
        if held {
            self.0.gates.pass(what).await;
        }
        Ok(answer)
    }
}

impl Directory for Source {
    type Settings = Settings;

    async fn user(&self, user_id: &str) -> Result<Option<UserInfo>, Error> {
        self.answer("user", |rows| rows.users.get(user_id).cloned()).await
    }

    async fn platforms(&self, user_id: &str) -> Result<Vec<PlatformInfo>, Error> {
        self.answer("platforms", |rows| rows.platforms.get(user_id).cloned().unwrap_or_default())
            .await
    }

    async fn settings(&self, user_id: &str) -> Result<Option<Settings>, Error> {
        self.answer("settings", |rows| rows.settings.get(user_id).cloned()).await
    }

    async fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> Result<Option<Credentials>, Error> {
        let place = (user_id.to_owned(), platform_id.to_owned());
        self.answer("credentials", |rows| rows.credentials.get(&place).map(Credentials::new)).await
    }
}

pub type Cached = CachedDirectory<Source>;

/// A cache with limits that no healthy Redis and no test reaches, however busy the machine is.
pub fn patient_cache(source: &Source, redis: RedisConfig) -> CachedDirectoryBuilder<Source> {
    CachedDirectory::builder(source.clone(), redis)
        .budget(Duration::from_secs(15))
        .loader_lease(Duration::from_secs(60))
        .loader_wait(Duration::from_secs(60))
}

pub async fn posts(directory: &Cached) -> u32 {
    let settings = directory.settings("alice").await.unwrap();
    settings.expect("alice has some").max_posts_per_run
}

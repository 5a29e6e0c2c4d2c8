//! Which `redis-server` or `valkey-server` a test runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::child::find_program;

/// An executable, and the first number of its version.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) major: u32,
}

/// Keys that cost time, by a delay for each in microseconds.
#[derive(Debug)]
pub(super) struct SlowLoading {
    pub(super) keys: u32,
    pub(super) size: u32,
    pub(super) settings: &'static [&'static str],
}

impl Program {
    /// That in the PATH, or in the environment variable `REDIS_SERVER`.
    pub(super) fn of_the_system() -> Self {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        let find = || {
            let name = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
            let path = find_program(&name).unwrap_or_else(|| {
                panic!(
                    "{} is not there, and this test needs it: install the Debian package \
                     redis-server, or name a Redis or Valkey server in the environment variable \
                     REDIS_SERVER",
                    name.display()
                )
            });
            Self::at(path)
        };
        PROGRAM.get_or_init(find).clone()
    }

    /// One of another version.
    pub(super) fn fetched(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers");
        let path = folder.join(name);
        assert!(
            path.is_file(),
            "the server {name} is not there, and this test needs it: run scripts/servers.sh"
        );
        Self::at(path)
    }

    /// How to load for seconds: while it does, the server answers once in so many bytes.
    pub(super) fn slow_loading(&self) -> SlowLoading {
        const INTERVAL: &str = "--loading-process-events-interval-bytes";
        match self.major {
            // Two megabytes, and no setting.
            ..7 => SlowLoading {
                keys: 64,
                size: 1024 * 1024,
                settings: &["--key-load-delay", "75000"],
            },
            _ => SlowLoading {
                keys: 3_000,
                size: 1_100,
                settings: &["--key-load-delay", "10000", INTERVAL, "1024"],
            },
        }
    }

    fn at(path: PathBuf) -> Self {
        let output = Command::new(&path).arg("--version").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = text.split("v=").nth(1).and_then(|rest| rest.split('.').next());
        let major = number.and_then(|number| number.parse().ok());
        Self { path, major: major.unwrap_or_else(|| panic!("no version in: {text}")) }
    }
}

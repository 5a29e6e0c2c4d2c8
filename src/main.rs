//! The command `tower-redis-session`; `docs/command-line.md` documents it.

fn main() -> std::process::ExitCode {
    tower_redis_session::cli::run()
}

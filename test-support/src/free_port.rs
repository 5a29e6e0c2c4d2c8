//! Ports for servers that cannot be asked which one they took.

use std::sync::Mutex;

/// A free port below the range from which the kernel takes source ports: a client that knocks at
/// a dead server's port must not meet itself or a stranger there.
pub(super) fn free_port() -> u16 {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap();
    loop {
        // Processes that start together begin at different places.
        let port = next.unwrap_or_else(|| 15_000 + (std::process::id() % 1_000) as u16 * 17);
        *next = Some(if port >= 32_000 { 15_000 } else { port + 1 });
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

//! Ports for servers that cannot be asked which one they took.

use std::sync::Mutex;

/// A free port below the range from which the kernel takes source ports: a client that knocks at
/// a dead server's port must not meet itself or a stranger there.
pub(super) fn free_port() -> u16 {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    next_port(&NEXT, 17, is_free)
}

/// A port for a node of a cluster, which takes that 10,000 above for what nodes tell each other:
/// free as well, and also below the range of the kernel.
pub(super) fn free_port_with_bus() -> u16 {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    next_port(&NEXT, 7, |port| is_free(port) && is_free(port + 10_000))
}

/// Of those from 15,000 on, 1,000 times `share` of them.
fn next_port(next: &Mutex<Option<u16>>, share: u16, is_free: impl Fn(u16) -> bool) -> u16 {
    let mut next = next.lock().unwrap();
    loop {
        // Processes that start together begin at different places.
        let port = next.unwrap_or_else(|| 15_000 + (std::process::id() % 1_000) as u16 * share);
        *next = Some(if port >= 15_000 + 1_000 * share { 15_000 } else { port + 1 });
        if is_free(port) {
            return port;
        }
    }
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

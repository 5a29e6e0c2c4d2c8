//! Activity of a user who is never idle for long, by enumeration of request patterns.
//!
//! Touches are written to Redis every `REDIS` ticks and to the database every `DATABASE` ticks at
//! the earliest; Redis is lost before any request. Hole H14.

/// Ticks after which a session is idle.
const IDLE: u32 = 12;
const REDIS: u32 = 1;
pub const DATABASE: u32 = 4;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touches {
    pub patterns: u32,
    /// Patterns in which an active user is signed out.
    pub signed_out: u32,
    /// Ticks past the idle time for which a silent session lives at most.
    pub late: u32,
}

/// Every pattern, with `grace` ticks more for a session that only the database knows.
pub fn touches(grace: u32) -> Touches {
    let mut all = Touches::default();
    for gaps in 0..IDLE.pow(3) {
        let gaps = [gaps % IDLE, gaps / IDLE % IDLE, gaps / IDLE / IDLE];
        for lost in 0..4 {
            all.patterns += 1;
            all.signed_out += u32::from(!stays(gaps, lost, grace, &mut all.late));
        }
    }
    all
}

/// Four requests with these gaps, and Redis lost before the request of that number. Tells whether
/// the user stays signed in.
fn stays(gaps: [u32; 3], lost: usize, grace: u32, late: &mut u32) -> bool {
    let (mut now, mut redis, mut database, mut away) = (0u32, 0u32, 0u32, false);
    for (request, gap) in gaps.iter().chain([&0]).enumerate() {
        away |= request == lost;
        let last = if away { database + grace } else { redis.max(database) + REDIS };
        if now >= last + IDLE {
            return false;
        }
        if !away && now - redis >= REDIS {
            redis = now;
        }
        if now - database >= DATABASE {
            database = now;
        }
        *late = (*late).max((database + grace).saturating_sub(now));
        now += gap;
    }
    true
}

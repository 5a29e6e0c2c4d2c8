//! Users at work: each signs in, counts, renews and signs out as its random numbers say, and so
//! does a second browser with the same cookies, mostly at the other instance.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::history::{Answer, Cookie, Kind, MILLI, Op, Recorder, SITES, Site};
use super::seeded_rng::SeededRng;
use super::visit::{Failed, Seen, visit};
use super::world::World;
use test_support::COOKIE;

/// Cookies of one user.
#[derive(Debug, Default)]
struct Jar {
    current: Option<String>,
    /// The current one is that of a visitor.
    is_visitor: bool,
    old: Vec<String>,
}

/// One user with all browsers.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    /// Only reads once it is signed in: its copy stays where it is.
    is_quiet: bool,
    jar: Arc<Mutex<Jar>>,
    world: Arc<World>,
    recorder: Arc<Recorder>,
}

impl User {
    pub fn new(number: usize, world: &Arc<World>, recorder: &Arc<Recorder>) -> Self {
        Self {
            name: format!("u{number}"),
            is_quiet: number == 0,
            jar: Arc::default(),
            world: Arc::clone(world),
            recorder: Arc::clone(recorder),
        }
    }

    /// The browser that signs in and out.
    pub async fn work(self, mut rng: SeededRng) {
        while !self.recorder.is_over() {
            let site = *rng.pick(&SITES);
            let Some(token) = self.current() else {
                self.sign_in(&mut rng, site).await;
                continue;
            };
            if self.is_visitor() {
                self.visit(&mut rng, site, token).await;
                continue;
            }
            match rng.below(100) {
                _ if self.is_quiet => self.read(site, token).await,
                0..50 => {
                    let op = self.send(site, Kind::Update, Some(token)).await;
                    self.heed(op);
                }
                50..72 => self.read(site, token).await,
                72..81 => self.sign_out(&mut rng, site, token).await,
                81..94 => {
                    let op = self.send(site, Kind::Renew, Some(token)).await;
                    self.heed(op);
                }
                _ => rest(rng.between(100, 900)).await,
            }
            rest(rng.below(30)).await;
        }
    }

    /// The other browser, which also tries cookies that are over.
    pub async fn follow(self, mut rng: SeededRng) {
        while !self.recorder.is_over() {
            rest(rng.between(1, 30)).await;
            let site = *rng.pick(&SITES);
            let old = rng.percent(40).then(|| self.old(&mut rng)).flatten();
            let kind = match (old.is_some(), rng.below(100)) {
                (false, 0..8) if self.is_visitor() => Kind::Login,
                (false, 0..30) if !self.is_quiet => Kind::Update,
                (true, 0..4) => Kind::Logout,
                (true, 4..12) => Kind::Update,
                _ => Kind::Read,
            };
            if let Some(token) = old.or_else(|| self.current()) {
                let op = self.send(site, kind, Some(token)).await;
                if kind == Kind::Login {
                    self.heed(op);
                }
            }
        }
    }

    /// When all is over: every cookie that there was, at both instances.
    pub async fn look_back(&self) {
        let jar = {
            let jar = self.jar.lock().unwrap();
            jar.old.iter().chain(&jar.current).cloned().collect::<Vec<_>>()
        };
        for token in jar {
            for site in SITES {
                self.send(site, Kind::Read, Some(token.clone())).await;
            }
        }
    }

    /// At times by another browser too, which is forgotten about.
    async fn sign_in(&self, rng: &mut SeededRng, site: Site) {
        if !self.is_quiet && rng.percent(45) {
            let op = self.send(site, Kind::Visit, None).await;
            return self.heed(op);
        }
        if rng.percent(50) {
            let op = self.send(*rng.pick(&SITES), Kind::Login, None).await;
            let token = op.as_ref().and_then(Op::new_token).map(str::to_owned);
            self.jar.lock().unwrap().old.extend(token);
        }
        let op = self.send(site, Kind::Login, None).await;
        match op {
            Some(op) => self.heed(Some(op)),
            None => rest(20).await,
        }
    }

    /// One who signs in before long.
    async fn visit(&self, rng: &mut SeededRng, site: Site, token: String) {
        let kind = match rng.below(100) {
            0..45 => Kind::Login,
            45..80 => Kind::Update,
            _ => Kind::Read,
        };
        let op = self.send(site, kind, Some(token)).await;
        self.heed(op);
        rest(rng.below(30)).await;
    }

    async fn read(&self, site: Site, token: String) {
        let op = self.send(site, Kind::Read, Some(token)).await;
        self.heed(op);
    }

    /// Until it is confirmed, as a user would; mostly.
    async fn sign_out(&self, rng: &mut SeededRng, site: Site, token: String) {
        if rng.percent(35) {
            // In both browsers at once.
            tokio::join!(
                self.sign_out_and_look(Site::A, &token),
                self.sign_out_and_look(Site::B, &token)
            );
        }
        let mut site = site;
        let kind = if rng.percent(35) { Kind::Revoke } else { Kind::Logout };
        for _ in 0..4 {
            let op = self.send(site, kind, Some(token.clone())).await;
            let is_done = op.is_some_and(|op| op.status() == Some(200));
            if is_done {
                self.replace(&token, None);
                // At once, and nearly so; also others of the user's.
                for _ in 0..3 {
                    self.send(*rng.pick(&SITES), Kind::Read, Some(token.clone())).await;
                    let other = self.old(rng).unwrap_or_else(|| token.clone());
                    self.send(*rng.pick(&SITES), Kind::Read, Some(other)).await;
                }
                return;
            }
            if rng.percent(30) {
                return;
            }
            site = *rng.pick(&SITES);
        }
    }

    async fn sign_out_and_look(&self, site: Site, token: &str) {
        self.send(site, Kind::Logout, Some(token.to_owned())).await;
        for _ in 0..2 {
            self.send(site, Kind::Read, Some(token.to_owned())).await;
        }
    }

    /// Keeps the jar as a browser does.
    fn heed(&self, op: Option<Op>) {
        let Some(op) = op else { return };
        let sent = op.token.clone().unwrap_or_default();
        let makes = op.kind == Kind::Visit || op.kind.makes() && !op.is_over();
        match op.new_token() {
            Some(new) if makes => self.replace(&sent, Some((new.to_owned(), op.kind))),
            _ if op.is_over() => self.replace(&sent, None),
            _ => {}
        }
    }

    fn replace(&self, sent: &str, new: Option<(String, Kind)>) {
        let mut jar = self.jar.lock().unwrap();
        if !sent.is_empty() {
            jar.old.push(sent.to_owned());
        }
        jar.is_visitor = matches!(new, Some((_, Kind::Visit)));
        jar.current = new.map(|(token, _)| token);
    }

    fn is_visitor(&self) -> bool {
        self.jar.lock().unwrap().is_visitor
    }

    fn current(&self) -> Option<String> {
        self.jar.lock().unwrap().current.clone()
    }

    /// Rather one of the last.
    fn old(&self, rng: &mut SeededRng) -> Option<String> {
        let jar = self.jar.lock().unwrap();
        let count = jar.old.len() as u64;
        let back = rng.below(count.clamp(1, 4)).min(rng.below(4)) + 1;
        let at = count.checked_sub(back)?;
        jar.old.get(at as usize).cloned()
    }

    /// Nothing where nobody listens.
    async fn send(&self, at: Site, kind: Kind, token: Option<String>) -> Option<Op> {
        let Some(addr) = self.world.addr(at) else {
            rest(5).await;
            return None;
        };
        let path = match kind {
            Kind::Login => format!("/login:{},user", self.name),
            Kind::Visit | Kind::Update => "/user,update:n".to_owned(),
            Kind::Read => "/user,get:n".to_owned(),
            Kind::Logout => "/user,logout".to_owned(),
            Kind::Revoke => "/user,logout_everywhere".to_owned(),
            Kind::Renew => "/user,renew".to_owned(),
        };
        let cookie = token.as_ref().map(|token| format!("{COOKIE}={token}"));
        let start = self.recorder.now();
        let answer = match visit(addr, &path, cookie.as_deref()).await {
            Err(Failed::Refused) => {
                rest(5).await;
                return None;
            }
            Err(Failed::Lost) => Answer::Lost,
            Ok(seen) => understand(&seen),
        };
        let client = self.name.clone();
        let op = Op { at, kind, client, token, start, end: self.recorder.now(), answer };
        self.recorder.note(op.clone());
        Some(op)
    }
}

fn understand(seen: &Seen) -> Answer {
    let status = seen.status.as_u16();
    let text = seen.text();
    let mut words = text.split(',').filter(|_| status == 200);
    let user = words.next().filter(|user| !matches!(*user, "-" | "")).map(str::to_owned);
    let n = words.next().map(|n| n.parse().unwrap_or(0));
    let line = seen.headers.get(http::header::SET_COOKIE).map(|line| line.to_str().unwrap());
    let value = line.and_then(|line| line.split(';').next()?.split_once('='));
    let cookie = match value {
        None => Cookie::Kept,
        Some((_, "")) => Cookie::Removed,
        Some((_, token)) => Cookie::Set(token.to_owned()),
    };
    Answer::Said { status, user, n, cookie }
}

pub async fn rest(millis: u64) {
    tokio::time::sleep(Duration::from_micros(millis * MILLI)).await;
}

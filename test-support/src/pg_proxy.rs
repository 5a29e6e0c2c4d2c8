//! An [`Interceptor`] in front of PostgreSQL, for version 3 of its protocol without TLS.

use std::collections::HashMap;

use super::intercept::{Interceptor, Part, Place, Request, Wire};

/// A proxy in front of PostgreSQL. A request is all that a client sends up to a `Sync` or a simple
/// query. It is counted under the SQL that it executes, `PREPARE <sql>` where it only prepares, or
/// a word such as `STARTUP` or `SYNC`. Rules see what is executed: the SQL, also of a statement
/// that was prepared long before, and the bound values as they are on the wire.
pub type PgProxy = Interceptor<Postgres>;

impl PgProxy {
    /// How often SQL that contains `part` was executed.
    pub fn executed(&self, part: &str) -> u64 {
        let is_meant = |name: &str| name.contains(part) && !name.starts_with(PREPARE);
        self.counts().into_iter().filter(|(name, _)| is_meant(name)).map(|(_, count)| count).sum()
    }
}

const PREPARE: &str = "PREPARE ";
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// The protocol as one connection speaks it.
#[derive(Debug, Default)]
pub struct Postgres {
    has_started: bool,
    /// The SQL of what was prepared, by its name.
    statements: HashMap<Vec<u8>, String>,
}

impl Wire for Postgres {
    fn request(&mut self, bytes: &mut Vec<u8>) -> Option<Request> {
        if !self.has_started {
            return self.startup(bytes);
        }
        let mut at = 0;
        let kind = loop {
            let length = 1 + u32_at(bytes, at + 1)? as usize;
            let kind = bytes[at];
            at += length;
            if bytes.len() < at {
                return None;
            }
            // The messages of the extended protocol wait for one another; nothing else does.
            if !b"PBDEC".contains(&kind) {
                break kind;
            }
        };
        let batch: Vec<u8> = bytes.drain(..at).collect();
        let (name, texts) = self.read(&batch);
        let has_reply = b"SQF".contains(&kind);
        Some(Request { bytes: batch, name, texts, made_up: None, has_reply })
    }

    fn reply(&mut self, bytes: &mut Vec<u8>) -> Option<Part> {
        let length = 1 + u32_at(bytes, 1)? as usize;
        if bytes.len() < length {
            return None;
        }
        let place = match bytes[0] {
            b'Z' => Place::Last,
            _ => Place::Within,
        };
        Some(Part { bytes: bytes.drain(..length).collect(), place })
    }
}

impl Postgres {
    /// The messages before there are types.
    fn startup(&mut self, bytes: &mut Vec<u8>) -> Option<Request> {
        let (length, code) = (u32_at(bytes, 0)? as usize, u32_at(bytes, 4)?);
        if bytes.len() < length {
            return None;
        }
        let bytes = bytes.drain(..length).collect();
        if matches!(code, SSL_REQUEST | GSS_REQUEST) {
            return Some(Request { made_up: Some(b"N".to_vec()), ..Request::default() });
        }
        self.has_started = true;
        Some(Request { bytes, name: "STARTUP".into(), has_reply: true, ..Request::default() })
    }

    /// The name of a batch, and what rules see of it.
    fn read(&mut self, batch: &[u8]) -> (String, Vec<Vec<u8>>) {
        let (mut prepared, mut executed, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = batch;
        while let Some(length) = u32_at(rest, 1) {
            let (message, behind) = rest.split_at(1 + length as usize);
            let body = &message[5..];
            let (first, more) = string(body);
            match message[0] {
                b'P' => {
                    let sql = String::from_utf8_lossy(string(more).0).into_owned();
                    prepared.push(sql.clone());
                    self.statements.insert(first.to_vec(), sql);
                }
                b'B' => {
                    let sql = self.statements.get(string(more).0).cloned();
                    executed.push(sql.unwrap_or_default());
                    texts.push(body.to_vec());
                }
                b'Q' => executed.push(String::from_utf8_lossy(first).into_owned()),
                b'C' if first.first() == Some(&b'S') => {
                    self.statements.remove(&first[1..]);
                }
                _ => {}
            }
            rest = behind;
        }
        texts.extend(executed.iter().map(|sql| sql.clone().into_bytes()));
        match (executed.is_empty(), prepared.is_empty()) {
            (false, _) => (executed.join("; "), texts),
            (true, false) => (format!("{PREPARE}{}", prepared.join("; ")), texts),
            (true, true) => (other(batch[0]).to_owned(), texts),
        }
    }
}

/// What is no SQL: a lone `Sync` is how a pool asks whether a connection lives.
fn other(kind: u8) -> &'static str {
    match kind {
        b'S' => "SYNC",
        b'p' => "PASSWORD",
        b'X' => "TERMINATE",
        _ => "OTHER",
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Up to the zero, and behind it.
fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0);
    match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

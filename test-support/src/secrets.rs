//! What must be found nowhere, and how it is looked for: tokens by their text, their bytes, their
//! hex digits and the numbers of a printed array, other secrets by their text.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};

type Bytes = [u8; 32];

/// The letters of a token's text.
const TEXT: usize = 43;

#[derive(Debug, Default)]
pub struct Secrets {
    tokens: HashSet<Bytes>,
    /// Whatever could have been a token, in what was seen before the token was known.
    seen: HashSet<Bytes>,
    texts: Vec<String>,
    /// What belongs into the stores, and nowhere else.
    values: Vec<String>,
}

impl Secrets {
    /// A text that must not be seen, such as a password. Short ones are words that may be anywhere.
    pub fn add_text(&mut self, text: &str) {
        if text.len() >= 12 && !self.texts.iter().any(|known| known == text) {
            self.texts.push(text.to_owned());
        }
    }

    /// What a session holds: readable in its store, and in what the application shows of it.
    pub fn add_value(&mut self, text: &str) {
        if !self.values.iter().any(|known| known == text) {
            self.values.push(text.to_owned());
        }
    }

    /// Takes the token out of a `Set-Cookie` line; answers whether it was seen before it was known.
    pub fn add_set_cookie(&mut self, line: &str) -> bool {
        let value = line.split(';').next().and_then(|pair| pair.split_once('='));
        let token = value.and_then(|(_, value)| decode(value.trim().as_bytes()));
        token.is_some_and(|token| self.tokens.insert(token) && self.seen.contains(&token))
    }

    /// Whether a text has a secret in it; remembers what may turn out to be one.
    pub fn are_in_text(&mut self, text: &str) -> bool {
        let found = candidates(text.as_bytes());
        let hit = found.iter().any(|candidate| self.tokens.contains(candidate))
            || self.texts.iter().chain(&self.values).any(|secret| text.contains(secret.as_str()));
        self.seen.extend(found);
        hit
    }

    /// The surroundings of the first secret in what has one, or else its beginning.
    pub fn excerpt(&self, text: &str) -> String {
        let texts = self.texts.iter().chain(&self.values);
        let at = texts.filter_map(|secret| text.find(secret.as_str())).min().unwrap_or(0);
        let before = text[..at].chars().rev().take(80).collect::<Vec<_>>();
        before.into_iter().rev().chain(text[at..].chars().take(240)).collect()
    }

    /// Whether stored bytes have a secret in them, in any form.
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        // Few begin as a token does, so that a megabyte takes no second.
        let heads: HashSet<[u8; 2]> =
            self.tokens.iter().map(|token| [token[0], token[1]]).collect();
        let mut may_begin = vec![false; 1 << 16];
        for head in heads {
            may_begin[usize::from(u16::from_be_bytes(head))] = true;
        }
        let raw = bytes.windows(32).any(|window| {
            may_begin[usize::from(u16::from_be_bytes([window[0], window[1]]))]
                && <&Bytes>::try_from(window).is_ok_and(|window| self.tokens.contains(window))
        });
        raw || candidates(bytes).iter().any(|candidate| self.tokens.contains(candidate))
            || self
                .texts
                .iter()
                .any(|secret| super::redis_contents::contains(bytes, secret.as_bytes()))
    }

    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }
}

fn decode(text: &[u8]) -> Option<Bytes> {
    (text.len() == TEXT).then(|| BASE64.decode(text).ok()?.try_into().ok())?
}

/// Every 32 bytes that are written in `bytes` as the text of a token, in hex, or as numbers.
fn candidates(bytes: &[u8]) -> Vec<Bytes> {
    let mut found = Vec::new();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    for run in bytes.split(|byte| !is_letter(byte)).filter(|run| run.len() >= TEXT) {
        found.extend(run.windows(TEXT).filter_map(decode));
    }
    for run in bytes.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= 64) {
        // Hex of more than a token, as of a whole column: what it says is looked through as well.
        for shift in 0..2.min(run.len() - 63) {
            let said = unhex(&run[shift..]);
            found.extend(said.windows(32).filter_map(|window| Bytes::try_from(window).ok()));
            found.extend(texts_in(&said));
        }
    }
    let is_listed = |byte: &u8| byte.is_ascii_digit() || b", \n".contains(byte);
    for run in bytes.split(|byte| !is_listed(byte)).filter(|run| run.len() >= 32 * 3) {
        let numbers = run.split(|byte| !byte.is_ascii_digit()).filter(|part| !part.is_empty());
        let numbers: Option<Vec<u8>> =
            numbers.map(|part| std::str::from_utf8(part).ok()?.parse().ok()).collect();
        let numbers = numbers.unwrap_or_default();
        found.extend(numbers.windows(32).filter_map(|window| Bytes::try_from(window).ok()));
    }
    found
}

fn texts_in(bytes: &[u8]) -> Vec<Bytes> {
    bytes.windows(TEXT).filter_map(decode).collect()
}

fn unhex(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
}

//! An [`Interceptor`] in front of Redis, for RESP 2 and 3.

use super::held_requests::{Action, Held};
use super::intercept::{Interceptor, Part, Place, Request, Wire};
use super::matching::Matching;

/// A proxy in front of Redis. A request is a command; counts are by its name in capitals.
pub type RespProxy = Interceptor<Resp>;

impl RespProxy {
    /// Keeps a command, and makes up its reply (such as `:0\r\n`) at once, so that the client goes
    /// on; the command is delivered by another connection.
    pub fn side_track(&self, matching: Matching, made_up: &str) -> Held {
        self.catch(matching, |caught| Action::SideTrack(caught, made_up.as_bytes().to_owned()))
    }

    /// How often a command came.
    pub fn count(&self, command: &str) -> u64 {
        self.counts().get(&command.to_uppercase()).copied().unwrap_or(0)
    }
}

/// RESP as one connection speaks it.
#[derive(Debug, Default)]
pub struct Resp {
    /// Of a server that copies another: no requests and replies from now on.
    copies: bool,
}

impl Wire for Resp {
    fn request(&mut self, bytes: &mut Vec<u8>) -> Option<Request> {
        if self.copies {
            let bytes = Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())?;
            return Some(Request { bytes, ..Request::default() });
        }
        let length = frame_length(bytes)?;
        let frame: Vec<u8> = bytes.drain(..length).collect();
        let texts = arguments(&frame);
        let name = String::from_utf8_lossy(texts.first()?).to_uppercase();
        let is_part =
            |part: &[u8]| texts.get(1).is_some_and(|text| text.eq_ignore_ascii_case(part));
        self.copies = match name.as_str() {
            "PSYNC" => true,
            "CLUSTER" => is_part(b"SYNCSLOTS"),
            _ => false,
        };
        let has_reply = !self.copies;
        Some(Request { bytes: frame, name, texts, made_up: None, has_reply })
    }

    fn reply(&mut self, bytes: &mut Vec<u8>) -> Option<Part> {
        if self.copies {
            let bytes = Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())?;
            return Some(Part { bytes, place: Place::Aside });
        }
        let place = match bytes.first()? {
            b'>' => Place::Aside,
            _ => Place::Last,
        };
        let length = frame_length(bytes)?;
        Some(Part { bytes: bytes.drain(..length).collect(), place })
    }
}

/// How long the frame is that `bytes` begin with, when all of it is here.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    let elements = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let length = match number()? {
                absent @ ..0 => return (absent == -1).then_some(line),
                length => line + length as usize + 2,
            };
            return (bytes.len() >= length).then_some(length);
        }
        b'*' | b'~' | b'>' => number()?.max(0),
        b'%' => number()? * 2,
        // Stands before what it describes.
        b'|' => number()? * 2 + 1,
        _ => 0,
    };
    (0..elements).try_fold(line, |at, _| Some(at + frame_length(&bytes[at..])?))
}

/// The strings of a command.
fn arguments(frame: &[u8]) -> Vec<Vec<u8>> {
    let end = frame.windows(2).position(|end| end == b"\r\n").unwrap_or(frame.len());
    if frame.first() != Some(&b'*') {
        let words = frame[..end].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        return words.map(<[u8]>::to_vec).collect();
    }
    let mut arguments = Vec::new();
    let mut rest = &frame[end + 2..];
    while let Some(length) = frame_length(rest) {
        let line = rest.windows(2).position(|end| end == b"\r\n").expect("a whole frame") + 2;
        arguments.push(rest[line..length - 2].to_vec());
        rest = &rest[length..];
    }
    arguments
}

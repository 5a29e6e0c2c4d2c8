//! Takes an uploaded picture out of a `multipart/form-data` body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use multer::{Constraints, Multipart, SizeLimit};
use tokio::time::timeout;

use crate::{failure::Failure, routes::Body};

/// The largest picture, in bytes.
pub(crate) const MAX_PICTURE: u64 = 8 * 1024 * 1024;
/// The picture, its boundaries and headers.
const MAX_BODY: u64 = MAX_PICTURE + 16 * 1024;
/// How much of a refused body is read and thrown away.
const MAX_DISCARDED: u64 = 64 * 1024 * 1024;

/// A slow telephone line needs 8 MiB this long; somebody who holds a slot for longer is let go.
const PATIENCE: Duration = Duration::from_secs(120);
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

const FIELD: &str = "picture";
const TOO_LARGE: Failure = Failure::TooLarge("The picture is larger than 8 MiB.");
const INCOMPLETE: Failure = Failure::Bad("The upload did not arrive completely.");

/// A file as it was sent.
#[derive(Debug)]
pub(crate) struct Upload {
    /// For people to recognise the picture by; no path is ever made of it.
    pub(crate) file_name: String,
    pub(crate) bytes: Bytes,
}

/// Reads the body until the picture is complete, within bounds of size and time.
pub(crate) async fn receive(headers: &HeaderMap, mut body: Body) -> Result<Upload, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default())
        .map_err(|_| Failure::Unsupported("This address expects a form with a picture."))?;
    let result = if announces_too_much(headers) {
        Err(TOO_LARGE)
    } else {
        timeout(PATIENCE, parse(&mut body, boundary)).await.unwrap_or(Err(Failure::TooSlow))
    };
    // A client that waits for "100 Continue" has sent nothing and learns it from the answer.
    if result.is_err() && !headers.contains_key(header::EXPECT) {
        discard(body).await;
    }
    result
}

fn announces_too_much(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > MAX_BODY)
}

async fn parse(body: &mut Body, boundary: String) -> Result<Upload, Failure> {
    let limits = SizeLimit::new().whole_stream(MAX_BODY).for_field(FIELD, MAX_PICTURE);
    let mut form = Multipart::with_constraints(
        BodyExt::into_data_stream(body),
        boundary,
        Constraints::new().size_limit(limits),
    );
    let mut found = None;
    while let Some(mut field) = form.next_field().await.map_err(failure)? {
        if field.name() != Some(FIELD) {
            return Err(Failure::Bad("The form holds a field that is not the picture."));
        }
        if found.is_some() {
            return Err(Failure::Bad("Please send one picture at a time."));
        }
        let file_name = shown_name(field.file_name().unwrap_or_default());
        let mut bytes = BytesMut::new();
        while let Some(chunk) = field.chunk().await.map_err(failure)? {
            bytes.extend_from_slice(&chunk);
        }
        found = Some(Upload { file_name, bytes: bytes.freeze() });
    }
    // A browser sends an empty file when none was chosen.
    found
        .filter(|upload| !upload.bytes.is_empty())
        .ok_or(Failure::Bad("Please choose a picture first."))
}

fn failure(error: multer::Error) -> Failure {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
            TOO_LARGE
        }
        multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteStream
        | multer::Error::StreamReadFailed(_) => INCOMPLETE,
        _ => Failure::Bad("The form is not valid multipart data."),
    }
}

/// Reads on for a while. Closing a connection on which data is still arriving makes the system
/// reset it, and then the browser shows "connection lost" in place of our answer.
async fn discard(mut body: Body) {
    let drain = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Out of patience is as good as done: the answer is the same.
    let _ = timeout(DISCARD_PATIENCE, drain).await;
}

/// The last part of the name, without what could play tricks on a page, and not too long.
fn shown_name(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns_text_round = |c| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    let isolates = |c| matches!(c, '\u{2066}'..='\u{2069}');
    let name: String = last
        .chars()
        .filter(|c| !c.is_control() && !turns_text_round(*c) && !isolates(*c))
        .take(80)
        .collect();
    if name.trim().is_empty() { "unnamed picture".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests;

//! Takes uploaded pictures and what stands beside them out of a `multipart/form-data` body: onto
//! the disk as they arrive, so that memory holds a chunk of each upload and no more.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use multer::{Constraints, Field, Multipart, SizeLimit};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{fs::File, io::AsyncWriteExt as _, time::timeout};
use tower_redis_session::SessionContext;

use crate::{
    captions::{container::Format, settings::Rejected},
    failure::Failure,
    web::{Body, form::Fields},
};

/// The largest picture, in bytes.
pub(crate) const MAX_PICTURE: u64 = 8 * 1024 * 1024;
/// All pictures of one upload, with boundaries and headers.
pub(crate) const MAX_UPLOAD: u64 = 64 * 1024 * 1024;
/// The most pictures in one upload; a user's settings may say fewer.
const MAX_PICTURES: usize = 500;
const MAX_FIELD: usize = 1_024;
/// What may arrive before the head of the next part is there, with what comes behind it in one
/// piece.
const MAX_HEAD: u64 = 256 * 1024;
const PIECE: usize = 64 * 1024;
/// How much of a refused body is read and thrown away.
const MAX_DISCARDED: u64 = 64 * 1024 * 1024;

/// A slow telephone line needs 8 MiB this long; somebody who holds a slot for longer is let go.
const PATIENCE: Duration = Duration::from_secs(120);
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

/// Pictures one by one.
const PICTURES: &str = "pictures";
/// The files of a folder, whatever else lies there.
const FOLDER: &str = "folder";
const TOKEN: &str = "csrf_token";
const TOO_LARGE: Failure = Failure::TooLarge("A picture may have 8 MiB, all together 64 MiB.");
const INCOMPLETE: Failure = Failure::Bad("The upload did not arrive completely.");

/// What was sent.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) pictures: Vec<Sent>,
    pub(crate) fields: Fields,
    /// Where the pictures lie until this is dropped.
    _folder: TempDir,
}

/// A file as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// For people to recognise the picture by; no path is ever made of it.
    pub(crate) file_name: String,
    pub(crate) path: PathBuf,
    /// SHA-256 of the file, in hex.
    pub(crate) digest: String,
}

/// Reads the body until it is complete, within bounds of size and time. Nothing is kept of a body
/// that does not prove that it comes from a page of this session: by the header that the caller has
/// `verified`, or by its first field.
pub(crate) async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    session: &SessionContext,
    verified: bool,
) -> Result<Upload, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default())
        .map_err(|_| Failure::Unsupported("This address expects a form with pictures."))?;
    let result = if announces_too_much(headers) {
        Err(TOO_LARGE)
    } else {
        let parsed = parse(&mut body, boundary, session, verified);
        timeout(PATIENCE, parsed).await.unwrap_or(Err(Failure::TooSlow))
    };
    if result.is_err() {
        discard(headers, body).await;
    }
    result
}

fn announces_too_much(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > MAX_UPLOAD)
}

async fn parse(
    body: &mut Body,
    boundary: String,
    session: &SessionContext,
    mut verified: bool,
) -> Result<Upload, Failure> {
    let limits = SizeLimit::new().whole_stream(MAX_UPLOAD);
    let heads = Arc::new(AtomicU64::new(0));
    let mut form = Multipart::with_constraints(
        paced(BodyExt::into_data_stream(body), Arc::clone(&heads)),
        boundary,
        Constraints::new().size_limit(limits),
    );
    let folder = tempfile::tempdir().map_err(no_disk)?;
    let (mut pictures, mut fields) = (Vec::new(), Vec::new());
    loop {
        heads.store(MAX_HEAD, Ordering::Relaxed);
        let Some(field) = form.next_field().await.map_err(failure)? else { break };
        heads.store(u64::MAX, Ordering::Relaxed);
        let name = field.name().unwrap_or_default().to_owned();
        if name == TOKEN {
            session.verify_csrf(text(field).await?).await?;
            verified = true;
            continue;
        }
        if !verified {
            session.verify_csrf("").await?;
        }
        if ![PICTURES, FOLDER].contains(&&*name) {
            if fields.len() == 32 {
                return Err(Failure::Bad("The form has too many fields."));
            }
            fields.push((name, text(field).await?));
            continue;
        }
        let path = folder.path().join(pictures.len().to_string());
        if let Some(sent) = save(field, path, name == FOLDER).await? {
            if pictures.len() == MAX_PICTURES {
                return Err(Failure::TooLarge("An upload may have 500 pictures."));
            }
            pictures.push(sent);
        }
    }
    if !verified {
        session.verify_csrf("").await?;
    }
    Ok(Upload { pictures, fields: Fields::of(fields), _folder: folder })
}

/// Hands a body on piece by piece, so that no more is read ahead than one of them; and while the
/// reader looks for the head of the next part, no more than what is `left` for that.
fn paced<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    left: Arc<AtomicU64>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((body, Bytes::new(), left), |(mut body, mut rest, left)| async move {
        tokio::task::yield_now().await;
        if rest.is_empty() {
            rest = match body.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(io::Error::other(error)), (body, rest, left))),
            };
        }
        let piece = rest.split_to(rest.len().min(PIECE));
        let (size, room) = (piece.len() as u64, left.load(Ordering::Relaxed));
        let piece = if room < size {
            Err(io::Error::other("the head of a part is too long"))
        } else {
            if room != u64::MAX {
                left.store(room - size, Ordering::Relaxed);
            }
            Ok(piece)
        };
        Some((piece, (body, rest, left)))
    })
}

/// A small field.
async fn text(mut field: Field<'_>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(failure)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD {
            return Err(Failure::Bad("A field of the form is too long."));
        }
    }
    String::from_utf8(bytes).map_err(|_| Failure::Bad("The form is not valid UTF-8."))
}

/// `None` for the empty file that a browser sends when none was chosen, and for what lies in a
/// folder and is no picture.
async fn save(
    mut field: Field<'_>,
    path: PathBuf,
    of_folder: bool,
) -> Result<Option<Sent>, Failure> {
    let file_name = shown_name(field.file_name().unwrap_or_default());
    let (mut start, mut digest, mut size) = (Vec::new(), Sha256::new(), 0_u64);
    let mut file = File::create(&path).await.map_err(no_disk)?;
    while let Some(chunk) = field.chunk().await.map_err(failure)? {
        if start.len() < 16 {
            start.extend(chunk.iter().take(16));
        }
        size += chunk.len() as u64;
        if start.len() >= 16 && of_folder && Format::sniff(&start).is_none() {
            // Whatever else lies in a folder may be as large as it likes, and is not kept.
            continue;
        }
        if size > MAX_PICTURE {
            return Err(TOO_LARGE);
        }
        digest.update(&chunk);
        file.write_all(&chunk).await.map_err(no_disk)?;
    }
    file.flush().await.map_err(no_disk)?;
    if size == 0 || (of_folder && Format::sniff(&start).is_none()) {
        return Ok(None);
    }
    if Format::sniff(&start).is_none() {
        let sentence = format!("{file_name} is not a PNG, JPEG, WebP or GIF");
        return Err(Failure::Rejected(Rejected::one(PICTURES, &sentence)));
    }
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Sent { file_name, path, digest }))
}

fn no_disk(error: io::Error) -> Failure {
    tracing::error!(%error, "upload not written");
    Failure::Busy
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
pub(crate) async fn discard(headers: &HeaderMap, mut body: Body) {
    // A client that waits for "100 Continue" has sent nothing and learns it from the answer.
    if headers.contains_key(header::EXPECT) {
        return;
    }
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

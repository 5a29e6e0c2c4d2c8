//! `Importer`: from a request to the old session's key, from its bytes to its content.

use std::{net::IpAddr, sync::Arc};

use http::{
    HeaderMap,
    header::{COOKIE, USER_AGENT},
};
use percent_encoding::percent_decode;

use crate::{
    clock::timestamp::Timestamp,
    import::{
        cookie::{private, signature},
        error::{ImportError, ImportErrorKind},
        format::{ClientPart, Format, Protection},
        imported::Imported,
        old_session::OldSession,
        settings::{Secret, Settings},
        stamp::StampRule,
        stored::{BYTES_MAX, django, executable, flask, json_objects, tower_sessions},
        user::UserRule,
    },
    transport::cookie::{self, CookieConfig},
};

/// Maximum length of the value of an old cookie, and of an id.
const COOKIE_MAX: usize = 4_096;
const ID_MAX: usize = 256;

/// Reads sessions of another library: finds the old session of a request, and decodes its bytes.
///
/// It does no input or output: the caller loads the bytes under the key. Everything is bounded, and
/// no decoder runs code that the bytes name. A clone is cheap.
///
/// ```
/// use http::HeaderMap;
/// use tower_redis_session::import::{Format, Importer};
///
/// let importer = Importer::builder(Format::ExpressSession)
///     .signed_cookie("keyboard cat")
///     .user_at(["user_id"])
///     .build()?;
///
/// let mut headers = HeaderMap::new();
/// let cookie = "connect.sid=s%3A4VgAHNFXg8SAwFGAfyjri4DtqNU6w8DJ\
///               .mLRk54wW54mwztPejLW2CgLY7CWVWB4jANoU9ayxysc";
/// headers.insert("cookie", cookie.parse()?);
/// let old = importer.find(&headers, None);
/// assert_eq!(old[0].key(), "sess:4VgAHNFXg8SAwFGAfyjri4DtqNU6w8DJ");
///
/// let stored = br#"{"cookie":{"expires":null},"user_id":42,"visits":3}"#; // GET of the key
/// let session = importer.decode(old[0].id(), stored, None)?;
/// assert_eq!(session.user(), Some("42"));
/// assert_eq!(session.get::<u32>("visits")?, Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Importer(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    settings: Settings,
    user: UserRule,
    stamp: Option<StampRule>,
}

impl Importer {
    pub(super) fn new(settings: Settings, user: UserRule, stamp: Option<StampRule>) -> Self {
        Self(Arc::new(Rules { settings, user, stamp }))
    }

    /// The format.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// assert_eq!(importer.format(), Format::FlaskSession);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn format(&self) -> Format {
        self.0.settings.format
    }

    /// The old sessions that a request names: one for each cookie of the old name whose signature
    /// verifies, or, for a plain cookie, whose id has the library's form. At most four; a
    /// conforming browser sends one. Cookies that do not verify are left out.
    ///
    /// `peer` is the address of the connection; only an axum_session signature needs it.
    ///
    /// ```
    /// # use http::HeaderMap;
    /// # use tower_redis_session::import::{Format, Importer};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("cookie", "session=../../etc/passwd".parse()?);
    /// assert!(importer.find(&headers, None).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Vec<OldSession> {
        let lines = headers.get_all(COOKIE).iter().map(|line| line.as_bytes());
        self.find_in(lines, &self.bound_to(headers, peer)).collect()
    }

    /// The same, where a signature includes the text `bound`.
    pub(super) fn find_in<'l>(
        &self,
        lines: impl Iterator<Item = &'l [u8]>,
        bound: &str,
    ) -> impl Iterator<Item = OldSession> {
        let values = cookie::values(lines, self.0.settings.cookie.name());
        let ids = values.filter_map(|value| self.id(value, bound));
        ids.map(|id| OldSession::new(&self.0.settings.prefix, id))
    }

    /// Whether there is a cookie of the old name, whatever its value.
    pub(super) fn is_in<'l>(&self, lines: impl Iterator<Item = &'l [u8]>) -> bool {
        cookie::values(lines, self.0.settings.cookie.name()).next().is_some()
    }

    /// The old cookie.
    pub(super) fn cookie(&self) -> &CookieConfig {
        &self.0.settings.cookie
    }

    /// Whether a signature includes parts of the request.
    pub(super) fn signs_parts(&self) -> bool {
        let Settings { protection, client_parts, .. } = &self.0.settings;
        *protection == Protection::Signed && client_parts.is_some()
    }

    /// The id in one cookie's value.
    fn id(&self, value: &[u8], bound: &str) -> Option<String> {
        if value.len() > COOKIE_MAX {
            return None;
        }
        // The signed text has no percent sign; the crates differ in whether they encode it.
        let value = percent_decode(value).decode_utf8().ok()?;
        let settings = &self.0.settings;
        let mut keys = settings.cookie_keys.iter().map(Secret::as_bytes);
        let id = match settings.protection {
            Protection::Plain => self.format().is_own_id(&value).then(|| value.into_owned()),
            Protection::Private => {
                keys.find_map(|key| private::open(settings.cookie.name(), value.as_bytes(), key))
            }
            Protection::Signed => {
                let verified = keys.find_map(|key| match self.format() {
                    Format::ExpressSession => signature::express(&value, key),
                    Format::FlaskSession => signature::flask(&value, key),
                    _ => signature::cookie_crate(&value, bound, key),
                });
                verified.map(ToOwned::to_owned)
            }
        };
        id.filter(|id| is_key(id))
    }

    /// What axum_session appends to the id: five texts, empty where a part is not used or absent.
    pub(super) fn bound_to(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> String {
        let parts = self.0.settings.client_parts.as_ref().filter(|_| self.signs_parts());
        let Some(parts) = parts else { return String::new() };
        let header = |part, name: &str| {
            let text = headers.get(name).filter(|_| parts.contains(&part));
            text.and_then(|text| text.to_str().ok()).unwrap_or_default()
        };
        let address = |text: &str| text.trim().parse::<IpAddr>().ok();
        let peer = peer.filter(|_| parts.contains(&ClientPart::PeerAddress));
        let mut forwarded = header(ClientPart::XForwardedFor, "x-forwarded-for").split(',');
        let forwarded = forwarded.find_map(address);
        let real = header(ClientPart::XRealIp, "x-real-ip").parse::<IpAddr>().ok();
        let text = |address: Option<IpAddr>| address.map_or_else(String::new, |ip| ip.to_string());
        let agent = header(ClientPart::UserAgent, USER_AGENT.as_str());
        format!("{};{};;{};{agent}", text(peer), text(forwarded), text(real))
    }

    /// The content of the session of this `id`. `expires` is when the store would have deleted
    /// `stored`, from the key's TTL or from `expire_date`; the earlier of it and of a time in the
    /// bytes counts. Whether it has passed is not checked.
    ///
    /// # Errors
    ///
    /// `Malformed` for bytes that are not of the format or of another id; `Unverified` if no key
    /// opens them; `TooLarge` over the limits; `Executable` for pickle and PHP; `Value`, `User`
    /// and `Stamp` for content that has no place in a session.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, ImportErrorKind, Importer};
    /// let importer = Importer::builder(Format::FlaskSession).user_at(["user_id"]).build()?;
    /// assert_eq!(importer.decode("id", b"\x81\xa7user_id*", None)?.user(), Some("42"));
    /// let truncated = importer.decode("id", b"\x81\xa7user_id", None).unwrap_err();
    /// assert_eq!(truncated.kind(), ImportErrorKind::Malformed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(
        &self,
        id: &str,
        stored: &[u8],
        expires: Option<Timestamp>,
    ) -> Result<Imported, ImportError> {
        if stored.len() > BYTES_MAX {
            return Err(ImportError::too_large("the stored bytes are more than 1 MiB"));
        }
        executable::reject(stored)?;
        let keys = || self.0.settings.stored_keys.iter().map(Secret::as_bytes);
        let mut session = match self.format() {
            Format::TowerSessions => tower_sessions::decode(id, stored)?,
            Format::AxumSession => match keys().next() {
                None => json_objects::axum_session(stored)?,
                Some(_) => {
                    let text = keys().find_map(|key| private::open(id, stored, key));
                    json_objects::axum_session(text.ok_or_else(unopened)?.as_bytes())?
                }
            },
            Format::ActixSession => json_objects::actix_session(stored)?,
            Format::ExpressSession => json_objects::express_session(stored)?,
            Format::FlaskSession => flask::decode(stored)?,
            Format::Django => django::decode(stored, keys())?,
        };
        session.expire_at(expires);
        session.user = self.0.user.apply(&session)?;
        self.stamped(session)
    }

    /// Adds the stamp of a session that has a user, if there is a rule for it.
    pub(super) fn stamped(&self, mut session: Imported) -> Result<Imported, ImportError> {
        if let Some(rule) = self.0.stamp.as_ref().filter(|_| session.user.is_some()) {
            session.stamp = Some(rule.apply(&session)?);
        }
        Ok(session)
    }
}

/// Whether a verified id can be part of a key.
fn is_key(id: &str) -> bool {
    (1..=ID_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn unopened() -> ImportError {
    ImportError::new(ImportErrorKind::Unverified, "no key decrypts the stored bytes")
}

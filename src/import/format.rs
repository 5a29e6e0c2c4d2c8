//! The libraries whose sessions can be read, and their defaults.

/// A library, and the form in which it stores a session.
///
/// `Cookie` and `prefix` are the library's defaults; the
/// [`ImporterBuilder`](crate::import::ImporterBuilder) takes others. The last column is what the
/// format needs.
///
/// | format | cookie | prefix | its cookie can be | stored | needs |
/// |---|---|---|---|---|---|
/// | `TowerSessions` | `id` | none | plain, signed, private | MessagePack | |
/// | `AxumSession` | `session` | `sessions:` | plain, signed | JSON, encrypted if it has a stored key | |
/// | `ActixSession` | `id` | none | signed, private | JSON | a cookie key |
/// | `ExpressSession` | `connect.sid` | `sess:` | signed | JSON | a cookie key |
/// | `FlaskSession` | `session` | `session:` | plain, signed | MessagePack or JSON | |
/// | `Django` | `sessionid` | none | plain | signed JSON in a table | a stored key |
///
/// ```
/// use tower_redis_session::import::{Format, Importer};
///
/// // axum-login on tower-sessions: the library keeps the user's id in a value of its own.
/// let importer = Importer::builder(Format::TowerSessions)
///     .user_at(["axum-login.data", "user_id"])
///     .build()?;
/// assert_eq!(importer.format(), Format::TowerSessions);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// tower-sessions 0.14 with tower-sessions-redis-store 0.16, and axum-login on it, whose user
    /// is at `["axum-login.data", "user_id"]`.
    TowerSessions,
    /// axum_session 0.22 with axum_session_redispool 0.13.
    AxumSession,
    /// actix-session 0.11 with its Redis store. `cache_keygen`, if it was set, is the prefix.
    ActixSession,
    /// express-session 1.19 with connect-redis 9. Passport's user is at `["passport", "user"]`.
    ExpressSession,
    /// Flask-Session 0.8. Its `SESSION_USE_SIGNER` is a signed cookie. Its default prefix is also
    /// the default of this crate: keep the two in different databases or change one.
    FlaskSession,
    /// Django 3.1 to 5.2 with the table `django_session`: the key is `session_key`, the bytes are
    /// `session_data`, the expiry is `expire_date`. Its user is at `["_auth_user_id"]`. Sessions of
    /// the `cache` engine are pickled: export them as [JSON lines](crate::import::decode_line).
    Django,
}

/// How the cookie carries the session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Plain,
    /// With a MAC.
    Signed,
    /// Encrypted.
    Private,
}

/// A part of the client's request that axum_session includes in a signature of its cookie.
///
/// ```
/// use tower_redis_session::import::{ClientPart, Format, Importer};
///
/// let importer = Importer::builder(Format::AxumSession)
///     .signed_cookie([7; 64])
///     .client_parts([ClientPart::UserAgent]) // the service had no `ConnectInfo`
///     .user_at(["user_id"])
///     .build();
/// assert!(importer.is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientPart {
    /// The address of the connection's peer: `with_hashed_ip`, if the service had `ConnectInfo`.
    PeerAddress,
    /// The first address in `X-Forwarded-For`: `with_hashed_xforward`.
    XForwardedFor,
    /// The address in `X-Real-IP`: `with_hashed_real_ip`.
    XRealIp,
    /// The `User-Agent`: `with_hashed_user_agent`.
    UserAgent,
}

impl Format {
    /// The name in events.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TowerSessions => "tower_sessions",
            Self::AxumSession => "axum_session",
            Self::ActixSession => "actix_session",
            Self::ExpressSession => "express_session",
            Self::FlaskSession => "flask_session",
            Self::Django => "django",
        }
    }

    /// The cookie's default name in the library.
    pub(super) fn cookie_name(self) -> &'static str {
        match self {
            Self::TowerSessions | Self::ActixSession => "id",
            Self::AxumSession | Self::FlaskSession => "session",
            Self::ExpressSession => "connect.sid",
            Self::Django => "sessionid",
        }
    }

    /// The default prefix of the library's keys.
    pub(super) fn key_prefix(self) -> &'static str {
        match self {
            Self::AxumSession => "sessions:",
            Self::ExpressSession => "sess:",
            Self::FlaskSession => "session:",
            Self::TowerSessions | Self::ActixSession | Self::Django => "",
        }
    }

    /// The ways in which the library can protect its cookie.
    pub(super) fn protections(self) -> &'static [Protection] {
        use Protection::{Plain, Private, Signed};
        match self {
            Self::TowerSessions => &[Plain, Signed, Private],
            Self::AxumSession | Self::FlaskSession => &[Plain, Signed],
            Self::ActixSession => &[Signed, Private],
            Self::ExpressSession => &[Signed],
            Self::Django => &[Plain],
        }
    }

    /// The shortest key: the crates of Rust use the two halves of 64 bytes.
    pub(super) fn key_len_min(self) -> usize {
        match self {
            Self::TowerSessions | Self::AxumSession | Self::ActixSession => 64,
            Self::ExpressSession | Self::FlaskSession | Self::Django => 1,
        }
    }

    /// Whether an id from a cookie without a signature has the form that the library generates.
    /// A client cannot make the importer read keys of other programs in the same Redis.
    pub(super) fn is_own_id(self, id: &str) -> bool {
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        match self {
            Self::TowerSessions => id.len() == 22 && id.bytes().all(base64url),
            Self::AxumSession => is_uuid(id),
            Self::FlaskSession => (22..=128).contains(&id.len()) && id.bytes().all(base64url),
            Self::Django => {
                let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                id.len() == 32 && id.bytes().all(letter)
            }
            Self::ActixSession | Self::ExpressSession => false,
        }
    }
}

/// A UUID in lower case with hyphens.
fn is_uuid(id: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| match byte {
        b'-' => hyphens.contains(&at),
        b'0'..=b'9' | b'a'..=b'f' => !hyphens.contains(&at),
        _ => false,
    };
    id.len() == 36 && id.bytes().enumerate().all(fits)
}

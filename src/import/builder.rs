//! Settings of an importer.

use std::sync::Arc;

use crate::{
    error::ConfigError,
    import::{
        format::{ClientPart, Format, Protection},
        imported::Imported,
        importer::Importer,
        settings::{Secret, Settings},
        stamp::StampRule,
        user::UserRule,
    },
    transport::cookie::CookieConfig,
};

/// Settings of an [`Importer`]: what the service that wrote the sessions was configured with.
///
/// ```
/// use tower_redis_session::{CookieConfig, import::{Format, Importer}};
///
/// let importer = Importer::builder(Format::ExpressSession)
///     .cookie(CookieConfig::new("shop.sid").domain("example.org"))
///     .key_prefix("shop:")
///     .signed_cookie("keyboard cat")
///     .signed_cookie("the secret before it")
///     .user_at(["passport", "user"])
///     .build()?;
/// # drop(importer);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ImporterBuilder {
    settings: Settings,
    /// Keys of two kinds of cookies were set.
    mixed: bool,
    user: Option<UserRule>,
    stamp: Option<StampRule>,
}

impl Importer {
    /// An importer of that format with the library's defaults.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::TowerSessions).user_at(["user_id"]);
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn builder(format: Format) -> ImporterBuilder {
        let settings = Settings::new(format);
        ImporterBuilder { settings, mixed: false, user: None, stamp: None }
    }
}

impl ImporterBuilder {
    /// The old cookie: its name, and the domain and path by which a browser removes it. Defaults to
    /// the library's name, `Path=/` and no domain.
    ///
    /// ```
    /// # use tower_redis_session::{CookieConfig, import::{Format, Importer}};
    /// let cookie = CookieConfig::new("sid").path("/app");
    /// let builder = Importer::builder(Format::TowerSessions).cookie(cookie).no_users();
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.settings.cookie = cookie;
        self
    }

    /// What precedes the id in the old store's key. Defaults to the library's prefix.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::AxumSession).key_prefix("shop:").no_users();
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// The cookie is signed under this key: 64 bytes for the crates of Rust (`Key::master`), the
    /// secret for express, the `SECRET_KEY` for Flask. Each further call adds a former key.
    /// Defaults to a plain cookie.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::TowerSessions).signed_cookie([7; 64]).no_users();
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn signed_cookie(self, key: impl AsRef<[u8]>) -> Self {
        self.cookie_key(Protection::Signed, key.as_ref())
    }

    /// The cookie is encrypted under this key of 64 bytes (`Key::master`). Each further call adds a
    /// former key. Defaults to a plain cookie.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::ActixSession).private_cookie([7; 64]).no_users();
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn private_cookie(self, key: impl AsRef<[u8]>) -> Self {
        self.cookie_key(Protection::Private, key.as_ref())
    }

    /// A key of the stored bytes: axum_session's `database_key` of 64 bytes, Django's `SECRET_KEY`.
    /// Each further call adds a former key. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::Django)
    ///     .stored_key("django-secret")
    ///     .stored_key("one of SECRET_KEY_FALLBACKS")
    ///     .user_at(["_auth_user_id"]);
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn stored_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.settings.stored_keys.push(Secret::new(key.as_ref()));
        self
    }

    /// The parts of the request in axum_session's signature. Defaults to its own default: the
    /// peer's address and the user agent. `Forwarded` (`with_hashed_forward`) is not supported.
    ///
    /// ```
    /// # use tower_redis_session::import::{ClientPart, Format, Importer};
    /// let builder = Importer::builder(Format::AxumSession)
    ///     .signed_cookie([7; 64])
    ///     .client_parts([ClientPart::UserAgent])
    ///     .no_users();
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn client_parts(mut self, parts: impl IntoIterator<Item = ClientPart>) -> Self {
        self.settings.client_parts = Some(parts.into_iter().collect());
        self
    }

    /// The signature is of the id alone: axum_session with `with_ip_and_user_agent(false)`.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::AxumSession)
    ///     .signed_cookie([7; 64])
    ///     .without_client_parts()
    ///     .no_users();
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn without_client_parts(mut self) -> Self {
        self.settings.client_parts = None;
        self
    }

    /// The user is the value of this name, or inside of it: a text, or an integer as decimal
    /// digits. A session without it, or with `null`, is a visitor's.
    ///
    /// One of this, [`user_with`](Self::user_with) and [`no_users`](Self::no_users) is required:
    /// which value is the user is never guessed.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let importer = Importer::builder(Format::ActixSession)
    ///     .signed_cookie([7; 64])
    ///     .user_at(["account", "id"])
    ///     .build()?;
    /// let session = importer.decode("id", br#"{ "account": "{ \"id\": 42 }" }"#, None)?;
    /// assert_eq!(session.user(), Some("42"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_at<N: Into<String>>(self, path: impl IntoIterator<Item = N>) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { user: Some(UserRule::At(path)), ..self }
    }

    /// The user is what this function returns; `None` for a visitor.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let importer = Importer::builder(Format::FlaskSession)
    ///     .user_with(|session| {
    ///         let id: Option<u64> = session.get("user_id").ok()?;
    ///         id.map(|id| format!("user-{id}"))
    ///     })
    ///     .build()?;
    /// let session = importer.decode("id", b"\x81\xa7user_id*", None)?;
    /// assert_eq!(session.user(), Some("user-42"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_with(
        self,
        rule: impl Fn(&Imported) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { user: Some(UserRule::With(Arc::new(rule))), ..self }
    }

    /// The sessions have no users: each is a visitor's.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// assert_eq!(importer.decode("id", b"\x81\xa7user_id*", None)?.user(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn no_users(self) -> Self {
        Self { user: Some(UserRule::None), ..self }
    }

    /// The user's [stamp](crate::SessionContext::set_stamp) is the value of this name, or inside of
    /// it: a text of 1 to 128 bytes, or an integer. For libraries that do not delete a user's
    /// sessions after a password change, and compare a hash instead:
    /// [`validate_user`](crate::SessionContext::validate_user) compares it from then on with
    /// [`Directory::stamp`](crate::directory::Directory::stamp). A session with a user and without
    /// a stamp is an error then. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, ImportErrorKind, Importer};
    /// let importer = Importer::builder(Format::FlaskSession)
    ///     .user_at(["user_id"])
    ///     .stamp_at(["hash"])
    ///     .build()?;
    /// let session = importer.decode("id", br#"{ "user_id": 42, "hash": "d2f1" }"#, None)?;
    /// assert_eq!(session.stamp(), Some("d2f1"));
    /// let error = importer.decode("id", br#"{ "user_id": 42 }"#, None).unwrap_err();
    /// assert_eq!(error.kind(), ImportErrorKind::Stamp);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stamp_at<N: Into<String>>(self, path: impl IntoIterator<Item = N>) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { stamp: Some(StampRule::At(path)), ..self }
    }

    /// The same, by a function; it is not called for a visitor. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let builder = Importer::builder(Format::TowerSessions)
    ///     .user_at(["axum-login.data", "user_id"])
    ///     .stamp_with(|session| {
    ///         let data: serde_json::Value = session.get("axum-login.data").ok()??;
    ///         let hash: Vec<u8> = serde_json::from_value(data["auth_hash"].clone()).ok()?;
    ///         String::from_utf8(hash).ok() // a password hash in PHC form
    ///     });
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn stamp_with(
        self,
        rule: impl Fn(&Imported) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { stamp: Some(StampRule::With(Arc::new(rule))), ..self }
    }

    fn cookie_key(mut self, protection: Protection, key: &[u8]) -> Self {
        let settings = &mut self.settings;
        self.mixed |= !settings.cookie_keys.is_empty() && settings.protection != protection;
        settings.protection = protection;
        settings.cookie_keys.push(Secret::new(key));
        self
    }

    /// The importer.
    ///
    /// # Errors
    ///
    /// No rule for the user; a cookie that browsers reject; a protection that the library does not
    /// have; a key that is missing or too short.
    ///
    /// ```
    /// # use tower_redis_session::import::{Format, Importer};
    /// let error = Importer::builder(Format::ExpressSession).no_users().build().unwrap_err();
    /// assert_eq!(error.setting(), "import cookie");
    /// ```
    pub fn build(self) -> Result<Importer, ConfigError> {
        self.settings.cookie.check().map_err(|error| error.named("import cookie"))?;
        if self.mixed {
            return Err(ConfigError::new("import cookie", "is both signed and private"));
        }
        self.settings.check()?;
        if matches!(&self.stamp, Some(StampRule::At(path)) if path.is_empty()) {
            return Err(ConfigError::new("import stamp", "is not named"));
        }
        let user = |fault| Err(ConfigError::new("import user", fault));
        match self.user {
            None => user("name the user's value, or state that there are no users"),
            Some(UserRule::At(path)) if path.is_empty() => user("is not named"),
            Some(rule) => Ok(Importer::new(self.settings, rule, self.stamp)),
        }
    }
}

//! Why a session ended, and who ended it.

use serde::Serialize;

/// Why a session moved or ended, in an [`Event`](crate::telemetry::Event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A user signed in, or another one did.
    SignIn,
    /// A renewal of the id, without a sign-in.
    Renewal,
    /// A logout, by the session's own handle.
    Logout,
    /// Its last value was removed, and it has no user.
    Emptied,
    /// A sign-in of the same browser, whose request carried several sessions.
    Replaced,
    /// Its user, in another session or everywhere.
    User,
    /// The application, by [`SessionAdmin`](crate::layer::SessionAdmin).
    Administrator,
    /// The identity provider that signed the user in, by
    /// [`revoke_by_external_id`](crate::layer::SessionAdmin::revoke_by_external_id).
    Provider,
}

impl Cause {
    /// As it serializes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Renewal => "renewal",
            Self::Logout => "logout",
            Self::Emptied => "emptied",
            Self::Replaced => "replaced",
            Self::User => "user",
            Self::Administrator => "administrator",
            Self::Provider => "provider",
        }
    }
}

/// Who ends sessions that are not the request's own.
#[derive(Clone, Debug)]
pub(crate) struct By {
    pub(crate) cause: Cause,
    /// The administrator, if named.
    pub(crate) actor: Option<String>,
}

impl By {
    /// The user of the sessions.
    pub(crate) const USER: Self = Self { cause: Cause::User, actor: None };
    /// The identity provider, whose logout has overtaken the session.
    pub(crate) const PROVIDER: Self = Self { cause: Cause::Provider, actor: None };
}

//! Which address is which page, who may ask for it, and by which methods.

use http::Method;

/// Who may ask for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Everybody,
    /// Who is signed in.
    Members,
    Administrators,
}

/// What an address is for. Names in it are as they came: nobody's in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Home,
    Login,
    Logout,
    Platforms,
    NewPlatform,
    Platform(&'a str),
    DeletePlatform(&'a str),
    DefaultPlatform(&'a str),
    Captions,
    StartCaptions,
    Task(&'a str),
    CancelTask(&'a str),
    Settings,
    Devices,
    RevokeDevice,
    LabelDevice,
    Admin,
    AdminUser(&'a str, AdminDeed<'a>),
    Outage,
    OutageDeed(&'a str),
    OutageEvents,
    SessionApi,
    SessionReport,
    SessionMetrics,
    ApiPlatforms,
    ApiPlatform(&'a str),
    ApiActivate(&'a str),
    ApiDefault(&'a str),
    ApiSettings,
    ApiTasks,
    ApiTask(&'a str),
    ApiTaskEvents(&'a str),
    Health,
    Ready,
    Style,
    Script,
    Icon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminDeed<'a> {
    ClearPlatform,
    SignOut,
    Activate,
    Deactivate,
    Revoke(&'a str),
}

/// Who may ask for what is at this path. What is nowhere everybody may be told of.
pub(crate) fn access(path: &str) -> Access {
    match Place::at(path) {
        None
        | Some(
            Place::Login
            | Place::Logout
            | Place::Health
            | Place::Ready
            | Place::Style
            | Place::Script
            | Place::Icon
            // It tells visitors that they are nobody.
            | Place::SessionApi,
        ) => Access::Everybody,
        Some(
            Place::Admin
            | Place::AdminUser(..)
            | Place::SessionReport
            | Place::SessionMetrics
            | Place::Outage
            | Place::OutageDeed(_)
            | Place::OutageEvents,
        ) => Access::Administrators,
        Some(_) => Access::Members,
    }
}

impl<'a> Place<'a> {
    pub(super) fn at(path: &'a str) -> Option<Self> {
        let parts: Vec<_> = path.strip_prefix('/')?.split('/').collect();
        match parts.as_slice() {
            ["api", rest @ ..] => Self::of_api(rest),
            ["platforms", rest @ ..] => Self::of_platforms(rest),
            ["admin", rest @ ..] => Self::of_admin(rest),
            rest => Self::of_pages(rest),
        }
    }

    fn of_pages(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            [""] => Self::Home,
            ["login"] => Self::Login,
            ["logout"] => Self::Logout,
            ["caption_generation"] => Self::Captions,
            ["start_caption_generation"] => Self::StartCaptions,
            ["caption_tasks", id] if is_id(id) => Self::Task(id),
            ["caption_tasks", id, "cancel"] => Self::CancelTask(id),
            ["settings"] => Self::Settings,
            ["devices"] => Self::Devices,
            ["devices", "revoke"] => Self::RevokeDevice,
            ["devices", "label"] => Self::LabelDevice,
            ["outage"] => Self::Outage,
            ["outage", "events"] => Self::OutageEvents,
            ["outage", deed] if is_id(deed) => Self::OutageDeed(deed),
            ["healthz"] => Self::Health,
            ["readyz"] => Self::Ready,
            ["style.css"] => Self::Style,
            ["app.js"] => Self::Script,
            ["icon.svg"] => Self::Icon,
            _ => return None,
        })
    }

    fn of_platforms(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            [] => Self::Platforms,
            ["new"] => Self::NewPlatform,
            [id] if is_id(id) => Self::Platform(id),
            [id, "delete"] => Self::DeletePlatform(id),
            [id, "default"] => Self::DefaultPlatform(id),
            _ => return None,
        })
    }

    fn of_admin(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            [] => Self::Admin,
            ["users", id, "clear_platform"] => Self::AdminUser(id, AdminDeed::ClearPlatform),
            ["users", id, "sign_out"] => Self::AdminUser(id, AdminDeed::SignOut),
            ["users", id, "activate"] => Self::AdminUser(id, AdminDeed::Activate),
            ["users", id, "deactivate"] => Self::AdminUser(id, AdminDeed::Deactivate),
            ["users", id, "sessions", session, "revoke"] => {
                Self::AdminUser(id, AdminDeed::Revoke(session))
            }
            _ => return None,
        })
    }

    fn of_api(parts: &[&'a str]) -> Option<Self> {
        Some(match parts {
            ["session", "report"] => Self::SessionReport,
            ["session", "metrics"] => Self::SessionMetrics,
            ["session", ..] => Self::SessionApi,
            ["platforms"] => Self::ApiPlatforms,
            ["platforms", id] if is_id(id) => Self::ApiPlatform(id),
            ["platforms", id, "activate"] => Self::ApiActivate(id),
            ["platforms", id, "default"] => Self::ApiDefault(id),
            ["settings"] => Self::ApiSettings,
            ["caption_tasks"] => Self::ApiTasks,
            ["caption_tasks", id] if is_id(id) => Self::ApiTask(id),
            ["caption_tasks", id, "results"] => Self::ApiTask(id),
            ["caption_tasks", id, "cancel"] => Self::CancelTask(id),
            ["caption_tasks", id, "events"] => Self::ApiTaskEvents(id),
            ["admin", rest @ ..] if !rest.is_empty() => return Self::of_admin(rest),
            _ => return None,
        })
    }

    /// As the `Allow` header has them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Login
            | Self::Platforms
            | Self::NewPlatform
            | Self::Platform(_)
            | Self::Settings
            | Self::ApiPlatforms
            | Self::ApiTasks => "GET, HEAD, POST",
            Self::Logout
            | Self::StartCaptions
            | Self::DeletePlatform(_)
            | Self::DefaultPlatform(_)
            | Self::CancelTask(_)
            | Self::RevokeDevice
            | Self::LabelDevice
            | Self::AdminUser(..)
            | Self::OutageDeed(_)
            | Self::ApiActivate(_)
            | Self::ApiDefault(_) => "POST",
            Self::ApiPlatform(_) => "GET, HEAD, PUT, DELETE",
            Self::ApiSettings => "GET, HEAD, PATCH",
            Self::ApiTaskEvents(_) | Self::OutageEvents => "GET",
            _ => "GET, HEAD",
        }
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// What an id may look like; whether there is such a thing is another question.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

//! The four kinds of entries: how each is loaded and encoded.

use std::future::Future;

use crate::{
    directory::{
        Credentials, Directory, PlatformInfo, UserInfo,
        cached::{entry_id::EntryId, envelope::Kind},
    },
    error::Error,
    session::json,
};

/// One kind of entry.
pub(super) trait Part<D: Directory>: Send + 'static {
    type Value: Send;
    const KIND: Kind;

    fn ask(
        source: &D,
        entry_id: &EntryId,
    ) -> impl Future<Output = Result<Self::Value, Error>> + Send;

    /// Whether the value is worth caching. Absence of something that can appear at any time is not:
    /// its creation would not invalidate the cache.
    fn is_kept(value: &Self::Value) -> bool;

    fn encode(value: &Self::Value) -> Option<Vec<u8>>;

    fn decode(payload: &[u8]) -> Option<Self::Value>;
}

pub(super) struct User;
pub(super) struct Platforms;
pub(super) struct Settings;
pub(super) struct Secret;

/// In field order.
type UserFields<S> = (S, S, Option<S>, S, bool);
type PlatformFields<S> = (S, S, S, S, S, bool, bool);

impl<D: Directory> Part<D> for User {
    type Value = Option<UserInfo>;
    const KIND: Kind = Kind::User;

    async fn ask(source: &D, entry_id: &EntryId) -> Result<Self::Value, Error> {
        source.user(&entry_id.user).await
    }

    fn is_kept(value: &Self::Value) -> bool {
        value.is_some()
    }

    fn encode(value: &Self::Value) -> Option<Vec<u8>> {
        let fields = value.as_ref().map(|user| -> UserFields<&str> {
            let UserInfo { id, username, email, role, active } = user;
            (id, username, email.as_deref(), role, *active)
        });
        serde_json::to_vec(&fields).ok()
    }

    fn decode(payload: &[u8]) -> Option<Self::Value> {
        let fields: Option<UserFields<String>> = serde_json::from_slice(payload).ok()?;
        Some(fields.map(|(id, username, email, role, active)| UserInfo {
            id,
            username,
            email,
            role,
            active,
        }))
    }
}

impl<D: Directory> Part<D> for Platforms {
    type Value = Vec<PlatformInfo>;
    const KIND: Kind = Kind::Platforms;

    async fn ask(source: &D, entry_id: &EntryId) -> Result<Self::Value, Error> {
        source.platforms(&entry_id.user).await
    }

    fn is_kept(_: &Self::Value) -> bool {
        true
    }

    fn encode(value: &Self::Value) -> Option<Vec<u8>> {
        let fields = value.iter().map(|platform| -> PlatformFields<&str> {
            let PlatformInfo { id, name, kind, instance_url, username, active, default } = platform;
            (id, name, kind, instance_url, username, *active, *default)
        });
        serde_json::to_vec(&fields.collect::<Vec<_>>()).ok()
    }

    fn decode(payload: &[u8]) -> Option<Self::Value> {
        let platforms: Vec<PlatformFields<String>> = serde_json::from_slice(payload).ok()?;
        let platform = |(id, name, kind, instance_url, username, active, default)| PlatformInfo {
            id,
            name,
            kind,
            instance_url,
            username,
            active,
            default,
        };
        Some(platforms.into_iter().map(platform).collect())
    }
}

impl<D: Directory> Part<D> for Settings {
    type Value = Option<D::Settings>;
    const KIND: Kind = Kind::Settings;

    async fn ask(source: &D, entry_id: &EntryId) -> Result<Self::Value, Error> {
        source.settings(&entry_id.user).await
    }

    fn is_kept(_: &Self::Value) -> bool {
        true
    }

    /// Empty for `None`, since a value may serialize to any JSON, including `null`. A value that
    /// does not survive a round trip, such as a non-finite number, is not cached.
    fn encode(value: &Self::Value) -> Option<Vec<u8>> {
        let Some(settings) = value else { return Some(Vec::new()) };
        json::encode(settings).ok().map(Vec::from)
    }

    fn decode(payload: &[u8]) -> Option<Self::Value> {
        if payload.is_empty() {
            return Some(None);
        }
        serde_json::from_slice(payload).ok().map(Some)
    }
}

impl<D: Directory> Part<D> for Secret {
    type Value = Option<Credentials>;
    const KIND: Kind = Kind::Credentials;

    async fn ask(source: &D, entry_id: &EntryId) -> Result<Self::Value, Error> {
        source.credentials(&entry_id.user, &entry_id.name).await
    }

    fn is_kept(value: &Self::Value) -> bool {
        value.is_some()
    }

    fn encode(value: &Self::Value) -> Option<Vec<u8>> {
        serde_json::to_vec(&value.as_ref().map(Credentials::expose)).ok()
    }

    fn decode(payload: &[u8]) -> Option<Self::Value> {
        let secret: Option<String> = serde_json::from_slice(payload).ok()?;
        Some(secret.map(Credentials::new))
    }
}

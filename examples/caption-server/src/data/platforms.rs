//! The accounts that captions are for, and what opens them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sqlx::{Row as _, any::AnyRow};
use tower_redis_session::directory::{Credentials, PlatformInfo};

use super::{Data, DataError, is_taken, new_id, now};

/// What a user tells of a platform; checked by the form that it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PlatformDraft {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) instance_url: String,
    pub(crate) username: String,
    /// The access token; `None` leaves the one that is there.
    pub(crate) token: Option<String>,
}

/// Where a token is sealed for: this column of this row.
fn place(id: &str) -> [&[u8]; 2] {
    [b"caption_platforms.token", id.as_bytes()]
}

impl Data {
    /// In the order in which they were added.
    pub(crate) async fn platforms_of(&self, user: &str) -> Result<Vec<PlatformInfo>, DataError> {
        let rows = sqlx::query(
            "SELECT id, name, kind, instance_url, username, active, is_default \
             FROM caption_platforms WHERE user_id = $1 ORDER BY created, id",
        );
        rows.bind(user).fetch_all(&self.pool).await?.iter().map(platform).collect()
    }

    /// Adds one; the first of a user becomes the default.
    pub(crate) async fn add_platform(
        &self,
        user: &str,
        draft: &PlatformDraft,
    ) -> Result<String, DataError> {
        let id = new_id()?;
        let token = self.sealed(&id, draft.token.as_deref())?;
        // Of two first ones at the same moment the other is simply no default.
        for default in [true, false] {
            let row = sqlx::query(
                "INSERT INTO caption_platforms (id, user_id, name, kind, instance_url, username, \
                 active, is_default, token, created) SELECT $1, $2, $3, $4, $5, $6, 1, \
                 CASE WHEN $7 = 1 AND NOT EXISTS (SELECT 1 FROM caption_platforms \
                 WHERE user_id = $2 AND is_default = 1) THEN 1 ELSE 0 END, $8, $9",
            );
            let row = row.bind(&id).bind(user).bind(&draft.name).bind(&draft.kind);
            let row = row.bind(&draft.instance_url).bind(&draft.username).bind(i64::from(default));
            match row.bind(&token).bind(now()).execute(&self.pool).await {
                Err(error) if default && is_taken(&error) => {}
                done => return done.map(|_| id).map_err(DataError::from),
            }
        }
        Ok(id)
    }

    /// False if the user has no such platform.
    pub(crate) async fn edit_platform(
        &self,
        user: &str,
        id: &str,
        draft: &PlatformDraft,
    ) -> Result<bool, DataError> {
        let token = self.sealed(id, draft.token.as_deref())?;
        let row = sqlx::query(
            "UPDATE caption_platforms SET name = $1, kind = $2, instance_url = $3, username = $4, \
             token = COALESCE($5, token) WHERE id = $6 AND user_id = $7",
        );
        let row = row.bind(&draft.name).bind(&draft.kind).bind(&draft.instance_url);
        let row = row.bind(&draft.username).bind(token).bind(id).bind(user);
        Ok(row.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// False if the user has no such platform. Where it was the default, none is from then on.
    pub(crate) async fn delete_platform(&self, user: &str, id: &str) -> Result<bool, DataError> {
        let row = sqlx::query("DELETE FROM caption_platforms WHERE id = $1 AND user_id = $2");
        Ok(row.bind(id).bind(user).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Makes one of the user's platforms the default; false, and nothing changes, if it is not
    /// theirs.
    pub(crate) async fn set_default(&self, user: &str, id: &str) -> Result<bool, DataError> {
        let mut transaction = self.pool.begin().await?;
        let none = sqlx::query("UPDATE caption_platforms SET is_default = 0 WHERE user_id = $1");
        none.bind(user).execute(&mut *transaction).await?;
        let one = sqlx::query(
            "UPDATE caption_platforms SET is_default = 1 \
             WHERE id = $1 AND user_id = $2 AND active = 1",
        );
        let one = one.bind(id).bind(user).execute(&mut *transaction).await?.rows_affected();
        if one == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The access token of a user's platform, opened. A key that does not fit is an error.
    pub(crate) async fn token_of(
        &self,
        user: &str,
        id: &str,
    ) -> Result<Option<Credentials>, DataError> {
        let row = sqlx::query("SELECT token FROM caption_platforms WHERE id = $1 AND user_id = $2");
        let Some(row) = row.bind(id).bind(user).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let Some(sealed) = row.try_get::<Option<String>, _>("token")? else { return Ok(None) };
        let opened = self.keys.open(&place(id), &BASE64.decode(sealed)?)?;
        Ok(Some(Credentials::new(String::from_utf8(opened)?)))
    }

    /// The token of any platform at all, to see at the start whether the keys fit.
    pub(crate) async fn check_keys(&self) -> Result<(), DataError> {
        let row =
            sqlx::query("SELECT id, token FROM caption_platforms WHERE token IS NOT NULL LIMIT 1");
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(()) };
        let (id, sealed): (String, String) = (row.try_get("id")?, row.try_get("token")?);
        self.keys.open(&place(&id), &BASE64.decode(sealed)?)?;
        Ok(())
    }

    pub(super) fn sealed(
        &self,
        id: &str,
        token: Option<&str>,
    ) -> Result<Option<String>, DataError> {
        let Some(token) = token else { return Ok(None) };
        Ok(Some(BASE64.encode(self.keys.seal(&place(id), token.as_bytes())?)))
    }
}

fn platform(row: &AnyRow) -> Result<PlatformInfo, DataError> {
    let (id, url): (String, String) = (row.try_get("id")?, row.try_get("instance_url")?);
    let mut platform = PlatformInfo::new(id, url);
    platform.name = row.try_get("name")?;
    platform.kind = row.try_get("kind")?;
    platform.username = row.try_get("username")?;
    platform.active = row.try_get::<i64, _>("active")? != 0;
    platform.default = row.try_get::<i64, _>("is_default")? != 0;
    Ok(platform)
}

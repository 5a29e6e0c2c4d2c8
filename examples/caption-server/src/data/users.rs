//! Who may sign in.

use sqlx::{Row as _, any::AnyRow};
use tower_redis_session::directory::UserInfo;

use super::{Data, DataError};

impl Data {
    /// The user of that id, active or not.
    pub(crate) async fn user_by_id(&self, id: &str) -> Result<Option<UserInfo>, DataError> {
        let row = sqlx::query(
            "SELECT id, username, email, role, active FROM caption_users WHERE id = $1",
        );
        row.bind(id).fetch_optional(&self.pool).await?.as_ref().map(user).transpose()
    }

    /// The user of that name and the hash of the password.
    pub(crate) async fn user_by_name(
        &self,
        name: &str,
    ) -> Result<Option<(UserInfo, String)>, DataError> {
        let row = sqlx::query(
            "SELECT id, username, email, role, active, password_hash \
             FROM caption_users WHERE username = $1",
        );
        let row = row.bind(name).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((user(&row)?, row.try_get("password_hash")?))).transpose()
    }

    /// All of them, by name: for an administrator.
    pub(crate) async fn users(&self) -> Result<Vec<UserInfo>, DataError> {
        let rows = sqlx::query(
            "SELECT id, username, email, role, active FROM caption_users \
             ORDER BY username",
        );
        rows.fetch_all(&self.pool).await?.iter().map(user).collect()
    }

    /// Lets a user in or keeps them out; false if there is no such user.
    pub(crate) async fn set_active(&self, id: &str, active: bool) -> Result<bool, DataError> {
        let changed = sqlx::query("UPDATE caption_users SET active = $1 WHERE id = $2")
            .bind(i64::from(active))
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(changed.rows_affected() > 0)
    }
}

fn user(row: &AnyRow) -> Result<UserInfo, DataError> {
    let (id, username): (String, String) = (row.try_get("id")?, row.try_get("username")?);
    let mut user = UserInfo::new(id, username);
    user.email = row.try_get("email")?;
    user.role = row.try_get("role")?;
    user.active = row.try_get::<i64, _>("active")? != 0;
    Ok(user)
}

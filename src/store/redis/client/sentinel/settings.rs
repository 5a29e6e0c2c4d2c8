//! How connections to sentinels authenticate, as configured.

use crate::store::certificates::Certificates;

/// User, password and certificates of their own.
#[derive(Clone, Default)]
pub(in crate::store::redis) struct ForSentinels {
    pub(in crate::store::redis) username: Option<String>,
    pub(in crate::store::redis) password: Option<String>,
    pub(in crate::store::redis) certificates: Certificates,
}

impl ForSentinels {
    pub(in crate::store::redis) fn are_set(&self) -> bool {
        self.username.is_some() || self.password.is_some() || self.certificates.are_set()
    }
}

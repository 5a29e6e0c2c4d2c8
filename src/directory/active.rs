//! Choice of a user's active platform: pure.

use crate::directory::info::PlatformInfo;

/// The platform to use: the `chosen` one, otherwise the user's default, otherwise the first.
/// Inactive platforms are skipped, including a chosen one that was deactivated since.
///
/// ```
/// use tower_redis_session::directory::{PlatformInfo, active_platform};
///
/// let platform = |id, default| {
///     let mut platform = PlatformInfo::new(id, "https://social.example.org");
///     platform.default = default;
///     platform
/// };
/// let platforms = [platform("1", false), platform("2", true), platform("3", false)];
/// assert_eq!(active_platform(&platforms, Some("3")).unwrap().id, "3");
/// assert_eq!(active_platform(&platforms, None).unwrap().id, "2");
/// ```
#[must_use]
pub fn active_platform<'a>(
    platforms: &'a [PlatformInfo],
    chosen: Option<&str>,
) -> Option<&'a PlatformInfo> {
    let usable = || platforms.iter().filter(|platform| platform.active);
    let chosen = chosen.and_then(|id| usable().find(|platform| platform.id == id));
    chosen.or_else(|| usable().find(|platform| platform.default)).or_else(|| usable().next())
}

#[cfg(test)]
mod tests {
    use crate::directory::active::*;

    /// `+` for active, `!` for the default.
    fn platforms(told: &[&str]) -> Vec<PlatformInfo> {
        let of = |text: &&str| PlatformInfo {
            id: text.trim_end_matches(['+', '!']).to_owned(),
            name: String::new(),
            kind: String::new(),
            instance_url: String::new(),
            username: String::new(),
            active: text.contains('+'),
            default: text.contains('!'),
        };
        told.iter().map(of).collect()
    }

    #[test]
    fn the_sessions_platform_then_the_users_default_then_the_first() {
        for (name, told, chosen, expected) in [
            ("none at all", &[][..], Some("a"), None),
            ("chosen", &["a+", "b+!", "c+"], Some("c"), Some("c")),
            ("chosen is the first", &["a+", "b+!"], Some("a"), Some("a")),
            ("nothing chosen", &["a+", "b+!", "c+"], None, Some("b")),
            ("a stranger's chosen", &["a+", "b+!"], Some("z"), Some("b")),
            ("chosen is inactive", &["a+", "b+!", "c"], Some("c"), Some("b")),
            ("no default", &["a+", "b+"], None, Some("a")),
            ("the default is inactive", &["a+", "b!", "c+"], None, Some("a")),
            ("the first is inactive", &["a", "b+"], None, Some("b")),
            ("two defaults", &["a", "b+!", "c+!"], None, Some("b")),
            ("all inactive", &["a", "b!"], Some("a"), None),
            ("an empty choice", &["a+"], Some(""), Some("a")),
        ] {
            let platforms = platforms(told);
            let found = active_platform(&platforms, chosen).map(|platform| &*platform.id);
            assert_eq!(found, expected, "{name}");
        }
    }
}

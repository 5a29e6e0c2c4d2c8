//! A user's platforms: chosen, added, edited, deleted, made the default.

use http::{StatusCode, request::Parts};
use minijinja::{Value, context, value::Serde};
use tower_redis_session::directory::DirectoryPart;

use crate::{
    app::App,
    captions::settings::Rejected,
    data::platforms::PlatformDraft,
    failure::Failure,
    pages::visitor::Visitor,
    web::{
        Body,
        form::Fields,
        reply::{self, Answer},
    },
};

pub(crate) const KINDS: [&str; 4] = ["mastodon", "pixelfed", "pleroma", "misskey"];
const MAX_TEXT: usize = 100;
const MAX_TOKEN: usize = 1_000;

/// `GET /platforms`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    choice(&visitor, None)
}

/// `POST /platforms`: makes one the session's platform.
pub(crate) async fn choose(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let fields = Fields::read(&parts.headers, body).await?;
    let Some(wanted) = fields.get("platform") else {
        return choice(&visitor, Some("Please choose one of the platforms."));
    };
    switch(&visitor, wanted).await?;
    Ok(reply::see_other("/caption_generation"))
}

/// The id comes from the browser, so it may be anybody's. Somebody else's platform and one that
/// does not exist get the same answer.
pub(crate) async fn switch(visitor: &Visitor<'_>, id: &str) -> Result<(), Failure> {
    let _ = visitor.platform(id)?;
    let _ = visitor.session.switch_platform(&visitor.app.people, id).await?;
    // Now, so that whoever asked is told in their own way if it fails.
    Ok(visitor.session.save().await?)
}

/// `GET /platforms/new` and `GET /platforms/{id}`
pub(crate) async fn form(app: &App, parts: &Parts, id: Option<&str>) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let draft = match id {
        Some(id) => {
            let own = visitor.platform(id)?;
            PlatformDraft {
                name: own.name.clone(),
                kind: own.kind.clone(),
                instance_url: own.instance_url.clone(),
                username: own.username.clone(),
                token: None,
            }
        }
        None => PlatformDraft { kind: "mastodon".to_owned(), ..PlatformDraft::default() },
    };
    show(&visitor, id, &draft, &Rejected::default())
}

/// `POST /platforms/new` and `POST /platforms/{id}`
pub(crate) async fn save(
    app: &App,
    parts: &Parts,
    body: Body,
    id: Option<&str>,
) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let fields = Fields::read(&parts.headers, body).await?;
    match store(&visitor, id, &fields).await {
        Ok(_) => Ok(reply::see_other("/platforms")),
        Err(Failure::Rejected(rejected)) => show(&visitor, id, &draft(&fields), &rejected),
        Err(failure) => Err(failure),
    }
}

/// Adds or edits one; answers its id.
pub(crate) async fn store(
    visitor: &Visitor<'_>,
    id: Option<&str>,
    fields: &Fields,
) -> Result<String, Failure> {
    let (app, user) = (visitor.app, &*visitor.user.id);
    let draft = checked(draft(fields))?;
    let saved = async {
        match id {
            Some(id) => {
                let there = app.data.edit_platform(user, id, &draft).await?;
                Ok(there.then(|| id.to_owned()))
            }
            None => app.data.add_platform(user, &draft).await.map(Some),
        }
    };
    let saved = app.people.change(user, DirectoryPart::Platforms, saved).await?;
    saved.ok_or(Failure::NotFound("You have no such platform."))
}

/// `POST /platforms/{id}/delete`
pub(crate) async fn delete(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    remove(&visitor, id).await?;
    Ok(reply::see_other("/platforms"))
}

pub(crate) async fn remove(visitor: &Visitor<'_>, id: &str) -> Result<(), Failure> {
    let (app, user) = (visitor.app, &*visitor.user.id);
    let removed = app.data.delete_platform(user, id);
    if app.people.change(user, DirectoryPart::Platforms, removed).await? {
        Ok(())
    } else {
        Err(Failure::NotFound("You have no such platform."))
    }
}

/// `POST /platforms/{id}/default`
pub(crate) async fn make_default(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    set_default(&visitor, id).await?;
    Ok(reply::see_other("/platforms"))
}

pub(crate) async fn set_default(visitor: &Visitor<'_>, id: &str) -> Result<(), Failure> {
    let (app, user) = (visitor.app, &*visitor.user.id);
    let set = app.data.set_default(user, id);
    if app.people.change(user, DirectoryPart::Platforms, set).await? {
        Ok(())
    } else {
        Err(Failure::NotFound("You have no such platform."))
    }
}

fn draft(fields: &Fields) -> PlatformDraft {
    let text = |name| fields.get(name).unwrap_or_default().trim().to_owned();
    PlatformDraft {
        name: text("name"),
        kind: text("kind").to_ascii_lowercase(),
        instance_url: text("instance_url").trim_end_matches('/').to_owned(),
        username: text("username"),
        token: Some(text("token")).filter(|token| !token.is_empty()),
    }
}

fn checked(draft: PlatformDraft) -> Result<PlatformDraft, Rejected> {
    let mut rejected = Rejected::default();
    for (field, value) in [("name", &draft.name), ("username", &draft.username)] {
        let length = value.chars().count();
        if !(1..=MAX_TEXT).contains(&length) || value.chars().any(char::is_control) {
            rejected.add(field, format!("must have 1 to {MAX_TEXT} characters"));
        }
    }
    if !KINDS.contains(&&*draft.kind) {
        rejected.add("kind", format!("must be one of {}", KINDS.join(", ")));
    }
    if !is_instance(&draft.instance_url) {
        rejected.add("instance_url", "must be an address such as https://social.example.org");
    }
    let token = draft.token.as_deref().unwrap_or_default();
    if token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        rejected.add("token", "must be up to 1,000 letters, digits and signs");
    }
    rejected.or(draft)
}

/// `https://` and a host, perhaps with a port; nothing behind it.
fn is_instance(url: &str) -> bool {
    url.len() <= 200
        && url.parse::<http::Uri>().is_ok_and(|url| {
            url.scheme_str() == Some("https")
                && url.host().is_some_and(|host| host.contains('.'))
                && url.authority().is_some_and(|host| !host.as_str().contains('@'))
                && url.path_and_query().is_none_or(|path| path.as_str() == "/")
        })
}

fn choice(visitor: &Visitor<'_>, problem: Option<&str>) -> Result<Answer, Failure> {
    let chosen = visitor.platform.as_ref().map(|platform| &platform.id);
    let platforms: Vec<_> = visitor.platforms.iter().map(Serde).map(Value::from).collect();
    let values = context! { title => "Platforms", platforms, chosen, problem };
    let page = visitor.app.pages.render("platforms.html", visitor, values)?;
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(reply::html(status, page))
}

fn show(
    visitor: &Visitor<'_>,
    id: Option<&str>,
    draft: &PlatformDraft,
    rejected: &Rejected,
) -> Result<Answer, Failure> {
    let title = if id.is_some() { "Edit a platform" } else { "Add a platform" };
    let values = context! {
        title,
        id,
        kinds => KINDS,
        name => &*draft.name,
        kind => &*draft.kind,
        instance_url => &*draft.instance_url,
        username => &*draft.username,
        problems => Serde(rejected),
    };
    let page = visitor.app.pages.render("platform.html", visitor, values)?;
    let bad = !rejected.0.is_empty();
    Ok(reply::html(if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK }, page))
}

#[cfg(test)]
mod tests {
    use super::is_instance;

    #[test]
    fn an_instance_is_an_encrypted_host_and_nothing_more() {
        for (url, expected) in [
            ("https://social.example.org", true),
            ("https://social.example.org:8443", true),
            ("https://social.example.org/", true),
            ("http://social.example.org", false),
            ("https://localhost", false),
            ("https://social.example.org/@alice", false),
            ("https://user:secret@social.example.org", false),
            ("https://", false),
            ("social.example.org", false),
            ("javascript:alert(1)", false),
            ("", false),
        ] {
            assert_eq!(is_instance(url), expected, "{url}");
        }
    }
}

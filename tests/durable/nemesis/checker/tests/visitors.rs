use super::*;

fn visit() -> Op {
    let answer = said(200, None, Some(1), set("v"));
    Op { token: None, ..op(A, Kind::Visit, 1).answered(answer) }
}

fn of_visitor(kind: Kind, start: u64, n: u64) -> Op {
    op(A, kind, start).with("v").answered(said(200, None, Some(n), Cookie::Kept))
}

fn signed_in(start: u64) -> Op {
    let answer = said(200, Some("u"), None, set("t2"));
    op(A, Kind::Login, start).with("v").answered(answer)
}

fn read(start: u64, n: u64) -> Op {
    op(A, Read, start).with("t2").count(n)
}

#[test]
fn a_visitor_who_signs_in_keeps_the_content_and_no_second_session() {
    let visited = |ops: Vec<Op>| history(std::iter::once(visit()).chain(ops));
    let update = || of_visitor(Update, 5, 2);
    let old = |start| of_visitor(Read, start, 2);
    let gone =
        |start| op(A, Read, start).with("v").answered(said(200, None, Some(0), Cookie::Kept));
    let anew = op(A, Update, 20).with("v").answered(said(200, None, Some(1), set("w")));
    let half = || signed_in(10).answered(said(503, None, None, set("t2")));
    let other = said(200, Some("v"), None, Cookie::Kept);
    let as_nobody = said(200, None, Some(2), Cookie::Kept);
    assert_rules(&[
        ("kept", visited(vec![update(), signed_in(10), read(20, 2), gone(30)]), STRICT, &[]),
        ("lost", visited(vec![update(), signed_in(10), read(20, 1)]), STRICT, &[FRESH]),
        ("too many", visited(vec![update(), signed_in(10), read(20, 3)]), STRICT, &[FRESH]),
        ("both in use", visited(vec![update(), signed_in(10), old(20)]), STRICT, &[DEAD]),
        ("over, and a new one", visited(vec![signed_in(10), anew]), STRICT, &[]),
        ("half done", visited(vec![update(), half(), old(20)]), STRICT, &[]),
        (
            "half done, and used",
            visited(vec![update(), half(), read(20, 2), old(500)]),
            TERMS,
            &[DEAD],
        ),
        ("nobody ended it", visited(vec![gone(10)]), STRICT, &[ALIVE]),
        (
            "signed out before, which leaves nothing to keep",
            visited(vec![op(A, Logout, 5).with("v").nobody(), signed_in(10), read(20, 0)]),
            STRICT,
            &[],
        ),
        ("as a user", visited(vec![op(A, Read, 5).with("v").answered(other)]), STRICT, &[SENSE]),
        (
            "as nobody, signed in",
            visited(vec![update(), signed_in(10), op(A, Read, 20).with("t2").answered(as_nobody)]),
            STRICT,
            &[SENSE],
        ),
        (
            "a second sign-in with the same cookie",
            visited(vec![
                signed_in(10),
                signed_in(20).answered(said(200, Some("u"), None, set("t3"))),
            ]),
            STRICT,
            &[],
        ),
    ]);
}

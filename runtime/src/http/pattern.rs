//! Checks a route's pattern, so that a pattern that can never match is refused
//! when the route is added.

/// Explains why a pattern is refused, and what to write instead.
///
/// Other hosts write parameters as `:id`, `<id>`, `[id]`, `*` or `...`. Here
/// they would be literal text that no client sends.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let Some(path) = pattern.strip_prefix('/') else {
        return Err(format!("it does not start with `/`; write `/{pattern}`"));
    };
    if let Some((path, _)) = pattern.split_once('?') {
        return Err(format!("a route matches a path without its query; write `{path}`"));
    }
    if let Some((path, _)) = pattern.split_once('#') {
        return Err(format!("no client sends a fragment; write `{path}`"));
    }
    let segments: Vec<_> = path.split('/').collect();
    let last = segments.len() - 1;
    if let Some(name) = twice(path) {
        return Err(format!(
            "two of its parameters are called `{name}`; give each a name of its own"
        ));
    }
    for (place, segment) in segments.iter().enumerate() {
        if segment.is_empty() && place < last {
            return Err("a segment is empty; write a single `/`".to_owned());
        }
        check_segment(segment, place == last)?;
    }
    Ok(())
}

fn check_segment(segment: &str, is_last: bool) -> Result<(), String> {
    match segment {
        "..." | "*" | "**" => {
            return Err(format!(
                "`{segment}` is literal text; write `{{*path}}` for all that follows"
            ));
        }
        "." | ".." => {
            return Err(format!("clients resolve `{segment}`; write the path without it"));
        }
        _ => {}
    }
    if let Some(name) = segment.strip_prefix(':') {
        let name = if is_name(name) { name } else { "id" };
        return Err(format!("`{segment}` is literal text; write `{{{name}}}` for a parameter"));
    }
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        check_literal(before)?;
        let Some((name, after)) = after.split_once('}') else {
            return Err("a `{` has no `}`; write a parameter as `{id}`".to_owned());
        };
        let all = name.strip_prefix('*');
        if !is_name(all.unwrap_or(name)) {
            return Err(format!(
                "`{{{name}}}` is no parameter: its name has letters, digits, `_` and `-`; write \
                 `{{id}}` for one segment, `{{*path}}` for all that follows"
            ));
        }
        if all.is_some() && !(is_last && before.is_empty() && after.is_empty()) {
            return Err(format!("`{{{name}}}` has to be the last segment, alone"));
        }
        rest = after;
    }
    check_literal(rest)
}

/// A name that two parameters share: a function would see only one of the
/// values.
fn twice(path: &str) -> Option<&str> {
    let mut names = Vec::new();
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).find_map(|name| {
        let name = name.trim_start_matches('*');
        let is_second = names.contains(&name);
        names.push(name);
        is_second.then_some(name)
    })
}

/// Literal text must be what a client sends in a path (RFC 3986, section 3.3).
fn check_literal(text: &str) -> Result<(), String> {
    if text.contains('*') {
        return Err("`*` is literal text; write `{*path}` for all that follows".to_owned());
    }
    if text.contains('%') {
        return Err(
            "paths are compared as clients send them, and they may encode one in several ways; \
             write `{id}`, whose value is decoded"
                .to_owned(),
        );
    }
    let plain = |char: char| char.is_ascii_alphanumeric() || "-._~!$&'()+,;=:@".contains(char);
    match text.chars().find(|char| !plain(*char)) {
        Some(char) => Err(format!(
            "no client sends {char:?} in a path; write `{{id}}` for a parameter, whose value is decoded"
        )),
        None => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !name.is_empty() && name.bytes().all(plain)
}

/// Whether a pattern may match `/NAME` or a path below it.
#[cfg(any(feature = "cli", test))]
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    let first = pattern.strip_prefix('/').unwrap_or(pattern).split('/').next().unwrap_or_default();
    let mut router = matchit::Router::new();
    router.insert(format!("/{first}"), ()).is_ok() && router.at(&format!("/{name}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{check, covers};

    #[test]
    fn patterns_that_can_match_are_taken() {
        for good in [
            "/",
            "/images/{id}",
            "/files/{*path}",
            "/{a}/files/{*rest}",
            "/{id}.png",
            "/v1/things:batch",
            "/a/",
            "/~me/a-b_c.d",
            "/.well-known/x",
            "/{*all}",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_pattern_that_never_matches_says_what_to_write() {
        for (bad, instead) in [
            ("images", "`/images`"),
            ("", "`/`"),
            ("/a/:id", "`{id}`"),
            ("/a/:", "`{id}`"),
            ("/a/*", "`{*path}`"),
            ("/a/**", "`{*path}`"),
            ("/a/*.png", "`{*path}`"),
            ("/a/...", "`{*path}`"),
            ("/a/../b", "without it"),
            ("/a/./b", "without it"),
            ("/a?x", "`/a`"),
            ("/a#x", "`/a`"),
            ("//a", "a single `/`"),
            ("/a//b", "a single `/`"),
            ("/gr%C3%BCn", "`{id}`"),
            ("/grün", "`{id}`"),
            ("/a b", "`{id}`"),
            ("/a\u{1b}", "`{id}`"),
            ("/<id>", "`{id}`"),
            ("/[id]", "`{id}`"),
            ("/a\\b", "`{id}`"),
            ("/{id", "`{id}`"),
            ("/id}", "`{id}`"),
            ("/{}", "`{id}`"),
            ("/{{id}}", "`{id}`"),
            ("/{id:[0-9]+}", "`{id}`"),
            ("/{...path}", "`{*path}`"),
            ("/{path*}", "`{*path}`"),
            ("/{*path}/x", "last segment"),
            ("/x{*path}", "last segment"),
        ] {
            let said = check(bad).expect_err(bad);
            assert!(said.contains(instead), "{bad}: {said}");
        }
    }

    #[test]
    fn a_first_segment_covers_names() {
        for (pattern, name, expected) in [
            ("/hello", "hello", true),
            ("/hello/{x}", "hello", true),
            ("/hello2", "hello", false),
            ("/{x}", "hello", true),
            ("/{x}/y", "hello", true),
            ("/{*x}", "hello", true),
            ("/{x}.png", "hello", false),
            ("/", "hello", false),
        ] {
            assert_eq!(covers(pattern, name), expected, "{pattern}");
        }
    }
}

//! Paths and queries that stay below a base URL, and some that do not.

use proptest::prelude::*;
use url::Url;

use super::*;

fn to(base: &str, target: &str) -> Result<String, TargetError> {
    let (base, target) = (base.parse().expect("a base"), target.parse().expect("a target"));
    below(&base, &Method::GET, &target).map(|uri| uri.to_string())
}

#[test]
fn a_calls_path_is_appended() {
    for (base, path, expected) in [
        ("http://h:1/f", "/", "http://h:1/f"),
        ("http://h:1/f/", "/", "http://h:1/f"),
        ("http://h:1/f", "/a?b=c", "http://h:1/f/a?b=c"),
        ("http://h:1/f/", "/a/", "http://h:1/f/a/"),
        ("http://h:1", "/", "http://h:1/"),
        ("http://h:1/", "/a", "http://h:1/a"),
        ("http://h:1/f", "/?b", "http://h:1/f/?b"),
        ("http://h:1/f", "/a?../..", "http://h:1/f/a?../.."),
        ("http://h:1/f", "http://other/a", "http://h:1/f/a"),
        ("http://h:1/f", "http://other", "http://h:1/f"),
        ("http://h:1/f", "/...", "http://h:1/f/..."),
        ("http://h:1/f", "/a..b/.c/d.", "http://h:1/f/a..b/.c/d."),
        ("http://h:1/f", "/a//b%2Fc%5Cd%", "http://h:1/f/a//b%2Fc%5Cd%"),
    ] {
        assert_eq!(to(base, path).as_deref(), Ok(expected), "{base} {path}");
    }
}

#[test]
fn no_call_leaves_the_address() {
    use TargetError::{DotSegment, NoPath, Slashes};
    for (target, error) in [
        ("/..", DotSegment),
        ("/../g", DotSegment),
        ("/a/../../g", DotSegment),
        ("/.", DotSegment),
        ("/a/./b", DotSegment),
        ("/%2e%2e/g", DotSegment),
        ("/%2E./g", DotSegment),
        ("/.%2e", DotSegment),
        ("/%252e%252e/g", DotSegment),
        ("/%25252e%2525252e/g", DotSegment),
        ("/%%32%65%2e/g", DotSegment),
        ("/a%2f..%2f..%2fg", DotSegment),
        ("/a/..%2fg", DotSegment),
        ("/..%5cg", DotSegment),
        ("/a%5C..%5C..%5Cg", DotSegment),
        ("/..;a=b/g", DotSegment),
        ("/..%3Ba/g", DotSegment),
        ("/..%00/g", DotSegment),
        ("/.%09./g", DotSegment),
        ("/%20..%20/g", DotSegment),
        ("//g", Slashes),
        ("/%2fg", Slashes),
        ("/%5cg", Slashes),
        ("*", NoPath),
        ("g:80", NoPath),
        ("ftp://other/a", NoPath),
    ] {
        for base in ["http://h/f", "http://h/f/", "http://h", "http://h/"] {
            assert_eq!(to(base, target), Err(error), "{base} {target}");
        }
    }
    let base = "http://h/f".parse().expect("a base");
    let target = "h:80".parse().expect("a target");
    assert_eq!(below(&base, &Method::CONNECT, &target), Err(TargetError::Connect));
}

/// Whether a path is the base's or below it.
fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The usual interpretations of a path: as the URL standard parses it, and by
/// its segments after percent-decoding.
fn readings(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    let mut path = path.to_owned();
    for _ in 0..4 {
        let url = Url::parse(&format!("http://h{path}")).expect("a URL");
        readings.push(url.path().to_owned());
        for separators in [&['/'][..], &['/', '\\']] {
            let mut kept = Vec::new();
            for segment in path.split(separators).skip(1) {
                match segment.split(';').next() {
                    Some("..") => drop(kept.pop()),
                    Some(".") => {}
                    _ => kept.push(segment),
                }
            }
            readings.push(format!("/{}", kept.join("/")));
        }
        path = String::from_utf8_lossy(&once(path.as_bytes())).into_owned();
    }
    readings
}

/// The path, percent-decoded once.
fn once(path: &[u8]) -> Vec<u8> {
    let (mut read, mut at) = (Vec::new(), 0);
    while let Some(&byte) = path.get(at) {
        let escaped = match path.get(at..at + 3) {
            Some([b'%', high, low]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        read.push(escaped.map_or(byte, |(high, low)| high << 4 | low));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    read
}

proptest! {
    #[test]
    fn every_reader_resolves_it_below_the_base(
        base in "(/[a-z]{1,3}){0,3}",
        slash in "/?",
        parts in prop::collection::vec(
            prop::sample::select(&[
                "/", "/", ".", "..", "%2e", "%2E", "%25", "%252e", "%", "2e", "25", "5c", "%2f",
                "%5c", "%252f", ";", "%3b", "a", "b", "?", "//", "%00", "%09", "%20", "%c0%ae",
            ][..]),
            0..12,
        ),
    ) {
        let address: Uri = format!("http://h{base}{slash}").parse().expect("a base");
        let Ok(target) = format!("/{}", parts.concat()).parse::<Uri>() else { return Ok(()) };
        if let Ok(uri) = below(&address, &Method::GET, &target) {
            prop_assert_eq!(uri.authority(), address.authority());
            for path in readings(uri.path()) {
                prop_assert!(is_below(&path, &base), "{} is read as {}", uri, path);
            }
        }
    }

    #[test]
    fn decoding_in_one_pass_leaves_nothing_to_decode(path in "[%2e5cf/.a]{0,24}") {
        let (mut before, mut by_passes) = (Vec::new(), path.clone().into_bytes());
        while before != by_passes {
            before = std::mem::take(&mut by_passes);
            by_passes = once(&before);
        }
        prop_assert_eq!(decode(&path), by_passes);
    }

    #[test]
    fn anything_can_be_asked_for(target in "[ -~]{0,40}") {
        let base = "http://h/f".parse().expect("a base");
        if let Ok(target) = target.parse::<Uri>() {
            let _ = below(&base, &Method::GET, &target);
        }
    }
}

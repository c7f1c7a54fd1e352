//! The end of the head of a CGI response, and its content.

use proptest::prelude::*;

use super::*;

fn found(printed: &str) -> HeadEnd {
    Search::default().find(printed.as_bytes())
}

#[test]
fn a_head_ends_with_a_blank_line() {
    for (printed, len) in [
        ("Content-Type: text/html\n\n<p>", 25),
        ("content-type:text/html\r\n\r\n", 26),
        ("X-A: 1\r\nSTATUS: 404 Not Found\n\r\nbody\n\n", 32),
        ("Location: /there\n\n", 18),
    ] {
        assert_eq!(found(printed), HeadEnd::Head(len), "{printed:?}");
    }
}

#[test]
fn what_only_looks_like_a_head_is_a_body() {
    for printed in [
        "\n",
        "hello\n",
        "X-A: 1\n\n",
        "{\"status\": 200}\n\n",
        "Status: 200\nand so on\n\n",
        "Status: 200\n folded\n\n",
        "The Status: good\n\n",
        ": none\n",
    ] {
        assert_eq!(found(printed), HeadEnd::Body, "{printed:?}");
    }
    for printed in ["", "hello", "Status: 200", "Status: 200\n", "X-A: 1\n"] {
        assert_eq!(found(printed), HeadEnd::Nothing, "{printed:?}");
    }
}

#[test]
fn a_head_is_bounded() {
    let long = "X-A: 1\n".repeat(LONGEST / 7);
    assert_eq!(found(&long), HeadEnd::Nothing);
    assert_eq!(found(&format!("{long}{long}")), HeadEnd::Body);
    assert_eq!(found(&format!("Status: 200\n{long}")), HeadEnd::Endless);
    assert_eq!(found(&format!("Status: 200\n{long}\n")), HeadEnd::Endless);
}

#[test]
fn a_head_is_read() {
    let response = read(b"Status: 201 Created\r\nX-A: 1\nx-a:  2 \n\n").expect("a good one");
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert!(!response.headers().contains_key("status"));
    let status = |head: &str| read(head.as_bytes()).expect("a good one").status();
    assert_eq!(status("Location: /there\n\n"), 302);
    assert_eq!(status("Location: /there\nStatus: 307\n\n"), 307);
    assert_eq!(status("Content-Type: a/b\n\n"), 200);
}

#[test]
fn a_malformed_head_says_why() {
    for (head, why) in [
        ("Status: soon\n\n", "`soon` is no final HTTP status"),
        ("Status:\n\n", "no final HTTP status"),
        ("Status: 101\n\n", "no final HTTP status"),
        ("Status: 200\nStatus: 200\n\n", "two `Status` lines"),
        ("Status: 200\nX(a): 1\n\n", "`X(a)` is no header name"),
        ("Status: 200\nX-A: \u{1}\n\n", "HTTP forbids"),
        (&format!("Status: 200\n{}\n", "X: 1\n".repeat(300)), "more than 256 headers"),
    ] {
        let error = read(head.as_bytes()).expect_err("malformed");
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_bare_body_is_a_text_as_long_as_it_may_be_one() {
    for (printed, kind) in [
        (&b""[..], "text/plain; charset=utf-8"),
        (b"gr\xc3\xbcn", "text/plain; charset=utf-8"),
        (b"gr\xc3", "text/plain; charset=utf-8"),
        (b"\x89PNG\r\n", "application/octet-stream"),
    ] {
        assert_eq!(of_bare_body(printed).headers()[CONTENT_TYPE], kind, "{printed:?}");
    }
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        printed in "(([Ss]tatus|X-A|a b):? ?[0-9a]{0,3}\r?\n){0,3}\r?\n?.{0,9}",
        at: prop::sample::Index,
    ) {
        let bytes = printed.as_bytes();
        let mut search = Search::default();
        let first = search.find(&bytes[..at.index(bytes.len() + 1)]);
        let found = if first == HeadEnd::Nothing { search.find(bytes) } else { first };
        prop_assert_eq!(&found, &Search::default().find(bytes));
        if let HeadEnd::Head(len) = found {
            let _ = read(&bytes[..len]);
        }
    }
}

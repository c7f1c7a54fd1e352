//! The comparison of an output with the one that a page shows.
//!
//! Times, sizes, percentages and ids differ from run to run, so any is as good as another. `...` stands for any
//! text. All else must be equal.

/// Whether an output is as a page shows it.
pub(crate) fn matches(output: &str, shown: &str) -> bool {
    let (output, shown) = (masked(output.trim_end()), masked(shown.trim_end()));
    let mut parts = shown.split("...");
    let Some(mut rest) = parts.next().and_then(|first| output.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// The text with placeholders for what differs.
fn masked(text: &str) -> String {
    let is_part = |char: char| char.is_alphanumeric() || char == '.';
    let mut masked = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = if is_part(first) {
            rest.find(|char| !is_part(char)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(len);
        let is_share = after.starts_with('%') && word.parse::<f64>().is_ok();
        masked.push_str(if is_share { "<share>" } else { placeholder(word).unwrap_or(word) });
        rest = after;
    }
    masked
}

/// The placeholder for a time, a size or an id.
fn placeholder(word: &str) -> Option<&'static str> {
    if word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("<id>");
    }
    let unit = word.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
    match unit {
        _ if unit.len() == word.len() => None,
        "ns" | "us" | "µs" | "ms" | "s" => Some("<time>"),
        "KiB" | "MiB" | "GiB" => Some("<size>"),
        _ => None,
    }
}

#[test]
fn outputs_differ_in_times_sizes_and_ids() {
    for (output, shown) in [
        ("hello, 9.9s left\n", "hello, 871.5ms left"),
        ("id a9fb24f06b2b0b1d00000001", "id 00000001a9fb24f06b2b0b1d"),
        ("3.5MiB used", "12KiB used"),
        ("x-complete: 74%", "x-complete: 2.5%"),
        ("one\ntwo\nthree\n", "one\n...\nthree\n"),
        ("one {\"a\":1}", "one {...}"),
        ("one", "..."),
    ] {
        assert!(matches(output, shown), "{output:?} {shown:?}");
    }
    for (output, shown) in [
        ("status 504", "status 503"),
        ("hello", "hello, 1s left"),
        ("one\nthree", "one\n...\ntwo"),
        ("hello world", "hello"),
        ("hello", "hello world"),
        ("1 word", "2 words"),
    ] {
        assert!(!matches(output, shown), "{output:?} {shown:?}");
    }
}

//! Tests of function names and of instance resets.

mod random_modules;
mod reset;

use super::is_name;

#[test]
fn names_are_plain() {
    for good in ["hello", "a", "v1.2-x_y"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", ".hidden", "a/b", "a b", "ä", &"x".repeat(65)] {
        assert!(!is_name(bad), "{bad}");
    }
}

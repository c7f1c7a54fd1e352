//! Limits survive the command line, and other command lines are not mistaken
//! for limits.

use std::ffi::OsString;

use super::child::ChildLimits;

fn line<const N: usize>(args: [&str; N]) -> Vec<OsString> {
    std::iter::once("hourglass").chain(args).map(OsString::from).collect()
}

#[test]
fn a_compiler_process_reads_what_its_host_writes() {
    let limits = ChildLimits { parent: 7, memory: 2 << 30, seconds: 120 };
    let arguments = limits.arguments();
    let read = ChildLimits::parse(line(arguments.each_ref().map(|argument| &**argument)));
    assert_eq!(read.expect("it is one").expect("they are whole"), limits);
}

#[test]
fn other_command_lines_are_not_limits() {
    assert!(ChildLimits::parse([]).is_none());
    assert!(ChildLimits::parse(line([])).is_none());
    assert!(ChildLimits::parse(line(["serve", "compile-module"])).is_none());
    for typed in
        [&["compile-module"][..], &["compile-module", "1", "2"], &["compile-module", "a", "b", "c"]]
    {
        let args = std::iter::once("hourglass").chain(typed.iter().copied()).map(OsString::from);
        assert!(ChildLimits::parse(args).expect("it is meant as one").is_err(), "{typed:?}");
    }
}

//! The program's output: a command's result goes to standard output, everything
//! else to standard error. Unlike `println!` and `eprintln!`, these functions
//! do not panic if the reader has closed its end.
//!
//! Text is escaped here, so that no module, file or request can move a
//! terminal's cursor. A part that must stay on one line is escaped with
//! [`OneLine`](crate::escape::OneLine) by the code that composes the text.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use crate::escape::{self, Lines};

/// Writes a part of the command's result, possibly several lines.
pub(crate) fn write(text: &str) -> io::Result<()> {
    raw(Lines(text).to_string().as_bytes())
}

/// Writes a line of the command's result.
pub(crate) fn line(text: &str) -> io::Result<()> {
    write(&format!("{text}\n"))
}

/// Writes a line of JSON.
pub(crate) fn json(text: &str) -> io::Result<()> {
    raw(format!("{}\n", escape::json(text)).as_bytes())
}

/// Writes a response's body: escaped to a terminal, unchanged to anything else.
pub(crate) fn body(bytes: &[u8]) -> io::Result<()> {
    raw(&shown(bytes, io::stdout().is_terminal()))
}

fn shown(body: &[u8], is_terminal: bool) -> Cow<'_, [u8]> {
    if is_terminal {
        Lines(String::from_utf8_lossy(body)).to_string().into_bytes().into()
    } else {
        body.into()
    }
}

fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Whether standard error may be colored.
pub(crate) fn is_colored() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints a message that is not part of the command's result. A closed standard
/// error is ignored.
pub(crate) fn message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", Lines(text));
}

/// Like [`message`], for a compiler's messages, which may be colored.
pub(crate) fn colored_message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escape::colored(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_escaped_for_a_terminal_alone() {
        let body = b"a\tb\r\n\x1b[2J\xff";
        assert_eq!(*shown(body, false), *body);
        assert_eq!(*shown(body, true), *"a\tb\\r\n\\u{1b}[2J\u{fffd}".as_bytes());
    }
}

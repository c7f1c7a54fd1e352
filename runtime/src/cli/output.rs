//! Where the program's words go: a command's result to standard output,
//! everything else to standard error. Unlike `println!` and `eprintln!` these
//! do not panic where nobody reads them.

use std::io::{self, Write};

/// Writes a part of the command's result, as it is.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a line of the command's result.
pub(crate) fn line(text: &str) -> io::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// Tells the user something that is not the command's result. Where nobody
/// listens the command goes on all the same.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

//! Runs the command in its request body on a file, and responds with the result.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

use hourglass_sdk::{Context, Request, Result, serve};

fn main() {
    serve(reader)
}

/// The first word is the command, the second is the path.
fn reader(_: &Context, req: Request) -> Result<String> {
    let text = req.body().text()?;
    let (what, path) = text.split_once(' ').unwrap_or((text, ""));
    Ok(done(what, path).unwrap_or_else(|error| format!("error: {error}")))
}

fn done(what: &str, path: &str) -> io::Result<String> {
    let beside = || format!("{path}.new");
    match what {
        "read" => return fs::read_to_string(path),
        "list" => return list(path),
        "stat" => return fs::metadata(path).map(|found| kind(&found)),
        "link" => return fs::read_link(path).map(|to| to.display().to_string()),
        "middle" => return middle(path),
        "hold" => return Ok(hold(path)),
        "forever" => loop {
            println!("{} bytes", fs::read(path)?.len());
        },
        "write" => fs::write(path, "written")?,
        "append" => OpenOptions::new().append(true).open(path)?.write_all(b"written")?,
        "create" => drop(File::create_new(beside())?),
        "mkdir" => fs::create_dir(beside())?,
        "remove" => fs::remove_file(path)?,
        "rmdir" => fs::remove_dir(path)?,
        "rename" => fs::rename(path, beside())?,
        "hard-link" => fs::hard_link(path, beside())?,
        "truncate" => File::open(path)?.set_len(0)?,
        "times" => {
            File::open(path)?.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))?
        }
        "scribble" => File::open(path)?.write_all(b"written")?,
        _ => return Err(io::Error::other("unknown command")),
    }
    Ok("done".to_owned())
}

fn list(path: &str) -> io::Result<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = if entry.file_type()?.is_dir() { "/" } else { "" };
        found.push(format!("{}{kind}", entry.file_name().display()));
    }
    found.sort_unstable();
    Ok(found.join(" "))
}

fn kind(found: &fs::Metadata) -> String {
    let kind = if found.is_file() {
        "file"
    } else if found.is_dir() {
        "folder"
    } else {
        "other"
    };
    format!("{kind} of {}", found.len())
}

/// Five bytes of a file from the third on, and five more from the end.
fn middle(path: &str) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut found = [0; 10];
    let (start, end) = found.split_at_mut(5);
    file.seek(SeekFrom::Start(2))?;
    file.read_exact(start)?;
    let at = file.stream_position()?;
    file.seek(SeekFrom::End(-5))?;
    file.read_exact(end)?;
    Ok(format!("{at} {}", String::from_utf8_lossy(&found)))
}

/// Opens a file repeatedly until that fails.
fn hold(path: &str) -> String {
    let mut held = Vec::new();
    loop {
        match File::open(path) {
            Ok(file) => held.push(file),
            Err(error) => return format!("{} {error}", held.len()),
        }
    }
}

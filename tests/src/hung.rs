//! A file system that never answers: a FUSE one whose server does not say anything after it has
//! begun.

use std::fs::File;
use std::io::{self, Read, Write, stderr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// What the kernel asks the server.
const INIT: u32 = 26;
const STATFS: u32 = 17;

/// What the server says to the first question: version 7.31 of the protocol, writes of a page, and
/// nothing of all that it might do.
const BEGINS: [u32; 16] = [7, 31, 0, 0, 0, 4_096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// One that is mounted. Dropping it fails all that wait for it.
#[derive(Debug)]
pub struct Hung {
    folder: TempDir,
    server: Option<JoinHandle<()>>,
    /// Unmounts it when its input ends; and after five minutes, as nobody who waits for such a file
    /// system can be killed, and no process that has such a thread ends.
    unmounts: Child,
}

impl Hung {
    /// Mounts one; `None`, and a word about it, where this process may not.
    ///
    /// # Errors
    /// What the system says to what anybody may do.
    pub fn mount() -> io::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else {
            return skipped("/dev/fuse can't be opened");
        };
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", options, "hung"])
            .arg(folder.path())
            .stdin(Stdio::from(device.try_clone()?))
            .output()?;
        if !mounted.status.success() {
            return skipped(String::from_utf8_lossy(&mounted.stderr).trim_end());
        }
        let unmounts = Command::new("sh")
            .args(["-c", "timeout 300 cat; exec umount -f -l \"$0\""])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .spawn()?;
        // It ends when the file system does.
        let server = thread::spawn(move || while serve(&device).is_ok() {});
        Ok(Some(Self { folder, server: Some(server), unmounts }))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // To wait for it closes its input.
        if self.unmounts.wait().is_ok_and(|status| status.success()) {
            let _ = self.server.take().map(JoinHandle::join);
        }
    }
}

fn skipped<T>(why: &str) -> io::Result<Option<T>> {
    writeln!(stderr(), "skipped, as nothing can be mounted: {why}")?;
    Ok(None)
}

/// Reads one question, and answers only what comes before any file: to begin, and what kind of a
/// file system it is, which it does not know.
fn serve(mut device: &File) -> io::Result<()> {
    // Its length, what it is, and its number; the rest does not matter.
    let mut asked = vec![0; 64 << 10];
    if device.read(&mut asked)? < 16 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (kind, number) = (&asked[4..8], &asked[8..16]);
    let (error, body): (i32, &[u32]) = match u32::from_ne_bytes(kind.try_into().unwrap_or_default())
    {
        INIT => (0, &BEGINS),
        // There is no such call.
        STATFS => (-38, &[]),
        _ => return Ok(()),
    };
    let body: Vec<u8> = body.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let len = body.len() as u32 + 16;
    let head = [&len.to_ne_bytes(), &error.to_ne_bytes()[..], number];
    device.write_all(&[&*head.concat(), &body].concat())
}
